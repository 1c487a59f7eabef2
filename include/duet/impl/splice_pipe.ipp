// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_SPLICE_PIPE_IPP
#define DUET_IMPL_SPLICE_PIPE_IPP

#include <boost/asio/error.hpp>

#include <cerrno>
#include <ctime>

#include <duet/detail/splice_pipe.hpp>

#if defined(__linux__)
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#endif

namespace duet {
inline namespace v0 {
namespace detail {

#if defined(__linux__)

/// splice(2) to a socket whose peer is gone raises SIGPIPE in the thread that calls it, and has no MSG_NOSIGNAL.
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

    /// It was raised. One that was there before is somebody else's.
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
    ::fcntl(both[0], F_SETPIPE_SZ, capacity);  // or what the system allows
    out_ = both[0];
    in_ = both[1];
    return true;
}

DUET_DECL std::size_t splice_pipe::take(int socket, error_code& error) noexcept
{
    ::ssize_t size;
    do
        size = ::splice(socket, nullptr, in_, nullptr, capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (size < 0 && errno == EINTR);
    if (size >= 0)
        return static_cast<std::size_t>(size);
    if (errno != EAGAIN)
        error.assign(errno, boost::system::system_category());
    return 0;
}

DUET_DECL std::size_t splice_pipe::give(int socket, std::size_t size, error_code& error) noexcept
{
    without_sigpipe guard;
    ::ssize_t given;
    do
        given = ::splice(out_, nullptr, socket, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (given < 0 && errno == EINTR);
    if (given >= 0)
        return static_cast<std::size_t>(given);
    error.assign(errno, boost::system::system_category());
    if (errno == EPIPE)
        guard.take_back();
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

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
