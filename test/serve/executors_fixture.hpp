// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_EXECUTORS_FIXTURE_HPP
#define DUET_TEST_EXECUTORS_FIXTURE_HPP

// What a server may run on whose threads belong to the program, and a handler that watches its executor.

#include "serve/server_fixture.hpp"

#include <duet/server.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace duet_test {

/// An execution context that a program has made for itself: threads, and a queue of functions.
class own_context : public asio::execution_context
{
public:
    class executor_type
    {
    public:
        explicit executor_type(own_context& of) noexcept : context_{&of} {}

        template <class Function>
        void execute(Function&& function) const
        {
            auto const shared = std::make_shared<std::decay_t<Function>>(std::forward<Function>(function));
            context_->push([shared] { std::move (*shared)(); });
        }

        own_context& query(asio::execution::context_t) const noexcept { return *context_; }
        static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
        {
            return asio::execution::blocking.never;
        }

        bool operator==(executor_type const&) const noexcept = default;

    private:
        own_context* context_;
    };

    explicit own_context(std::size_t threads)
    {
        while (threads_.size() < threads)
            threads_.emplace_back([this] { work(); });
    }

    own_context(own_context const&) = delete;
    own_context& operator=(own_context const&) = delete;

    ~own_context()
    {
        stop();
        shutdown();
        std::deque<std::function<void()>>{}.swap(functions_);
        destroy();
    }

    executor_type get_executor() noexcept { return executor_type{*this}; }

    /// What is in the queue stays there.
    void stop()
    {
        {
            std::lock_guard const lock{mutex_};
            stopped_ = true;
        }
        changed_.notify_all();
        threads_.clear();
    }

private:
    void push(std::function<void()> function)
    {
        {
            std::lock_guard const lock{mutex_};
            functions_.push_back(std::move(function));
        }
        changed_.notify_one();
    }

    void work()
    {
        for (;;)
        {
            std::unique_lock lock{mutex_};
            changed_.wait(lock, [this] { return stopped_ || !functions_.empty(); });
            if (stopped_)
                return;
            auto const function = std::move(functions_.front());
            functions_.pop_front();
            lock.unlock();
            function();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> functions_;
    bool stopped_ = false;
    std::deque<std::jthread> threads_;
};

/// An io_context that two threads run.
class shared_context
{
public:
    shared_context() = default;
    shared_context(shared_context const&) = delete;
    shared_context& operator=(shared_context const&) = delete;

    ~shared_context() { context.stop(); }

    asio::io_context context;

private:
    asio::executor_work_guard<asio::io_context::executor_type> work_{context.get_executor()};
    std::jthread first_{[this] { context.run(); }};
    std::jthread second_{[this] { context.run(); }};
};

/// Who runs on which executor. ThreadSanitizer sees it if two handlers of one strand run at once: what they share per
/// executor is not locked.
class watched_executors
{
    struct executor_use
    {
        explicit executor_use(asio::any_io_executor of) : executor{std::move(of)} {}

        asio::any_io_executor executor;
        std::atomic<int> inside{0};
        long steps = 0;  // not locked
    };

public:
    /// One step of a handler of this session.
    template <class Session>
    void step(Session const& session)
    {
        auto& use = use_of(session.get_executor());
        if (use.inside.fetch_add(1) != 0)
            overlapped = true;
        ++use.steps;
        use.inside.fetch_sub(1);
    }

    std::size_t executors() const
    {
        std::lock_guard const lock{mutex_};
        return uses_.size();
    }

    std::atomic<bool> overlapped{false};

private:
    executor_use& use_of(asio::any_io_executor const& executor)
    {
        std::lock_guard const lock{mutex_};
        for (auto& each : uses_)
            if (each.executor == executor)
                return each;
        return uses_.emplace_back(executor);
    }

    mutable std::mutex mutex_;
    std::deque<executor_use> uses_;
};

inline constexpr int client_count = 32;

inline duet::server_options strands(std::size_t count, duet::server_options options = {})
{
    options.threads = count;
    return on_loopback(std::move(options));
}

inline std::deque<raw_socket> clients_of(duet::server const& serving, int count = client_count)
{
    std::deque<raw_socket> result;
    while (result.size() < static_cast<std::size_t>(count))
        result.push_back(client_of(serving));
    return result;
}

/// Lines of 5 bytes, echoed with all deadlines in use. Every step is watched.
struct watched_echo
{
    watched_executors& watched;

    template <class Session>
    asio::awaitable<void> operator()(Session peer) const
    {
        std::string line(5, '\0');
        for (;;)
        {
            watched.step(peer);
            auto const more = co_await peer.read_or_end(asio::buffer(line)).within(std::chrono::minutes{1});
            watched.step(peer);
            if (!more)
                break;
            co_await peer.write(asio::buffer(line));
        }
    }
};

struct watched_answer
{
    watched_executors& watched;

    asio::awaitable<bool> operator()(duet::session& peer) const
    {
        std::string line(5, '\0');
        watched.step(peer);
        auto const more = co_await peer.read_or_end(asio::buffer(line));
        watched.step(peer);
        if (more)
            co_await peer.write(asio::buffer(line));
        co_return static_cast<bool>(more);
    }
};

/// Drains on an executor of its own, as a program does that is told to end; blocks this thread until it has.
template <class Server>
duet::drain_report drain_elsewhere(Server& serving, std::chrono::steady_clock::duration timeout)
{
    asio::io_context elsewhere;
    auto report = asio::co_spawn(elsewhere, serving.drain(timeout), asio::use_future);
    elsewhere.run_for(run_guard);
    BOOST_REQUIRE((report.wait_for(std::chrono::seconds{0}) == std::future_status::ready));
    return report.get();
}

/// Sends lines from all clients, in rounds, so that the sessions are busy at once.
inline void exchange(std::deque<raw_socket>& clients, int rounds)
{
    for (int round = 0; round < rounds; ++round)
    {
        for (auto& each : clients)
            each.send_all("hello");
        for (auto& each : clients)
            BOOST_TEST(each.recv_exactly(5) == "hello");
    }
}

/// Each ends its connection when it is told to.
inline std::jthread leave_in_a_drain(std::deque<raw_socket>& clients)
{
    return std::jthread{[&clients]
        {
            for (auto& each : clients)
            {
                each.recv_all();
                each.close();
            }
        }};
}

inline void leave(std::deque<raw_socket>& clients)
{
    for (auto& each : clients)
        each.shutdown_write();
    for (auto& each : clients)
    {
        BOOST_TEST(each.recv_all().error == 0);
        each.close();
    }
}

/// Handlers that have begun and not ended.
struct counted_handlers
{
    std::atomic<int> running{0};

    struct one
    {
        explicit one(std::atomic<int>& of) : count{of} { ++count; }

        one(one const&) = delete;
        one& operator=(one const&) = delete;

        ~one() { --count; }

        std::atomic<int>& count;
    };

    auto handler()
    {
        return [this](duet::session peer) -> asio::awaitable<void>
        {
            one const guard{running};
            co_await echo(std::move(peer));
        };
    }
};

/// Clients that send and receive all the time, until they are reset or told to end.
class traffic
{
public:
    explicit traffic(duet::server const& serving) : clients_{clients_of(serving, 8)}
    {
        for (auto& each : clients_)
            threads_.emplace_back([this, &each] { talk(each); });
        eventually([this] { return answers_ > 100; }, "the clients are answered");
    }

    /// What each has met at the end.
    std::vector<int> errors()
    {
        for (auto& each : threads_)
            each.join();
        return errors_;
    }

private:
    void talk(raw_socket& client)
    {
        int error = 0;
        for (bool going_on = true; going_on;)
        {
            error = client.send_some("hello").error;
            auto const heard = error == 0 ? client.recv_some() : received{};
            error = error == 0 ? heard.error : error;
            going_on = !heard.data.empty();
            ++answers_;
        }
        std::lock_guard const lock{mutex_};
        errors_.push_back(error);
    }

    std::deque<raw_socket> clients_;
    std::atomic<int> answers_{0};
    std::mutex mutex_;
    std::vector<int> errors_;
    std::deque<std::jthread> threads_;
};

inline void require_resets(std::vector<int> const& errors)
{
    for (int const error : errors)
        BOOST_TEST((error == ECONNRESET || error == EPIPE));  // EPIPE: after a reset that a send met
}

}  // namespace duet_test

#endif
