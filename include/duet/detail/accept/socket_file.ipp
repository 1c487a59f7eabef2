// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_SOCKET_FILE_IPP
#define DUET_DETAIL_ACCEPT_SOCKET_FILE_IPP

#include <boost/asio/error.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include <duet/detail/accept/socket_file.hpp>
#include <duet/detail/socket/new_descriptor.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL start_lock::start_lock(std::string const& path, boost::system::error_code& error)
{
    if (path.empty() || path.front() == '\0')
        return;
    file_ = path + ".duet-start";
    // Others hold the lock for microseconds, unless they were stopped meanwhile.
    constexpr auto pause = std::chrono::milliseconds{1};
    for (int tries = 0; tries < 1000; ++tries)
    {
        descriptor_ = try_lock(error);
        if (descriptor_ >= 0 || error)
            return;
        std::this_thread::sleep_for(pause);
    }
    error = boost::asio::error::address_in_use;
}

inline int start_lock::try_lock(boost::system::error_code& error) noexcept
{
    int const descriptor = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor < 0)
    {
        error.assign(errno, boost::system::system_category());
        return -1;
    }
    // The last owner may have removed the file between the two calls: then somebody else locks a new one.
    struct ::stat locked
    {
    };
    struct ::stat there
    {
    };
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &locked) == 0 &&
        ::lstat(file_.c_str(), &there) == 0 && locked.st_dev == there.st_dev && locked.st_ino == there.st_ino)
        return descriptor;
    ::close(descriptor);
    return -1;
}

DUET_DECL start_lock::~start_lock()
{
    if (descriptor_ < 0)
        return;
    ::unlink(file_.c_str());
    ::close(descriptor_);
}

DUET_DECL bool remove_stale_socket_file(char const* path) noexcept
{
    struct ::stat status
    {
    };
    ::sockaddr_un address{};
    if (::lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode) || std::strlen(path) >= sizeof(address.sun_path))
        return false;
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path);
    int const probe = open_socket(AF_UNIX, SOCK_STREAM, 0, true);
    if (probe < 0)
        return false;
    bool const refused =
        ::connect(probe, reinterpret_cast<::sockaddr*>(&address), sizeof(address)) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused && ::unlink(path) == 0;
}

DUET_DECL socket_file socket_file_at(std::string const& path)
{
    struct ::stat status
    {
    };
    // An abstract name begins with a null byte and has no file.
    if (path.empty() || path.front() == '\0' || ::lstat(path.c_str(), &status) != 0)
        return {};
    return {path, status.st_dev, status.st_ino};
}

DUET_DECL void remove_socket_file(socket_file const& file) noexcept
{
    struct ::stat status
    {
    };
    if (!file.path.empty() && ::lstat(file.path.c_str(), &status) == 0 && status.st_dev == file.device &&
        status.st_ino == file.inode)
        ::unlink(file.path.c_str());
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
