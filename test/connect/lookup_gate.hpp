// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_LOOKUP_GATE_HPP
#define DUET_TEST_LOOKUP_GATE_HPP

// Look-ups that take as long as a test wants.

#include "support/coro.hpp"
#include "support/wait.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include <duet/resolver.hpp>

namespace duet_test {

using endpoints = std::vector<asio::ip::tcp::endpoint>;

inline endpoints const looked_up{
    {asio::ip::make_address("192.0.2.1"), 80}, {asio::ip::make_address("2001:db8::1"), 80}};

// A look-up that takes until the test lets it go on. Its threads outlive every resolver: they share this.
class gate
{
public:
    // Waits for the threads to leave: they are nobody's, and would run into the next test.
    ~gate()
    {
        open(1000);
        eventually([&] { return state_->inside == 0; }, "every look-up's thread has left");
    }

    duet::system_resolver::lookup_function lookup()
    {
        return [state = state_](std::string const&, std::string const&)
        {
            ++state->inside;
            ++state->begun;
            state->entry.acquire();
            struct leave
            {
                std::atomic<int>& inside;
                ~leave() { --inside; }
            } const guard{state->inside};
            return looked_up;
        };
    }

    int inside() const { return state_->inside; }
    int begun() const { return state_->begun; }
    void open(int count = 1) { state_->entry.release(count); }

private:
    struct state
    {
        std::counting_semaphore<> entry{0};
        std::atomic<int> inside{0};
        std::atomic<int> begun{0};
    };

    std::shared_ptr<state> state_ = std::make_shared<state>();
};

inline asio::awaitable<void> keep(asio::awaitable<endpoints> resolving, endpoints& result)
{
    result = co_await std::move(resolving);
}

}  // namespace duet_test

#endif
