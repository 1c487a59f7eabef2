// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a relay takes: no memory for a message, no buffer while it waits, and no more than its turn.

#include <duet/relay.hpp>

#define BOOST_TEST_MODULE relay.pump
#include <boost/test/unit_test.hpp>

#include "relay/relay_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::detail::spare_relay_buffer;

namespace {

/// A relay on a context that the test runs itself, in its own thread.
struct relay_by_hand
{
    explicit relay_by_hand(duet::relay_options const& wanted = {}) : options{wanted} {}

    /// Run the context until this holds.
    template <class Condition>
    void until(Condition condition)
    {
        auto const give_up = guard_clock::now() + 20s * sanitizer_factor;
        while (!condition())
        {
            require(guard_clock::now() < give_up, "it does not come to that");
            context.run_one_for(10ms);
        }
    }

    void carry(raw_socket& from, raw_socket& to, std::string_view what)
    {
        from.send_all(what);
        until([&] { return unread_bytes(to.fd()) == what.size(); });
        require(to.recv_exactly(what.size()) == what, "other bytes than expected arrived");
    }

    /// Let the peer send until nothing moves any more.
    void fill(raw_socket& peer)
    {
        ssize_t sent = 0;
        std::uint64_t before = 0;
        do
        {
            before = line.second.bytes_sent();
            do
                sent = ::send(peer.fd(), bulk.data(), bulk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            while (sent > 0);
            context.poll();
        }
        while (line.second.bytes_sent() != before || unread_bytes(peer.fd()) > 0);
    }

    /// Both peers end, and so does the relay.
    duet::relay_report end()
    {
        line.left.shutdown_write();
        line.right.shutdown_write();
        until([&] { return relaying.done(); });
        duet::relay_report result;
        run(context, [&]() -> asio::awaitable<void> { result = co_await relaying.result(); }());
        return result;
    }

    duet::relay_options options;
    std::string bulk = std::string(64 * 1024, 'x');
    no_leaked_descriptors descriptors;
    asio::io_context context;
    relayed line{context.get_executor()};
    started<duet::relay_report> relaying{context.get_executor(), duet::relay(line.first, line.second, options)};
};

/// Who watches a session sees what the relay calls.
struct seen_operations final : duet::detail::connection_observer
{
    char const* on_operation(char const* name, std::size_t) noexcept override
    {
        begun.emplace_back(name);
        return name;
    }

    bool on_result(char const*& name, duet::error_code const& error, std::size_t size) noexcept override
    {
        ended.push_back(std::string{name} + ' ' + (error ? error.message() : std::to_string(size)));
        return true;
    }

    void on_call(duet::detail::channel_call, duet::error_code const&, std::size_t) noexcept override {}
    void on_wait_begun(duet::detail::channel_wait) noexcept override {}
    void on_wait_ended(duet::detail::channel_wait, duet::error_code const&, std::size_t) noexcept override {}
    void on_state(duet::lifecycle const&, duet::error_code const&) noexcept override {}

    std::vector<std::string> begun;
    std::vector<std::string> ended;
};

bool has(std::vector<std::string> const& list, std::string const& one)
{
    return std::find(list.begin(), list.end(), one) != list.end();
}

}  // namespace

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

BOOST_AUTO_TEST_CASE(a_message_takes_no_memory)
{
    relay_by_hand relay;
    std::string const message(100, 'm');
    auto const both_ways = [&]
    {
        relay.line.left.send_all(message);
        relay.until([&] { return unread_bytes(relay.line.right.fd()) == message.size(); });
        relay.line.right.send_all(message);
        relay.until([&] { return unread_bytes(relay.line.left.fd()) == message.size(); });
        char taken[128];
        for (auto* const each : {&relay.line.left, &relay.line.right})
            BOOST_TEST(::recv(each->fd(), taken, sizeof(taken), 0) == 100);
    };
    for (int i = 0; i < 3; ++i)
        both_ways();
    long const many = 1'000'000'000;
    allocations_before_failure = many;
    allocations_to_fail = 1;
    for (int i = 0; i < 20; ++i)
        both_ways();
    auto const left = allocations_before_failure;
    allocations_to_fail = allocations_before_failure = 0;
    BOOST_TEST(many - left < 20);  // BOOST_TEST itself may have some
    BOOST_TEST(relay.end().clean());
}

#endif

// A thousand relays whose peers say nothing share one buffer.
BOOST_AUTO_TEST_CASE(a_direction_that_waits_holds_no_buffer)
{
    relay_by_hand relay{{.splice = false}};
    relay.carry(relay.line.left, relay.line.right, "question");
    void const* const shared = spare_relay_buffer.data;
    BOOST_TEST(shared);
    auto const is_spare = [&] { return spare_relay_buffer.data == shared; };
    relay.carry(relay.line.right, relay.line.left, "answer");
    BOOST_TEST(is_spare());
    relay_by_hand other{{.splice = false}};
    other.carry(other.line.left, other.line.right, "question");
    BOOST_TEST(is_spare());
    // What the right side does not take stays in the buffer, and another relay has another one.
    relay.fill(relay.line.left);
    BOOST_TEST(!is_spare());
    other.carry(other.line.right, other.line.left, "answer");
    BOOST_TEST((spare_relay_buffer.data != nullptr));
    BOOST_TEST(other.end().clean());
}

BOOST_AUTO_TEST_CASE(buffers_of_every_size)
{
    auto const data = pattern(3'000'000);
    for (std::size_t const size : {0U, 1000U, 65'536U, 300'000U, 2'000'000U})
    {
        auto const part = std::string_view{data}.substr(0, size == 0 ? 2000 : data.size());
        auto const report = play({.buffer_size = size, .splice = false},
            [&](raw_socket& left, raw_socket& right)
            {
                std::jthread const says{[&]
                    {
                        left.send_all(part);
                        left.shutdown_write();
                    }};
                require_end(right.recv_all(), std::string{part}, 0);
                right.shutdown_write();
            });
        BOOST_TEST(report.clean());
        BOOST_TEST(report.forward.bytes == part.size());
        BOOST_TEST(spare_relay_buffer.size <= 1024U * 1024U);
    }
}

BOOST_AUTO_TEST_CASE(a_fast_sender_lets_other_handlers_run)
{
    constexpr std::size_t size = 100;
    relay_by_hand relay{{.buffer_size = size, .splice = false}};
    relay.context.poll();
    relay.line.left.send_all(std::string(size * 1000, 'x'));
    std::uint64_t most = 0;
    for (std::uint64_t before = 0; before < size * 1000;)
    {
        relay.context.run_one_for(10ms);
        auto const now = relay.line.second.bytes_sent();
        most = std::max(most, now - before);
        before = now;
    }
    BOOST_TEST(most <= 40 * size);  // of what one handler of the context carries
    BOOST_TEST(relay.line.right.recv_exactly(size * 1000) == std::string(size * 1000, 'x'));
    BOOST_TEST(relay.end().clean());
}

BOOST_AUTO_TEST_CASE(an_observer_sees_what_the_relay_calls)
{
    relay_by_hand relay;
    auto const first = std::make_shared<seen_operations>();
    auto const second = std::make_shared<seen_operations>();
    duet::detail::session_access::connection(relay.line.first)->observe(first);
    duet::detail::session_access::connection(relay.line.second)->observe(second);
    relay.carry(relay.line.left, relay.line.right, "question");
    relay.carry(relay.line.right, relay.line.left, "an answer");
    BOOST_TEST(relay.end().clean());
    for (auto const* const each : {first.get(), second.get()})
    {
        for (auto const* const name : {"read_some", "write", "shutdown_send", "wait_peer_gone", "close"})
        {
            BOOST_TEST_INFO(name);
            BOOST_TEST(has(each->begun, name));
        }
        BOOST_TEST(each->begun.size() == each->ended.size());
        BOOST_TEST(has(each->ended, "read_some 0"));
    }
    BOOST_TEST(has(first->ended, "read_some 8"));
    BOOST_TEST(has(second->ended, "write 8"));
    BOOST_TEST(has(second->ended, "read_some 9"));
    BOOST_TEST(has(first->ended, "write 9"));
}

// The run owns the coroutine that waits for it, and what is pending owns the run.
BOOST_AUTO_TEST_CASE(the_context_is_destroyed_while_the_receiver_takes_nothing)
{
    for (bool const splices : {true, false})
    {
        relay_by_hand relay{{.splice = splices}};
        relay.fill(relay.line.left);
        BOOST_TEST(!relay.relaying.done());
    }
}
