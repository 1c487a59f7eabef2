// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_RESOLVE_LOOKUP_IPP
#define DUET_DETAIL_RESOLVE_RESOLVE_LOOKUP_IPP

#include <boost/asio/error.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

#include <duet/detail/resolve/resolve_lookup.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace duet {
inline namespace v0 {
namespace detail {

inline error_code code_of_getaddrinfo(int result, int system_error_number) noexcept
{
    namespace error = boost::asio::error;
    switch (result)
    {
    case EAI_AGAIN:
        return error::host_not_found_try_again;
    case EAI_BADFLAGS:
        return error::invalid_argument;
    case EAI_FAIL:
        return error::no_recovery;
    case EAI_FAMILY:
        return error::address_family_not_supported;
    case EAI_MEMORY:
        return error::no_memory;
    case EAI_SERVICE:
        return error::service_not_found;
    case EAI_SOCKTYPE:
        return error::socket_type_not_supported;
    case EAI_SYSTEM:
        return {system_error_number, boost::system::system_category()};
    default:  // EAI_NONAME; some systems report EAI_NODATA or EAI_ADDRFAMILY for a name without addresses
        return error::host_not_found;
    }
}

DUET_DECL resolved_endpoints look_up_by_system(std::string const& host, std::string const& service)
{
    ::addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    ::addrinfo* found = nullptr;
    int const result = ::getaddrinfo(
        host.empty() ? nullptr : host.c_str(), service.empty() ? nullptr : service.c_str(), &hints, &found);
    if (result != 0)
        throw system_error{code_of_getaddrinfo(result, errno), "resolve"};
    std::unique_ptr<::addrinfo, void (*)(::addrinfo*)> const owner{found, &::freeaddrinfo};
    resolved_endpoints endpoints;
    for (auto const* each = found; each != nullptr; each = each->ai_next)
    {
        boost::asio::ip::tcp::endpoint endpoint;
        if ((each->ai_family != AF_INET && each->ai_family != AF_INET6) || each->ai_addrlen > endpoint.capacity())
            continue;
        std::memcpy(endpoint.data(), each->ai_addr, each->ai_addrlen);
        endpoint.resize(each->ai_addrlen);
        endpoints.push_back(endpoint);
    }
    return endpoints;
}

/// RAII: blocks all signals while the look-up's thread is created, so that this thread, which the program does not know
/// of, handles none of the program's signals.
class all_signals_blocked
{
public:
    all_signals_blocked() noexcept
    {
        ::sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }

    all_signals_blocked(all_signals_blocked const&) = delete;
    all_signals_blocked& operator=(all_signals_blocked const&) = delete;

    ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    ::sigset_t before_;
};

inline void run_lookup(
    blocking_lookup const& function, std::string const& host, std::string const& service, lookup_channel& channel)
{
    lookup_result result;
    try
    {
        result.endpoints = function(host, service);
    }
    catch (...)
    {
        result.failure = std::current_exception();
    }
    for (;;)
    {
        try
        {
            return channel.deliver(result);
        }
        catch (std::bad_alloc const&)
        {
            // There was no memory to post the result, and somebody waits for it: try again.
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }
}

DUET_DECL void start_lookup_thread(
    blocking_lookup function, std::string host, std::string service, std::shared_ptr<lookup_channel> channel)
{
    all_signals_blocked const blocked;
    try
    {
        std::thread{[function = std::move(function), host = std::move(host), service = std::move(service),
                        channel = std::move(channel)] {
            run_lookup(function, host, service, *channel);
        }}.detach();
    }
    catch (std::system_error const& error)
    {
        throw system_error{error_code{error.code().value(), boost::system::system_category()}, "resolve"};
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
