// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SOCKET_CALLS_HPP
#define DUET_TEST_SOCKET_CALLS_HPP

// What is asked of the kernel: calls of this program that pass by here on their way to the C library. For one source of
// a program: it defines them.

#include <mutex>
#include <string_view>
#include <vector>

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

namespace duet_test {

struct socket_call
{
    char const* name;
    int what;  // shutdown's direction, the option's name, or the flags of a send
    linger lingering;
};

// The calls that were made on one descriptor.
class call_log
{
public:
    explicit call_log(int const fd)
    {
        std::scoped_lock const lock{mutex};
        watched = fd;
        calls.clear();
    }

    ~call_log()
    {
        std::scoped_lock const lock{mutex};
        watched = -1;
    }

    call_log(call_log const&) = delete;
    call_log& operator=(call_log const&) = delete;

    static void note(int const fd, socket_call const& call)
    {
        std::scoped_lock const lock{mutex};
        if (fd == watched)
            calls.push_back(call);
    }

    static std::vector<socket_call> named(std::string_view const name)
    {
        std::scoped_lock const lock{mutex};
        auto result = calls;
        std::erase_if(result, [&](socket_call const& each) { return each.name != name; });
        return result;
    }

private:
    static inline std::mutex mutex;
    static inline int watched = -1;
    static inline std::vector<socket_call> calls;
};

template <typename Function>
Function* next_in_line(char const* const name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace duet_test

extern "C" int shutdown(int const fd, int const how) noexcept
{
    static auto* const next = duet_test::next_in_line<int(int, int)>("shutdown");
    duet_test::call_log::note(fd, {"shutdown", how, {}});
    return next(fd, how);
}

extern "C" int setsockopt(
    int const fd, int const level, int const name, void const* const value, socklen_t const size) noexcept
{
    static auto* const next = duet_test::next_in_line<int(int, int, int, void const*, socklen_t)>("setsockopt");
    if (level == SOL_SOCKET)
        duet_test::call_log::note(
            fd, {"setsockopt", name, name == SO_LINGER ? *static_cast<linger const*>(value) : linger{}});
    return next(fd, level, name, value, size);
}

extern "C" int getsockopt(
    int const fd, int const level, int const name, void* const value, socklen_t* const size) noexcept
{
    static auto* const next = duet_test::next_in_line<int(int, int, int, void*, socklen_t*)>("getsockopt");
    if (level == SOL_SOCKET)
        duet_test::call_log::note(fd, {"getsockopt", name, {}});
    return next(fd, level, name, value, size);
}

extern "C" ssize_t send(int const fd, void const* const data, size_t const size, int const flags)
{
    static auto* const next = duet_test::next_in_line<ssize_t(int, void const*, size_t, int)>("send");
    duet_test::call_log::note(fd, {"send", flags, {}});
    return next(fd, data, size, flags);
}

extern "C" ssize_t sendmsg(int const fd, msghdr const* const message, int const flags)
{
    static auto* const next = duet_test::next_in_line<ssize_t(int, msghdr const*, int)>("sendmsg");
    duet_test::call_log::note(fd, {"send", flags, {}});
    return next(fd, message, flags);
}

#endif
