// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_INJECTED_FAILURES_HPP
#define DUET_TEST_INJECTED_FAILURES_HPP

#include <cerrno>
#include <chrono>
#include <deque>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace duet_test {

/// What the next calls of accept4 are to fail with, and how many calls there were.
inline std::deque<int> injected;
inline int accept_calls = 0;
inline std::chrono::steady_clock::time_point accept_called_at;

}  // namespace duet_test

// The test program's own, found before libc's; so only one file of a program may include this. The library calls accept
// where the system has no accept4.
extern "C" int accept4(int listener, ::sockaddr* address, ::socklen_t* size, int flags)
{
    using namespace duet_test;
    ++accept_calls;
    accept_called_at = std::chrono::steady_clock::now();
    if (!injected.empty())
    {
        errno = injected.front();
        injected.pop_front();
        return -1;
    }
    return static_cast<int>(::syscall(SYS_accept4, listener, address, size, flags));
}

extern "C" int accept(int listener, ::sockaddr* address, ::socklen_t* size)
{
    return accept4(listener, address, size, 0);
}

#endif
