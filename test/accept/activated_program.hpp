// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ACTIVATED_PROGRAM_HPP
#define DUET_TEST_ACTIVATED_PROGRAM_HPP

// What a service manager does before it executes a program with sockets for it, done in a child process.

#include "support/descriptor.hpp"
#include "support/fd.hpp"
#include "support/wait.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace duet_test {

/// What the manager says. An absent variable is not set.
struct activation
{
    std::vector<int> handed{};                // become 3, 4, ...; -1 leaves a hole
    std::optional<std::string> names{};       // LISTEN_FDNAMES
    std::optional<std::string> pid = "self";  // LISTEN_PID; "self" is the child's
    std::optional<std::string> count{};       // LISTEN_FDS, if it is not the number of those handed over
    bool without_count = false;
};

/// A program that a manager starts: it runs `body` and reports what that returns, or throws.
class activated_program
{
public:
    activated_program(activation const& given, std::function<std::string()> const& body)
    {
        std::array<int, 2> ends{};
        checked(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
        output_ = descriptor{ends[0]};
        descriptor input{ends[1]};
        std::fflush(nullptr);  // what waits there would be written twice
        id_ = checked(::fork(), "fork");
        if (id_ == 0)
            live(given, body, input.get());
    }

    activated_program(activated_program const&) = delete;
    activated_program& operator=(activated_program const&) = delete;

    ~activated_program()
    {
        if (id_ <= 0)
            return;
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }

    /// Waits for its end.
    std::string report()
    {
        std::string result;
        std::array<char, 4096> part;
        for (;;)
        {
            pollfd polled{output_.get(), POLLIN, 0};
            auto const guard = std::chrono::milliseconds{blocking_guard}.count();
            if (checked(::poll(&polled, 1, static_cast<int>(guard)), "poll") == 0)
                throw hang{"the child reports nothing"};
            auto const size = checked(::read(output_.get(), part.data(), part.size()), "read from the child");
            if (size == 0)
                break;
            result.append(part.data(), static_cast<std::size_t>(size));
        }
        int status = 0;
        checked(::waitpid(std::exchange(id_, -1), &status, 0), "waitpid");
        if (status != 0)
            result += " (the child ended with status " + std::to_string(status) + ')';
        return result;
    }

private:
    [[noreturn]] static void live(activation const& given, std::function<std::string()> const& body, int output)
    {
        std::string text;
        try
        {
            ::dup2(output, STDOUT_FILENO);
            place(given.handed);
            auto const pid = given.pid == "self" ? std::to_string(::getpid()) : given.pid;
            set("LISTEN_PID", pid);
            set("LISTEN_FDS", given.without_count ? std::nullopt
                              : given.count       ? given.count
                                                  : std::to_string(given.handed.size()));
            set("LISTEN_FDNAMES", given.names);
            text = body();
        }
        catch (std::exception const& error)
        {
            text = std::string{"it threw: "} + error.what();
        }
        bool const told = ::write(STDOUT_FILENO, text.data(), text.size()) == static_cast<::ssize_t>(text.size());
        ::_exit(told ? 0 : 1);
    }

    /// Nothing is open from 3 on but what is handed over, and that is not close-on-exec.
    static void place(std::vector<int> const& handed)
    {
        int const away = 3 + static_cast<int>(handed.size());
        std::vector<int> copies;
        for (int const each : handed)
            copies.push_back(each < 0 ? -1 : checked(::fcntl(each, F_DUPFD, away), "dup"));
        for (auto const& [open, what] : open_descriptors())
            if (open > STDERR_FILENO && std::find(copies.begin(), copies.end(), open) == copies.end())
                ::close(open);
        for (std::size_t i = 0; i < copies.size(); ++i)
        {
            if (copies[i] < 0)
                continue;
            checked(::dup2(copies[i], 3 + static_cast<int>(i)), "dup2");
            ::close(copies[i]);
        }
    }

    static void set(char const* name, std::optional<std::string> const& value)
    {
        if (value)
            ::setenv(name, value->c_str(), 1);
        else
            ::unsetenv(name);
    }

    descriptor output_;
    pid_t id_ = -1;
};

}  // namespace duet_test

#endif
