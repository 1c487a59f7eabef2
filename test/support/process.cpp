// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/process.hpp"

#include "support/wait.hpp"

#include <array>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace duet_test {
namespace {

void throw_on_error(int const error, char const* const what)
{
    if (error != 0)
        throw_errno(what, error);
}

// The parent's end first, both close-on-exec; the child's copy made by dup2 is not.
struct channel
{
    descriptor parent;
    descriptor child;
};

// A socket rather than a pipe: a write to a child that is gone must not raise SIGPIPE (P33).
channel open_input()
{
    std::array<int, 2> ends{};
    checked(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    return {descriptor{ends[0]}, descriptor{ends[1]}};
}

channel open_output()
{
    std::array<int, 2> ends{};
    checked(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    return {descriptor{ends[0]}, descriptor{ends[1]}};
}

class file_actions
{
public:
    file_actions() { throw_on_error(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init"); }

    ~file_actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    file_actions(file_actions const&) = delete;
    file_actions& operator=(file_actions const&) = delete;

    void place(int const fd, int const at)
    {
        throw_on_error(::posix_spawn_file_actions_adddup2(&actions_, fd, at), "posix_spawn_file_actions_adddup2");
    }

    posix_spawn_file_actions_t const* get() const noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

// The child starts with no signal blocked and SIGPIPE at its default, whatever the test has set.
class spawn_attributes
{
public:
    spawn_attributes()
    {
        throw_on_error(::posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
        sigset_t signals;
        sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes_, &signals);
        sigaddset(&signals, SIGPIPE);
        ::posix_spawnattr_setsigdefault(&attributes_, &signals);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }

    ~spawn_attributes() { ::posix_spawnattr_destroy(&attributes_); }

    spawn_attributes(spawn_attributes const&) = delete;
    spawn_attributes& operator=(spawn_attributes const&) = delete;

    posix_spawnattr_t const* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

void wait_readable(int const fd, char const* const what)
{
    auto const deadline = guard_clock::now() + blocking_guard;
    while (guard_clock::now() < deadline)
    {
        pollfd polled{fd, POLLIN, 0};
        int const ready = ::poll(&polled, 1, 1000);
        if (ready > 0)
            return;
        if (ready < 0 && errno != EINTR)
            throw_errno("poll");
    }
    throw hang{what};
}

}  // namespace

child_process::child_process(std::vector<std::string> command, child_errors const errors)
{
    auto input = open_input();
    auto output = open_output();
    file_actions actions;
    actions.place(input.child.get(), STDIN_FILENO);
    actions.place(output.child.get(), STDOUT_FILENO);
    if (errors == child_errors::merged)
        actions.place(output.child.get(), STDERR_FILENO);
    spawn_attributes const attributes;
    std::vector<char*> arguments;
    for (auto& argument : command)
        arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    throw_on_error(
        ::posix_spawnp(&id_, arguments[0], actions.get(), attributes.get(), arguments.data(), environ), arguments[0]);
    process_ = descriptor{static_cast<int>(checked(::syscall(SYS_pidfd_open, id_, 0), "pidfd_open"))};
    input_ = std::move(input.parent);
    output_ = std::move(output.parent);
}

child_process::~child_process()
{
    if (status_)
        return;
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
}

void child_process::write(std::string_view text)
{
    while (!text.empty())
    {
        auto const size = checked(::send(input_.get(), text.data(), text.size(), MSG_NOSIGNAL), "write to the child");
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

void child_process::close_input() noexcept
{
    input_.close();
}

// False at EOF.
bool child_process::read_more()
{
    wait_readable(output_.get(), "the child writes nothing");
    std::array<char, 4096> part;
    auto const size = checked(::read(output_.get(), part.data(), part.size()), "read from the child");
    buffer_.append(part.data(), static_cast<std::size_t>(size));
    return size != 0;
}

std::optional<std::string> child_process::read_line()
{
    for (;;)
    {
        if (auto const end = buffer_.find('\n'); end != std::string::npos)
        {
            auto line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        if (read_more())
            continue;
        if (buffer_.empty())
            return std::nullopt;
        return std::exchange(buffer_, {});
    }
}

std::string child_process::read_rest()
{
    while (read_more())
    {
    }
    return std::exchange(buffer_, {});
}

void child_process::signal(int const number)
{
    checked(::kill(id_, number), "kill");
}

exit_status child_process::wait()
{
    if (status_)
        return *status_;
    wait_readable(process_.get(), "the child does not end");
    int raw = 0;
    checked(::waitpid(id_, &raw, 0), "waitpid");
    exit_status result;
    if (WIFEXITED(raw))
        result.code = WEXITSTATUS(raw);
    else
        result.signal = WTERMSIG(raw);
    status_ = result;
    return result;
}

}  // namespace duet_test
