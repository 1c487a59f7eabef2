// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a server must survive: peers that take their time or go away at any moment, handlers that throw or are cancelled
// at any await, and memory that runs out at any allocation. Each time it serves an honest client afterwards.

#include <duet/run.hpp>

#define BOOST_TEST_MODULE serve.faults
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// What an honest client hears of the echo of `text`. It may be reset while it still speaks.
received honest_talk(duet::server const& serving, std::string const& text)
try
{
    auto client = client_of(serving);
    client.send_all(text);
    client.shutdown_write();
    return client.recv_all();
}
catch (std::system_error const& error)
{
    return {"", error.code().value()};
}

bool whole(received const& heard, std::string const& text)
{
    return heard.error == 0 && heard.data == text;
}

/// Serve while `script` plays the clients in a thread of its own, then drain.
duet::drain_report play(
    duet::server_options const& options, auto handler, std::function<void(duet::server&)> const& script)
{
    asio::io_context context;
    prepare(context);
    duet::server serving{context, on_loopback(options), handler};
    return run(context,
        [](duet::server& s, std::function<void(duet::server&)> const& played) -> asio::awaitable<duet::drain_report>
        {
            auto const clients = [&] { played(s); };
            co_await in_thread(clients);
            auto const report = co_await s.drain(20s);
            BOOST_TEST(s.counters().active == 0u);
            co_return report;
        }(serving, script));
}

void require(bool condition, char const* what)
{
    if (!condition)
        throw std::runtime_error{what};  // in a thread of the test
}

void raise_descriptor_limit(rlim_t wanted)
{
    ::rlimit limit{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = std::max(limit.rlim_cur, std::min(wanted, limit.rlim_max));
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(slow_senders_are_gone_at_their_deadline_and_hold_nobody_up)
{
    raise_descriptor_limit(2048);
    no_leaked_descriptors const watched;
    duet::server_options options;
    auto const limit = 500ms * sanitizer_factor;
    options.session.deadlines.first_message = limit;
    auto const reads_a_line = [](duet::session peer) -> asio::awaitable<void>
    {
        std::string line;
        co_await peer.read_until(line, "\n", 1000);
        peer.first_message_received();
        co_await peer.write(asio::buffer(line));
    };
    auto const report = play(options, reads_a_line,
        [&](duet::server& s)
        {
            std::vector<raw_socket> dribblers;
            for (int i = 0; i < 500; ++i)
                dribblers.push_back(client_of(s));
            for (std::size_t gone = 0; gone < dribblers.size();)
            {
                auto const begun = std::chrono::steady_clock::now();
                bool const served = whole(honest_talk(s, "honest\n"), "honest\n");
                bool const stalled = std::chrono::steady_clock::now() - begun > limit / 2;  // as slow as the others
                require(served || stalled, "an honest client is served meanwhile");
                gone = 0;
                for (auto& each : dribblers)
                    gone += each.send_some("x").error != 0 ? 1 : 0;  // a byte at a time is no message
            }
        });
    BOOST_TEST(report.aborted == 0u);
}

BOOST_AUTO_TEST_CASE(peers_that_never_read_are_reset_when_a_write_stalls)
{
    no_leaked_descriptors const watched;
    std::vector<std::string> whats;
    duet::server_options options;
    options.session.deadlines.write = 200ms * sanitizer_factor;
    options.on_session_end = [&](duet::session_end const& end) { whats.push_back(end.what()); };
    auto const floods = [](duet::session peer) -> asio::awaitable<void>
    {
        std::string const much(1 << 20, 'x');
        for (;;)
            co_await peer.write(asio::buffer(much));
    };
    play(options, floods,
        [&](duet::server& s)
        {
            std::vector<raw_socket> deaf;
            for (int i = 0; i < 20; ++i)
                deaf.push_back(client_of(s));
            for (auto& each : deaf)
                require(each.recv_all().error == ECONNRESET, "the end of a flood is no end of an answer");
        });
    BOOST_REQUIRE(whats.size() == 20u);
    for (auto const& each : whats)
    {
        BOOST_TEST_INFO(each);
        BOOST_TEST(each.find("write deadline") != std::string::npos);
    }
}

// Before it is accepted, before it says anything, in a message, in an answer, after its FIN, after ours.
BOOST_AUTO_TEST_CASE(a_reset_at_any_point_ends_one_session)
{
    no_leaked_descriptors const watched;
    auto const much = pattern(4'000'000);
    auto const report = play({}, echo,
        [&](duet::server& s)
        {
            std::vector<std::function<void(raw_socket&)>> const points{
                [](raw_socket&) {},
                [](raw_socket& c) { c.send_all("half a mess"); },
                [](raw_socket& c) { c.send_all("ping"), c.recv_exactly(4); },
                [&](raw_socket& c) { c.send_some(much); },
                [](raw_socket& c) { c.send_all("ping"), c.shutdown_write(); },
                [](raw_socket& c) { c.send_all("ping"), c.shutdown_write(), c.recv_exactly(4); },
                [](raw_socket& c) { c.send_all("ping"), c.shutdown_write(), c.recv_all(); },
            };
            for (auto const& until : points)
            {
                auto client = client_of(s);
                until(client);
                client.reset();
                require(whole(honest_talk(s, "honest"), "honest"), "the server lives");
            }
        });
    BOOST_TEST(report.aborted == 0u);
}

// A failed answer never looks whole, whatever was thrown and wherever.
BOOST_AUTO_TEST_CASE(a_handler_may_throw_anything_after_any_await)
{
    no_leaked_descriptors const watched;
    std::vector<std::function<void()>> const throws{
        [] { throw std::runtime_error{"no"}; }, [] { throw 1; }, [] { throw std::bad_alloc{}; }};
    constexpr int steps = 7;
    constexpr int before_the_fin = 4;
    int next = 0;
    std::vector<duet::session_end> ends;
    duet::server_options options;
    options.on_session_end = [&](duet::session_end const& end) { ends.push_back(end); };
    auto const handler = [&](duet::session peer) -> asio::awaitable<void>
    {
        int const fails_at = next / static_cast<int>(throws.size());
        auto const& fails = throws[static_cast<std::size_t>(next) % throws.size()];
        ++next;
        int step = 0;
        auto const pass = [&]
        {
            if (step++ == fails_at)
                fails();
        };
        std::string question(4, '\0');
        pass();
        co_await peer.wait_readable();
        pass();
        co_await peer.read(asio::buffer(question));
        pass();
        co_await peer.write(asio::buffer(question));
        pass();
        co_await peer.shutdown_send();
        pass();
        co_await peer.delivered();
        pass();
        co_await peer.close();
        pass();
    };
    auto const rounds = static_cast<int>(throws.size()) * steps;
    play(options, handler,
        [&](duet::server& s)
        {
            for (int i = 0; i < rounds; ++i)
            {
                auto const heard = honest_talk(s, "ping");
                bool const fin_was_sent = i >= before_the_fin * static_cast<int>(throws.size());
                require(fin_was_sent || heard.error != 0, "a reset");
            }
            require(whole(honest_talk(s, "ping"), "ping"), "the server lives");
        });
    BOOST_TEST(ends.size() == static_cast<std::size_t>(rounds) + 1);
    auto const failed = [](duet::session_end const& end) { return end.failure != nullptr; };
    BOOST_TEST(std::count_if(ends.begin(), ends.end(), failed) == rounds);
}

BOOST_AUTO_TEST_CASE(a_handler_is_cancelled_in_any_await)
{
    static auto const much = pattern(8'000'000);
    using waits = std::function<asio::awaitable<void>(duet::session&)>;
    std::vector<waits> const all{
        [](duet::session& s) -> asio::awaitable<void> { co_await s.wait_readable(); },
        [](duet::session& s) -> asio::awaitable<void> { co_await read(s); },
        [](duet::session& s) -> asio::awaitable<void> { co_await write(s, much); },
        [](duet::session& s) -> asio::awaitable<void> { co_await s.wait_peer_gone(); },
        [](duet::session& s) -> asio::awaitable<void>
        {
            asio::steady_timer timer{s.get_executor(), asio::steady_timer::time_point::max()};
            asio::use_awaitable_t<> const token;
            co_await timer.async_wait(token);
        },
        [](duet::session& s) -> asio::awaitable<void> { co_await close(s); },
    };
    for (auto const& wait : all)
    {
        no_leaked_descriptors const watched;
        asio::io_context context;
        prepare(context);
        int ended = 0;
        std::atomic<bool> begun = false;
        duet::server serving{context, on_loopback(),
            [&](duet::session peer) -> asio::awaitable<void>
            {
                struct counted
                {
                    int& count;
                    ~counted() { ++count; }
                } const guard{ended};
                asio::post(peer.get_executor(), [&] { begun = true; });
                co_await wait(peer);
            }};
        auto client = client_of(serving);
        auto const report = run(context,
            [](duet::server& s, std::atomic<bool>& in_it) -> asio::awaitable<duet::drain_report>
            {
                co_await until([&] { return in_it.load(); }, "the handler waits");
                auto const drained = co_await s.drain(0s);
                co_return drained;
            }(serving, begun));
        BOOST_TEST(report.aborted == 1u);
        BOOST_TEST(ended == 1);
        BOOST_TEST(serving.counters().active == 0u);
        auto const heard = client.recv_all();
        bool const fin_was_sent = &wait == &all.back();
        BOOST_TEST((fin_was_sent || heard.error == ECONNRESET));
    }
}

namespace {

/// Serve three clients while one allocation of the server's thread fails. False: there were not so many. (Of two that
/// fail in a row the second may be one that Asio's coroutines make in a destructor, which ends any program.)
template <class Handler>
bool serve_without_memory(Handler handler, long before, std::string const& question, std::string const& answer)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    prepare(context);
    duet::server_options options;
    options.session.deadlines = {.read = 20s, .write = 20s, .idle = 20s, .half_closed = 20s, .close = 20s};
    options.session.send_buffer_size = 4096;  // so that the answer has to wait for the client
    duet::server serving{context, on_loopback(options), handler};
    int served = 0;
    bool drained = false;
    bool all_failed = false;
    std::thread clients{[&]
        {
            for (int i = 0; i < 3; ++i)
            {
                auto const heard = honest_talk(serving, question);
                if (whole(heard, answer))
                    ++served;
                else if (heard.error == 0)
                    served = -100;  // cut short, and it looks whole
            }
            asio::post(context,
                [&]
                {
                    all_failed = std::exchange(allocations_to_fail, 0) == 0;
                    asio::co_spawn(context, serving.drain(20s),
                        [&](std::exception_ptr failure, duet::drain_report)
                        {
                            drained = failure == nullptr;
                            context.stop();
                        });
                });
        }};
    asio::io_context others;
    allocations_before_failure = before;
    allocations_to_fail = 1;
    duet::detail::run_on(context, others);
    clients.join();
    others.poll();  // throws what else has left the context
    BOOST_TEST_CONTEXT("allocation " << before)
    {
        BOOST_TEST(served >= 2);
        BOOST_TEST(drained);
        BOOST_TEST(serving.counters().active == 0u);
    }
    return all_failed;
}

/// One allocation after the other, until there are no more.
template <class Handler>
void serve_without_memory(Handler handler, std::string const& question, std::string const& answer)
{
    long before = 0;
    while (serve_without_memory(handler, before, question, answer))
        ++before;
    BOOST_TEST(before > 3);  // it did fail: each session is an allocation, whatever else is kept from one to the next
}

}  // namespace

BOOST_AUTO_TEST_CASE(memory_may_run_out_at_any_allocation)
{
    auto const text = pattern(50'000);
    serve_without_memory(echo, text, text);
}

// No unread byte makes a plain close a reset.
BOOST_AUTO_TEST_CASE(a_client_that_memory_cannot_serve_sees_no_clean_end)
{
    auto const greet = [](duet::session peer) -> asio::awaitable<void> { co_await write(peer, "hello"); };
    serve_without_memory(greet, "", "hello");
}

BOOST_AUTO_TEST_CASE(memory_may_run_out_at_any_allocation_of_a_handler_for_each_message)
{
    auto const answer = [](duet::session& peer) -> asio::awaitable<bool>
    {
        std::string buffer(4096, '\0');
        auto const size = co_await peer.read_some(asio::buffer(buffer));
        co_await peer.write(asio::buffer(buffer.data(), size));
        co_return size > 0;
    };
    auto const text = pattern(50'000);
    serve_without_memory(answer, text, text);
}

BOOST_AUTO_TEST_CASE(a_handler_that_memory_cannot_carry_is_called_at_once)
{
    asio::io_context context;
    auto peers = connected_pair();
    duet::session session = adopt(peers.server, context.get_executor());
    session.abort();
    std::optional<duet::error_code> told;
    std::array<char, 1> room{};
    allocations_before_failure = 0;
    allocations_to_fail = 1;
    session.async_read_some(asio::buffer(room), [&](duet::error_code const& error, std::size_t) { told = error; });
    bool const failed = std::exchange(allocations_to_fail, 0) == 0;
    BOOST_TEST(failed);
    BOOST_TEST(told.has_value());
    BOOST_TEST(told.value_or(duet::error_code{}) == duet::errc::aborted);
}

// The signal comes, and then one allocation fails: the drain begins nevertheless, and ends well.
BOOST_AUTO_TEST_CASE(a_signal_that_meets_a_lack_of_memory_is_not_lost)
{
    bool all_failed = false;
    for (long before = 0; !all_failed && before < 1000; ++before)
    {
        asio::io_context context;
        duet::server serving{context, on_loopback(), echo};
        asio::steady_timer guard{context, 60s};
        guard.async_wait(
            [](boost::system::error_code const& error)
            {
                if (!error)
                    throw hang{"duet::run() does not return"};
            });
        asio::post(context,
            [&]
            {
                ::raise(SIGTERM);
                allocations_before_failure = before;
                allocations_to_fail = 1;
            });
        auto const report = duet::run(context, serving);
        all_failed = std::exchange(allocations_to_fail, 0) == 1;  // none was left to fail
        BOOST_TEST_CONTEXT("allocation " << before)
        {
            BOOST_TEST(report.signal == SIGTERM);
            BOOST_TEST((report.end == duet::run_end::signal));
            BOOST_TEST(report.exit_status() == 0);
        }
    }
    BOOST_TEST(all_failed);
}

// One allocation fails from the start of duet::run() on: it throws and leaves nothing behind, or it runs, and the
// signal ends it.
BOOST_AUTO_TEST_CASE(memory_may_run_out_at_any_allocation_of_run)
{
    bool all_failed = true;
    long before = 0;
    for (; all_failed && before < 1000; ++before)
    {
        no_leaked_descriptors const watched;
        asio::io_context context;
        duet::server serving{context, on_loopback(), echo};
        asio::signal_set const first{context};  // Asio 1.81 leaves its service half made if memory runs out there
        asio::steady_timer guard{context, 60s};
        guard.async_wait(
            [](boost::system::error_code const& error)
            {
                if (!error)
                    throw hang{"duet::run() does not return"};
            });
        asio::post(context, [] { ::raise(SIGTERM); });
        BOOST_TEST_CONTEXT("allocation " << before)
        {
            allocations_before_failure = before;
            allocations_to_fail = 1;
            try
            {
                auto const report = duet::run(context, serving);
                all_failed = std::exchange(allocations_to_fail, 0) == 0;
                BOOST_TEST(report.signal == SIGTERM);
                BOOST_TEST(report.exit_status() == 0);
            }
            catch (std::bad_alloc const&)
            {
                all_failed = std::exchange(allocations_to_fail, 0) == 0;
                BOOST_TEST(all_failed);
            }
        }
    }
    BOOST_TEST(before > 5);
}
