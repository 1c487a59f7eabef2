// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "printer.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include <cerrno>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace tool {

struct printer::state
{
    struct piece
    {
        int descriptor;
        std::string text;
    };

    static constexpr std::size_t room_to_pass = std::size_t{64} * 1024;
    static constexpr std::size_t room = std::size_t{64} * 1024 * 1024;

    void add(int descriptor, std::string text, std::size_t limit)
    {
        std::lock_guard const lock{mutex};
        if (text.empty())
            return;
        bool const output = descriptor == STDOUT_FILENO;
        if (output && broken)
            return;
        if (waiting + text.size() > limit)
        {
            left_out += static_cast<std::size_t>(std::ranges::count(text, '\n'));
            return;
        }
        if (output)
            tell_left_out();
        push(descriptor, std::move(text));
    }

    void tell_left_out()
    {
        if (left_out > 0)
            push(STDOUT_FILENO, "... " + std::to_string(std::exchange(left_out, 0)) +
                                    " lines left out: they came faster than they are read\n");
    }

    void push(int descriptor, std::string text)
    {
        waiting += text.size();
        pieces.push_back({descriptor, std::move(text)});
        changed.notify_all();
    }

    void run()
    {
        std::unique_lock lock{mutex};
        for (;;)
        {
            changed.wait(lock, [&] { return !pieces.empty() || over; });
            if (pieces.empty())
                return;
            auto const& first = pieces.front();  // only this thread removes it
            lock.unlock();
            int const error = write(first);
            lock.lock();
            waiting -= first.text.size();
            if (error != 0 && first.descriptor == STDOUT_FILENO)
                break_off(error);
            pieces.pop_front();
            changed.notify_all();
        }
    }

    /// Returns errno, or 0.
    int write(piece const& what)
    {
        for (std::string_view rest = what.text; !rest.empty();)
        {
            auto const size = ::write(what.descriptor, rest.data(), rest.size());
            if (size < 0 && errno == EINTR)
                continue;
            if (size < 0)
                return errno;
            rest.remove_prefix(static_cast<std::size_t>(size));
            std::lock_guard const lock{mutex};
            ++progress;
        }
        return 0;
    }

    void break_off(int error)
    {
        broken = true;
        // Not the first: that is the one that failed, which is removed by who wrote it.
        auto const useless = std::stable_partition(pieces.begin() + 1, pieces.end(),
            [](piece const& each) { return each.descriptor != STDOUT_FILENO; });
        for (auto each = useless; each != pieces.end(); ++each)
            waiting -= each->text.size();
        pieces.erase(useless, pieces.end());
        push(STDERR_FILENO, std::string{"duet-trace: standard output: "} + std::strerror(error) +
                                "; nothing more is shown there\n");
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<piece> pieces;
    std::size_t waiting = 0;
    std::size_t left_out = 0;
    std::size_t progress = 0;
    bool broken = false;
    bool over = false;
};

printer::printer() : state_{std::make_shared<state>()}
{
    // The thread has no signals: SIGPIPE becomes an error of the write.
    ::sigset_t all;
    ::sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    std::thread{[state = state_] { state->run(); }}.detach();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

printer::~printer()
{
    std::lock_guard const lock{state_->mutex};
    state_->over = true;
    state_->changed.notify_all();
}

void printer::pass(std::string lines)
{
    state_->add(STDOUT_FILENO, std::move(lines), state::room_to_pass);
}

void printer::say(std::string text)
{
    state_->add(STDOUT_FILENO, std::move(text), state::room);
}

void printer::complain(std::string line)
{
    state_->add(STDERR_FILENO, "duet-trace: " + std::move(line) + '\n', state::room);
}

bool printer::finish()
{
    std::unique_lock lock{state_->mutex};
    state_->tell_left_out();
    for (;;)
    {
        auto const before = state_->progress;
        auto const empty = [&] { return state_->pieces.empty(); };
        if (state_->changed.wait_for(lock, std::chrono::seconds{5}, empty))
            return !state_->broken;
        if (state_->progress == before)
            return false;
    }
}

}  // namespace tool
