// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a drain does to clients that are idle, that are about to ask, and that are in the middle of a question: in
// whichever read the handler waits.

#define BOOST_TEST_MODULE serve.drain
#include "serve/drain_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <tuple>
#include <type_traits>

using namespace duet_test;

namespace {

// Handlers as in the README: they know of no drain. Each answers a question of four bytes and a line feed with itself.

asio::awaitable<void> reads_some(duet::session peer)
{
    std::array<char, 256> buffer{};
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer, size));
    }
}

asio::awaitable<void> reads_exactly(duet::session peer)
{
    std::array<char, 2> head{};
    std::array<char, 3> body{};
    for (;;)
    {
        auto const more = co_await peer.read_or_end(asio::buffer(head));
        if (!more)
            break;
        co_await peer.read(asio::buffer(body));
        co_await peer.write(asio::buffer(head));
        co_await peer.write(asio::buffer(body));
    }
}

asio::awaitable<void> reads_lines(duet::session peer)
{
    std::string buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(buffer, "\n", 100);
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
        buffer.erase(0, size);
    }
}

asio::awaitable<void> waits_between(duet::session peer)
{
    std::string buffer;
    for (;;)
    {
        if (buffer.empty())
        {
            bool const more = co_await peer.wait_readable();
            if (!more)
                break;
        }
        std::size_t const size = co_await peer.read_until(buffer, "\n", 100);
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
        buffer.erase(0, size);
    }
}

asio::awaitable<void> reads_as_asio_does(duet::session peer)
{
    std::string buffer;
    for (;;)
    {
        auto const end = co_await asio::async_read_until(
            peer, asio::dynamic_buffer(buffer), '\n', asio::as_tuple(asio::use_awaitable));
        auto const error = std::get<0>(end);
        auto const size = std::get<1>(end);
        if (error == asio::error::eof)
            break;
        if (error)
            throw boost::system::system_error{error};
        co_await asio::async_write(peer, asio::buffer(buffer.data(), size), asio::use_awaitable);
        buffer.erase(0, size);
    }
}

asio::awaitable<bool> answers_a_message(duet::session& peer)
{
    std::string buffer;
    std::size_t const size = co_await peer.read_until(buffer, "\n", 100);
    if (size > 0)
        co_await peer.write(asio::buffer(buffer));
    co_return size > 0;
}

struct all_handlers : drain_fixture
{
    /// `play(handler)` for each of them.
    template <class Play>
    void for_each(Play play)
    {
        auto const run = [&](char const* name, auto handler)
        {
            BOOST_TEST_CONTEXT(name)
            {
                drain_fixture fixture;
                play(fixture, handler);
            }
        };
        run("read_some", reads_some);
        run("read", reads_exactly);
        run("read_until", reads_lines);
        run("wait_readable", waits_between);
        run("Asio", reads_as_asio_does);
        run("a handler of messages", answers_a_message);
    }
};

/// The clients close when they see the end, and the drain is over. The clock stands, so that takes no time.
void ends_well(drain_fixture& at, std::size_t sessions)
{
    at.peers.clear();
    while (!at.report)
    {
        at.context.restart();
        BOOST_REQUIRE(at.context.run_one_for(30s) != 0);
    }
    BOOST_TEST(at.report->finished == sessions);
    BOOST_TEST(at.report->aborted == 0U);
    BOOST_TEST(at.serving->counters().handler_failures == 0U);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(idle_clients_see_the_end_and_the_drain_ends_within_a_second, all_handlers)
{
    for_each(
        [](drain_fixture& at, auto handler)
        {
            at.serve(2, handler);
            at.ask(at.peers.front(), "ping\n", "ping\n");  // the other has said nothing yet
            at.drain(10min);
            at.clock.advance(200ms + 10ms);
            for (auto& peer : at.peers)
                at.expect(peer, ".");
            // They do not close: the kernel waits for that.
            at.clock.advance(500ms);
            BOOST_REQUIRE(at.report.has_value());
            BOOST_TEST(at.report->finished == 2U);
            BOOST_TEST(at.report->aborted == 0U);
            BOOST_TEST(at.serving->counters().handler_failures == 0U);
        });
}

BOOST_FIXTURE_TEST_CASE(a_question_that_was_on_its_way_is_answered, all_handlers)
{
    for_each(
        [](drain_fixture& at, auto handler)
        {
            at.serve(1, handler);
            at.ask(at.peers.front(), "ping\n", "ping\n");
            at.drain(10min);
            at.clock.advance(199ms);
            at.ask(at.peers.front(), "pong\n", "pong\n");
            at.clock.advance(1min);
            at.expect(at.peers.front(), ".");
            ends_well(at, 1);
        });
}

BOOST_FIXTURE_TEST_CASE(a_question_that_has_begun_is_waited_for, all_handlers)
{
    for_each(
        [](drain_fixture& at, auto handler)
        {
            at.serve(1, handler);
            auto& peer = at.peers.front();
            bool const echoes = std::is_same_v<decltype(handler), decltype(&reads_some)> &&
                                reinterpret_cast<void*>(+handler) == reinterpret_cast<void*>(&reads_some);
            at.ask(peer, "ping\n", "ping\n");
            if (echoes)
                return;  // each byte is a question of its own
            asio::write(peer, asio::buffer("po", 2));
            at.clock.run_ready();
            at.drain(10min);
            at.clock.advance(9min);
            BOOST_TEST(at.heard(peer) == "");
            at.ask(peer, "ng\n", "pong\n.");
            ends_well(at, 1);
        });
}

BOOST_FIXTURE_TEST_CASE(a_question_behind_an_answered_one_is_waited_for_too, drain_fixture)
{
    serve(1, reads_lines);
    auto& peer = peers.front();
    ask(peer, "ping\npo", "ping\n");
    drain(10min);
    clock.advance(9min);
    ask(peer, "ng\n", "pong\n.");
    ends_well(*this, 1);
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_works_answers_and_then_ends, drain_fixture)
{
    auto const works = [](duet::session peer) -> asio::awaitable<void>
    {
        std::string line;
        auto const executor = co_await asio::this_coro::executor;
        for (;;)
        {
            std::size_t const size = co_await peer.read_until(line, "\n", 100);
            if (size == 0)
                break;
            asio::steady_timer work{executor, asio::steady_timer::duration{}};
            co_await work.async_wait(asio::use_awaitable);
            co_await peer.write(asio::buffer(line));
            line.clear();
        }
    };
    serve(1, works);
    auto& peer = peers.front();
    asio::write(peer, asio::buffer("ping\n", 5));
    drain(10min);
    expect(peer, "ping\n");
    clock.advance(1s);
    expect(peer, ".");
    ends_well(*this, 1);
}

BOOST_FIXTURE_TEST_CASE(a_program_that_drains_soon_goes_on_and_says_that_it_is_not_ready, drain_fixture)
{
    serve(1, reads_lines, {.drain_delay = 5s});
    BOOST_TEST(serving->ready());
    drain(10min);
    BOOST_TEST(!serving->ready());
    clock.advance(4s);
    ask(peers.front(), "ping\n", "ping\n");
    tcp::socket late{context};
    late.connect(serving->local_endpoint());
    ask(late, "late\n", "late\n");
    clock.advance(2s);
    expect(peers.front(), ".");
    expect(late, ".");
    late.close();
    ends_well(*this, 2);
}

BOOST_FIXTURE_TEST_CASE(a_layer_is_told_that_the_session_is_to_finish, drain_fixture)
{
    int told = 0;
    auto const waits = [&told](duet::session peer) -> asio::awaitable<void>
    {
        co_await peer.wait_finish_requested();
        ++told;
        co_await peer.wait_finish_requested();  // at once
        co_await peer.write(asio::buffer("bye", 3));
    };
    serve(1, waits);
    BOOST_TEST(told == 0);
    drain(10min);
    expect(peers.front(), "bye.");
    BOOST_TEST(told == 1);
    ends_well(*this, 1);
}

// A message handler that says "more" after the FIN would be called again and again.
BOOST_FIXTURE_TEST_CASE(a_message_handler_that_wants_more_after_the_fin_ends_its_session, drain_fixture)
{
    int calls = 0;
    auto const insists = [&calls](duet::session& peer) -> asio::awaitable<bool>
    {
        ++calls;
        char byte = 0;
        co_await peer.read_some(asio::buffer(&byte, 1));
        co_return true;
    };
    serve(1, insists);
    peers.front().shutdown(tcp::socket::shutdown_send);
    expect(peers.front(), ".");
    BOOST_TEST(calls == 1);
}
