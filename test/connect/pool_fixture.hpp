// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_POOL_FIXTURE_HPP
#define DUET_TEST_POOL_FIXTURE_HPP

// A pool whose connections lead to peers in memory, on a clock that moves by itself.

#include "session/memory_fixture.hpp"
#include "support/coro.hpp"
#include "support/simulated_time.hpp"
#include "support/started.hpp"

#include <duet/connection_pool.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace duet_test {

using namespace std::chrono_literals;

// What a pool asks of a connector. Each connection has a peer, in the order of the connects.
class memory_connector
{
public:
    using executor_type = asio::any_io_executor;
    using endpoint_type = duet::testing::memory_endpoint;
    using session_type = memory_session;

    struct script
    {
        explicit script(simulated_time& t) : time{t} {}

        simulated_time& time;
        std::deque<memory_peer> peers{};
        std::size_t begun = 0;
        std::size_t failures = 0;  // the next ones fail
        simulated_time::duration takes{};
    };

    explicit memory_connector(std::shared_ptr<script> shared) : shared_{std::move(shared)} {}

    executor_type get_executor() const { return shared_->time.context.get_executor(); }

    asio::awaitable<session_type> connect(endpoint_type) { return run(shared_); }

private:
    static asio::awaitable<session_type> run(std::shared_ptr<script> shared)
    {
        ++shared->begun;
        if (shared->takes > simulated_time::duration::zero())
            co_await shared->time.pause(shared->takes);
        if (shared->failures > 0)
        {
            --shared->failures;
            throw boost::system::system_error{asio::error::connection_refused};
        }
        auto const number = std::to_string(shared->peers.size());
        auto ends = duet::testing::memory_stream::pair(shared->time.context.get_executor(), "client", number);
        shared->peers.emplace_back(std::move(ends.second));
        co_return session_type{std::move(ends.first)};
    }

    std::shared_ptr<script> shared_;
};

using memory_pool = duet::basic_connection_pool<memory_connector>;
using memory_lease = memory_pool::lease;

struct pool_fixture
{
    memory_connector connector() { return memory_connector{server}; }

    // It has to be called before the pool is.
    std::unique_ptr<memory_pool> make(duet::pool_options const& options = {})
    {
        return std::make_unique<memory_pool>(connector(), duet::testing::memory_endpoint{"server"}, options);
    }

    static asio::awaitable<memory_lease> acquire(memory_pool& pool)
    {
        memory_lease result = co_await pool.acquire();
        co_return result;
    }

    // An acquire() under way.
    started<memory_lease> begin(memory_pool& pool)
    {
        return started<memory_lease>{time.context.get_executor(), pool.acquire()};
    }

    template <class Body>
    void play(Body body)
    {
        time.run(body());
    }

    // Run `body(pool)` to its end.
    template <class Body>
    void with_pool(duet::pool_options const& options, Body body)
    {
        auto const use = [&]() -> asio::awaitable<void>
        {
            auto const pool = make(options);
            co_await body(*pool);
        };
        play(use);
    }

    template <class Body>
    void with_pool(Body body)
    {
        with_pool({}, std::move(body));
    }

    memory_peer& peer(std::size_t number) { return server->peers.at(number); }

    simulated_time time;
    std::shared_ptr<memory_connector::script> server = std::make_shared<memory_connector::script>(time);
};

// Which connection it is: the number of its peer.
inline std::string where(memory_lease& lease)
{
    return lease->remote_endpoint().name;
}

}  // namespace duet_test

#endif
