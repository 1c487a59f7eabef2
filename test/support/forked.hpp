// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_FORKED_HPP
#define DUET_TEST_FORKED_HPP

// A child that fork() makes of the test: it has copies of all descriptors.

#include "support/descriptor.hpp"
#include "support/wait.hpp"

#include <array>
#include <cstdio>
#include <exception>
#include <functional>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace duet_test {

/// Runs `body` in a child, which keeps its copies until end() and then runs `last`.
class forked_child
{
public:
    explicit forked_child(
        std::function<void()> const& body = [] {}, std::function<void()> const& last = [] {})
    {
        std::array<int, 2> stop{};
        std::array<int, 2> ready{};
        checked(::pipe2(stop.data(), O_CLOEXEC), "pipe2");
        stop_ = descriptor{stop[1]};
        descriptor stopped{stop[0]};
        checked(::pipe2(ready.data(), O_CLOEXEC), "pipe2");
        descriptor is_ready{ready[0]};
        descriptor tell_ready{ready[1]};
        std::fflush(nullptr);  // what waits there would be written twice
        id_ = checked(::fork(), "fork");
        if (id_ == 0)
        {
            stop_.close();
            int code = 1;
            try
            {
                body();
                tell_ready.close();
                char nothing;
                if (::read(stopped.get(), &nothing, 1) == 0)
                    code = 0;
                last();
            }
            catch (std::exception const& error)
            {
                std::fprintf(stderr, "in the child: %s\n", error.what());
                code = 1;
            }
            ::_exit(code);
        }
        tell_ready.close();
        char nothing;
        if (::read(is_ready.get(), &nothing, 1) != 0)
            throw_errno("read from the child");
    }

    forked_child(forked_child const&) = delete;
    forked_child& operator=(forked_child const&) = delete;

    ~forked_child()
    {
        if (id_ <= 0)
            return;
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }

    /// Its exit status; 0 is good. Throws hang.
    int end()
    {
        stop_.close();
        int status = 0;
        eventually([&] { return ::waitpid(id_, &status, WNOHANG) == id_; }, "the child ends");
        id_ = -1;
        return status;
    }

private:
    descriptor stop_;
    pid_t id_ = -1;
};

/// Runs `body` in a child and waits for its end. 0 is good.
inline int in_child(std::function<void()> const& body)
{
    return forked_child{body}.end();
}

}  // namespace duet_test

#endif
