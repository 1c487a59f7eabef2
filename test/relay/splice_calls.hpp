// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SPLICE_CALLS_HPP
#define DUET_TEST_SPLICE_CALLS_HPP

// Makes system calls of a relay that moves bulk by splice(2) fail. For one source of a program: it defines them.

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace duet_test {

inline bool is_socket(int descriptor)
{
    struct ::stat what = {};
    return ::fstat(descriptor, &what) == 0 && S_ISSOCK(what.st_mode);
}

/// What becomes of some system calls, for a scope.
class calls
{
public:
    struct how
    {
        int splice_fails = 0;        // with this errno
        int taking_fails = 0;        // of splice(2), from a socket
        bool hangs_up = false;       // ... which is at its end then
        int resizing_fails = 0;      // of a pipe
        bool ends_half_way = false;  // splice(2) has given half when the peer goes
    };

    struct count
    {
        std::atomic<int> splice = 0;
    };

    explicit calls(how const& wanted)
    {
        now() = wanted;
        made().splice = 0;
    }

    calls(calls const&) = delete;
    calls& operator=(calls const&) = delete;
    ~calls() { now() = {}; }

    static how& now()
    {
        static how result;
        return result;
    }

    static count& made()
    {
        static count result;
        return result;
    }
};

}  // namespace duet_test

// The test program's own, found before the C library's.
extern "C" ::ssize_t splice(int in, ::loff_t*, int out, ::loff_t*, std::size_t size, unsigned flags)
{
    ++duet_test::calls::made().splice;
    auto const& how = duet_test::calls::now();
    if (how.splice_fails != 0)
    {
        errno = how.splice_fails;
        return -1;
    }
    if (how.taking_fails != 0 && duet_test::is_socket(in))
    {
        if (how.hangs_up)
            ::shutdown(in, SHUT_RDWR);
        errno = how.taking_fails;
        return -1;
    }
    if (how.ends_half_way)
    {
        ::raise(SIGPIPE);
        size /= 2;
    }
    return ::syscall(SYS_splice, in, nullptr, out, nullptr, size, flags);
}

extern "C" int fcntl(int descriptor, int command, ...)
{
    std::va_list rest;
    va_start(rest, command);
    long const argument = va_arg(rest, long);
    va_end(rest);
    if (command == F_SETPIPE_SZ && duet_test::calls::now().resizing_fails != 0)
    {
        errno = duet_test::calls::now().resizing_fails;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fcntl, descriptor, command, argument));
}

#endif
