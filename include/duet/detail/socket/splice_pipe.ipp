// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_SPLICE_PIPE_IPP
#define DUET_DETAIL_SOCKET_SPLICE_PIPE_IPP

#include <boost/asio/error.hpp>

#include <cerrno>
#include <ctime>

#include <duet/detail/socket/socket_calls.hpp>
#include <duet/detail/socket/splice_pipe.hpp>

#if defined(__linux__)
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

#if defined(__linux__)

/// RAII: blocks SIGPIPE. splice(2) has no MSG_NOSIGNAL, and raises SIGPIPE in the calling thread if the socket's peer
/// is gone.
class without_sigpipe
{
public:
    without_sigpipe() noexcept
    {
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
        if (was_blocked())
            ::sigpending(&pending_);
        else
            ::sigemptyset(&pending_);
    }

    without_sigpipe(without_sigpipe const&) = delete;
    without_sigpipe& operator=(without_sigpipe const&) = delete;

    ~without_sigpipe()
    {
        if (!was_blocked())
            ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

    /// Discard the SIGPIPE that splice(2) raised, unless one was already pending before: that one is not ours.
    void take_back() noexcept
    {
        ::timespec const now{};
        if (::sigismember(&pending_, SIGPIPE) == 0)
            ::sigtimedwait(&sigpipe_, nullptr, &now);
    }

private:
    bool was_blocked() const noexcept { return ::sigismember(&before_, SIGPIPE) == 1; }

    ::sigset_t sigpipe_;
    ::sigset_t before_;
    ::sigset_t pending_;
};

/// True if the system supports splice(2) and no system call filter blocks it. This is tested without a connection,
/// because an error of splice(2) on a connection may be the connection's own, and is reported only once (an IPv6
/// router's ICMP message can turn a timeout into EACCES).
inline bool system_splices(int pipe) noexcept
{
    return ::splice(-1, nullptr, pipe, nullptr, 1, SPLICE_F_NONBLOCK) < 0 && errno == EBADF;
}

DUET_DECL splice_pipe::~splice_pipe()
{
    if (out_ < 0)
        return;
    ::close(out_);
    ::close(in_);
}

DUET_DECL bool splice_pipe::open() noexcept
{
    int both[2];
    if (::pipe2(both, O_NONBLOCK | O_CLOEXEC) != 0)
        return false;
    out_ = both[0];
    in_ = both[1];
    // Fail if the pipe is too small: a user with 64 MiB of pipes gets only two pages for each further pipe, which is
    // slower than a buffer.
    return ::fcntl(out_, F_SETPIPE_SZ, capacity) >= capacity && system_splices(in_);
}

DUET_DECL std::size_t splice_pipe::take(int socket, error_code& error) noexcept
{
    if (in_ < 0)
        return 0;
    ::ssize_t size;
    do
        size = ::splice(socket, nullptr, in_, nullptr, capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (size < 0 && errno == EINTR);
    if (size >= 0)
        return held_ = static_cast<std::size_t>(size);
    int const failure = errno;
    // EINVAL and ENOMEM may also be the connection's own failure. A failed connection has hung up, so then it is not a
    // refusal.
    refused_ = (failure == EINVAL || failure == ENOMEM) && !has_hung_up(socket);
    if (!refused_)
        error.assign(failure, boost::system::system_category());
    return 0;
}

DUET_DECL std::size_t splice_pipe::give(int socket, std::size_t size, error_code& error) noexcept
{
    without_sigpipe guard;
    ::ssize_t given;
    do
        given = ::splice(out_, nullptr, socket, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (given < 0 && errno == EINTR);
    int const failure = given < 0 ? errno : 0;
    // The peer may have gone after a part of the bytes was accepted. splice(2) then returns that part without an error,
    // but has raised SIGPIPE.
    if (failure == EPIPE || (failure == 0 && static_cast<std::size_t>(given) < size))
        guard.take_back();
    if (failure == 0)
    {
        held_ -= static_cast<std::size_t>(given);
        return static_cast<std::size_t>(given);
    }
    error.assign(failure, boost::system::system_category());
    return 0;
}

#else

DUET_DECL splice_pipe::~splice_pipe() = default;

DUET_DECL bool splice_pipe::open() noexcept
{
    return false;
}

DUET_DECL std::size_t splice_pipe::take(int, error_code& error) noexcept
{
    error = boost::asio::error::operation_not_supported;
    return 0;
}

DUET_DECL std::size_t splice_pipe::give(int, std::size_t, error_code& error) noexcept
{
    error = boost::asio::error::operation_not_supported;
    return 0;
}

#endif

DUET_DECL splice_pipe splice_pipes::borrow() noexcept
{
    {
        std::lock_guard const lock{mutex_};
        if (!kept_.empty())
        {
            splice_pipe last{std::move(kept_.back())};
            kept_.pop_back();
            return last;
        }
    }
    splice_pipe made;
    return made.open() ? std::move(made) : splice_pipe{};
}

DUET_DECL void splice_pipes::give_back(splice_pipe&& pipe) noexcept
{
    std::lock_guard const lock{mutex_};
    if (pipe.reusable() && kept_.size() < kept_.capacity())
        kept_.push_back(std::move(pipe));
}

DUET_DECL void splice_pipes::shutdown() noexcept
{
    std::lock_guard const lock{mutex_};
    std::vector<splice_pipe>{}.swap(kept_);  // free the capacity, too, so that give_back() keeps no more pipes
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
