// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_SOCKET_FILE_HPP
#define DUET_DETAIL_ACCEPT_SOCKET_FILE_HPP

// The file of a Unix-domain socket.

#include <boost/system/error_code.hpp>

#include <string>

#include <duet/detail/config.hpp>

#include <sys/types.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// RAII: nobody else starts to listen on this path. "Nobody listens, so remove the file, and bind" is three steps, and
/// a socket that is bound but does not listen yet looks like one that nobody listens on.
///
/// The lock is flock(2) on a file beside the path, which is removed at the end. Its owner may also create the socket
/// file, so it gives nobody a new way to keep others from starting. A file that a killed program leaves is harmless:
/// the lock ended with the program.
class start_lock
{
public:
    /// Does nothing for an abstract name or an empty one. Waits for up to a second; after that, address_in_use.
    DUET_DECL start_lock(std::string const& path, boost::system::error_code& error);

    start_lock(start_lock const&) = delete;
    start_lock& operator=(start_lock const&) = delete;

    DUET_DECL ~start_lock();

private:
    /// Open and lock the file. -1: another program has it, or an error.
    int try_lock(boost::system::error_code& error) noexcept;

    std::string file_{};
    int descriptor_ = -1;
};

/// Remove a Unix-domain socket file that nobody listens on any more. Call it under a start_lock.
DUET_DECL bool remove_stale_socket_file(char const* path) noexcept;

/// The file of a Unix-domain socket. Device and inode identify it, because another file may replace it at the same
/// path.
struct socket_file
{
    std::string path{};  ///< empty: no file
    ::dev_t device{};
    ::ino_t inode{};
};

DUET_DECL socket_file socket_file_at(std::string const& path);

/// Remove the file, unless another one has replaced it.
DUET_DECL void remove_socket_file(socket_file const& file) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/socket_file.ipp>
#endif

#endif
