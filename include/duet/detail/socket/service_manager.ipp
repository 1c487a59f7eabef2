// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_SERVICE_MANAGER_IPP
#define DUET_DETAIL_SOCKET_SERVICE_MANAGER_IPP

#include <boost/asio/error.hpp>
#include <boost/system/error_category.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include <duet/detail/socket/environment.hpp>
#include <duet/detail/socket/new_descriptor.hpp>
#include <duet/service_manager.hpp>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL service_manager::service_manager() : address_{detail::in_environment("NOTIFY_SOCKET")}
{
    auto const period = detail::number_in_environment("WATCHDOG_USEC");
    bool const watched =
        detail::in_environment("WATCHDOG_PID").empty() || detail::number_in_environment("WATCHDOG_PID") == ::getpid();
    if (present() && period > 0 && watched)
        watchdog_ = std::chrono::microseconds{period};
}

DUET_DECL boost::system::error_code service_manager::notify(std::string_view assignments) const noexcept
{
    if (!present())
        return {};
    ::sockaddr_un to{};
    to.sun_family = AF_UNIX;
    bool const abstract = address_.front() == '@';
    if ((!abstract && address_.front() != '/') || address_.size() >= sizeof to.sun_path)
        return boost::asio::error::invalid_argument;
    std::copy(address_.begin(), address_.end(), to.sun_path);
    if (abstract)
        to.sun_path[0] = '\0';

    auto const last_error = [] { return boost::system::error_code{errno, boost::system::system_category()}; };
    int const descriptor = detail::open_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (descriptor < 0)
        return last_error();
    ::timeval const patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    auto const size = static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + address_.size());
    ::ssize_t sent = -1;
    do
        sent = ::sendto(
            descriptor, assignments.data(), assignments.size(), 0, reinterpret_cast<::sockaddr const*>(&to), size);
    while (sent < 0 && errno == EINTR);
    auto const error = sent < 0 ? last_error() : boost::system::error_code{};
    ::close(descriptor);
    return error;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
