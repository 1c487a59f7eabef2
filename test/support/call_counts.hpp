// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CALL_COUNTS_HPP
#define DUET_TEST_CALL_COUNTS_HPP

// How often a program asks the kernel, and what: calls pass by here on their way to the C library. For one source of a
// program: it defines them.

#include <cstdarg>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace duet_test {

// How often calls were made. ioctl(2) is counted under the name of what it asks, and epoll_ctl(2) as "add", "modify"
// and "remove". Waits are not among them: how many there are depends on how fast the peer is.
class call_counts
{
public:
    // Of some calls, as "connect 1, close 1".
    std::string of(std::initializer_list<char const*> names) const
    {
        std::string result;
        for (auto const* const name : names)
        {
            auto const found = numbers_.find(name);
            auto const number = found == numbers_.end() ? 0 : found->second;
            result += (result.empty() ? "" : ", ") + std::string{name} + ' ' + std::to_string(number);
        }
        return result;
    }

    void add(char const* name) { ++numbers_[name]; }

private:
    std::map<std::string, int> numbers_;
};

// Counts the calls that this thread makes while the object exists. So a raw peer belongs into another thread.
class counted_calls
{
public:
    explicit counted_calls(call_counts& into) noexcept { into_ = &into; }

    counted_calls(counted_calls const&) = delete;
    counted_calls& operator=(counted_calls const&) = delete;

    ~counted_calls() { into_ = nullptr; }

    static void note(char const* name)
    {
        auto* const into = std::exchange(into_, nullptr);  // the count may allocate, and so make calls
        if (into)
            into->add(name);
        into_ = into;
    }

private:
    static inline thread_local call_counts* into_ = nullptr;
};

template <class Function>
Function* next_of(char const* name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// Note a call, and return the function that makes it.
template <class Function>
Function* passed_on(char const* name)
{
    counted_calls::note(name);
    return next_of<Function>(name);
}

}  // namespace duet_test

extern "C"
{

    int socket(int family, int type, int protocol) noexcept
    {
        return duet_test::passed_on<int(int, int, int)>("socket")(family, type, protocol);
    }

    int connect(int fd, ::sockaddr const* address, ::socklen_t size)
    {
        return duet_test::passed_on<int(int, ::sockaddr const*, ::socklen_t)>("connect")(fd, address, size);
    }

    int accept4(int fd, ::sockaddr* address, ::socklen_t* size, int flags)
    {
        return duet_test::passed_on<int(int, ::sockaddr*, ::socklen_t*, int)>("accept4")(fd, address, size, flags);
    }

    int getsockname(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
    {
        return duet_test::passed_on<int(int, ::sockaddr*, ::socklen_t*)>("getsockname")(fd, address, size);
    }

    int getpeername(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
    {
        return duet_test::passed_on<int(int, ::sockaddr*, ::socklen_t*)>("getpeername")(fd, address, size);
    }

    int setsockopt(int fd, int level, int name, void const* value, ::socklen_t size) noexcept
    {
        using type = int(int, int, int, void const*, ::socklen_t);
        return duet_test::passed_on<type>("setsockopt")(fd, level, name, value, size);
    }

    int getsockopt(int fd, int level, int name, void* value, ::socklen_t* size) noexcept
    {
        using type = int(int, int, int, void*, ::socklen_t*);
        return duet_test::passed_on<type>("getsockopt")(fd, level, name, value, size);
    }

    ::ssize_t send(int fd, void const* data, std::size_t size, int flags)
    {
        return duet_test::passed_on<::ssize_t(int, void const*, std::size_t, int)>("send")(fd, data, size, flags);
    }

    ::ssize_t recv(int fd, void* data, std::size_t size, int flags)
    {
        return duet_test::passed_on<::ssize_t(int, void*, std::size_t, int)>("recv")(fd, data, size, flags);
    }

    ::ssize_t sendmsg(int fd, ::msghdr const* message, int flags)
    {
        return duet_test::passed_on<::ssize_t(int, ::msghdr const*, int)>("sendmsg")(fd, message, flags);
    }

    ::ssize_t recvmsg(int fd, ::msghdr* message, int flags)
    {
        return duet_test::passed_on<::ssize_t(int, ::msghdr*, int)>("recvmsg")(fd, message, flags);
    }

    int shutdown(int fd, int how) noexcept
    {
        return duet_test::passed_on<int(int, int)>("shutdown")(fd, how);
    }

    int close(int fd)
    {
        return duet_test::passed_on<int(int)>("close")(fd);
    }

    int poll(::pollfd* entries, ::nfds_t count, int timeout)
    {
        return duet_test::passed_on<int(::pollfd*, ::nfds_t, int)>("poll")(entries, count, timeout);
    }

    int epoll_ctl(int fd, int operation, int of, ::epoll_event* event) noexcept
    {
        auto const* const name = operation == EPOLL_CTL_ADD ? "add" : operation == EPOLL_CTL_DEL ? "remove" : "modify";
        duet_test::counted_calls::note(name);
        return duet_test::next_of<int(int, int, int, ::epoll_event*)>("epoll_ctl")(fd, operation, of, event);
    }

    int ioctl(int fd, unsigned long request, ...) noexcept
    {
        std::va_list rest;
        va_start(rest, request);
        void* const argument = va_arg(rest, void*);
        va_end(rest);
        duet_test::counted_calls::note(request == FIONBIO ? "FIONBIO" : request == TIOCOUTQ ? "TIOCOUTQ" : "ioctl");
        return duet_test::next_of<int(int, unsigned long, ...)>("ioctl")(fd, request, argument);
    }

}  // extern "C"

#endif
