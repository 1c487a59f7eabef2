// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The session while it lives: reads, deadlines, and the stream below it, in their plain cases. Writes are in write.cpp,
// cancellation in cancellation.cpp, and the ends in close.cpp.

#define BOOST_TEST_MODULE session.session
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"
#include "session/one_way_end.hpp"
#include "session/session_fixture.hpp"

#include <cerrno>
#include <chrono>
#include <string>
#include <tuple>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;
using duet::session_state;

namespace {

using both = std::tuple<duet::session, duet::unix_session>;

template <class Session>
asio::awaitable<std::size_t> read_exactly(Session& session, std::string& into)
{
    auto const size = co_await session.read(asio::buffer(into));
    co_return size;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reading)

BOOST_AUTO_TEST_CASE_TEMPLATE(read_some_tells_bytes_and_then_the_fin_as_zero, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("hello");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "hello");
            BOOST_TEST(s.receive_state() == receive_state::open);
            talk.peer.shutdown_write();
            for (int i = 0; i < 3; ++i)
            {
                auto const end = co_await read(s);
                BOOST_TEST(end.empty());
            }
            BOOST_TEST(s.receive_state() == receive_state::ended);
            BOOST_TEST(s.state() == session_state::half_closed_remote);
            // P06: the end of one direction is not the end of the other.
            co_await write(s, "you are still there");
            BOOST_TEST(talk.peer.recv_exactly(19) == "you are still there");
            BOOST_TEST(s.bytes_received() == 5u);
            BOOST_TEST(s.bytes_sent() == 19u);
        });
}

BOOST_AUTO_TEST_CASE(an_empty_buffer_is_refused_since_zero_means_fin)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::string nothing;
            auto const got = co_await outcome_of(read_exactly(s, nothing));
            BOOST_TEST((got.code == error::invalid_argument));
        });
}

BOOST_AUTO_TEST_CASE(a_second_read_at_a_time_is_refused)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> first{executor, read(s)};
            co_await settle();
            co_await expect_error(read(s), errc::read_in_progress);
            talk.peer.send_all("for the first");
            auto const heard = co_await first.result();
            BOOST_TEST(heard == "for the first");
        });
}

BOOST_AUTO_TEST_CASE(p38_read_is_exact_and_a_fin_in_the_middle_is_truncated)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::string four(4, '\0');
            talk.peer.send_all("abcdef");
            auto const whole = co_await read_exactly(s, four);
            BOOST_TEST(whole == 4u);
            BOOST_TEST(four == "abcd");
            talk.peer.shutdown_write();
            auto const cut = co_await outcome_of(read_exactly(s, four));
            BOOST_TEST((cut.code == errc::truncated));
            BOOST_TEST((cut.code == condition::truncated));
            BOOST_TEST(cut.bytes == 2u);
            BOOST_TEST(four.substr(0, 2) == "ef");
            BOOST_TEST(cut.operation == "read");
            BOOST_TEST(cut.text.find("read 127.0.0.1:" + std::to_string(talk.peer.local_port())) == 0u);
            auto const end = co_await outcome_of(read_exactly(s, four));
            BOOST_TEST((end.code == errc::ended));
        });
}

BOOST_AUTO_TEST_CASE(read_until_keeps_what_follows_and_heeds_the_limit)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            talk.peer.send_all("one\r\ntwo\r\nth");
            auto size = co_await s.read_until(buffer, "\r\n", 100);
            BOOST_TEST(buffer.substr(0, size) == "one\r\n");
            buffer.erase(0, size);
            size = co_await s.read_until(buffer, "\r\n", 100);
            BOOST_TEST(buffer.substr(0, size) == "two\r\n");
            buffer.erase(0, size);
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> third{executor, s.read_until(buffer, "\r\n", 7)};
            co_await settle();
            talk.peer.send_all("ree\r");  // the delimiter straddles two reads
            co_await settle();
            talk.peer.send_all("\nmore than seven bytes");
            size = co_await third.result();
            BOOST_TEST(buffer.substr(0, size) == "three\r\n");
            buffer.erase(0, size);
            auto const over = co_await outcome_of(s.read_until(buffer, "\r\n", 7));
            BOOST_TEST((over.code == errc::limit_exceeded));
            BOOST_TEST(buffer == "more th");
            talk.peer.shutdown_write();
            auto const cut = co_await outcome_of(s.read_until(buffer, "\r\n", 100));
            BOOST_TEST((cut.code == errc::truncated));
            BOOST_TEST(buffer == "more than seven bytes");
            buffer.clear();
            size = co_await s.read_until(buffer, "\r\n", 100);
            BOOST_TEST(size == 0u);
        });
}

BOOST_AUTO_TEST_CASE(read_all_reads_to_the_fin_and_not_one_byte_over_the_limit)
{
    for (std::size_t const size : {0u, 1u, 9u, 10u, 11u})
    {
        conversation_with<duet::session> talk;
        talk.play(
            [&](duet::session& s) -> asio::awaitable<void>
            {
                auto const sent = pattern(size);
                talk.peer.send_all(sent);
                talk.peer.shutdown_write();
                std::string into{"before "};
                auto const got = co_await outcome_of(s.read_all(into, 10));
                BOOST_TEST(into == "before " + sent);
                BOOST_TEST(got.bytes == size);
                BOOST_TEST((got.code == (size <= 10 ? duet::error_code{} : errc::limit_exceeded)));
            });
    }
}

// P22: the loss of the peer is noticed without reading, and a FIN alone is no loss.
BOOST_AUTO_TEST_CASE(p22_wait_peer_gone_consumes_nothing_and_waits_for_both)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            talk.peer.send_all("last words");
            talk.peer.shutdown_write();
            for (int i = 0; i < 20; ++i)
                co_await settle();
            BOOST_TEST(!gone.done());
            co_await expect_error(awaited<close_reason>(s.wait_peer_gone()), errc::wait_in_progress);
            co_await shutdown_send(s);
            auto const why = co_await gone.result();
            BOOST_TEST(why == close_reason::clean);
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "last words");
        });
}

BOOST_AUTO_TEST_CASE(p22_wait_peer_gone_tells_a_reset_and_bytes_before_it_come_first)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("before the reset");
            eventually([&] { return unread_bytes(s.native_handle()) == 16; }, "the bytes are here");
            auto const executor = co_await asio::this_coro::executor;
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            talk.peer.reset();
            auto const why = co_await gone.result();
            BOOST_TEST(why == close_reason::peer_reset);
            auto const heard = co_await read_to_end(s);  // P20
            BOOST_TEST(heard.data == "before the reset");
            BOOST_TEST((heard.code == condition::reset));
            co_await expect_error(read(s), condition::reset);  // P17: and it stays
            co_await expect_error(write(s, "x"), condition::reset);
            co_await shutdown_send(s);  // P12: no noise
        });
}

BOOST_AUTO_TEST_CASE(wait_readable_tells_data_fin_and_a_request_to_finish)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            talk.peer.send_all("x");
            auto more = co_await s.wait_readable();
            BOOST_TEST(more);
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "x");
            started<bool> waiting{executor, awaited<bool>(s.wait_readable())};
            co_await settle();
            s.request_finish();
            more = co_await waiting.result();
            BOOST_TEST(!more);
            BOOST_TEST(s.finish_requested());
            more = co_await s.wait_readable();  // told at once
            BOOST_TEST(!more);
            talk.peer.send_all("one more");
            eventually([&] { return unread_bytes(s.native_handle()) == 8; }, "the bytes are here");
            more = co_await s.wait_readable();  // but what has come is served
            BOOST_TEST(more);
        });
}

BOOST_AUTO_TEST_CASE(a_request_to_finish_does_not_hide_what_came_just_before_it)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<bool> waiting{executor, awaited<bool>(s.wait_readable())};
            co_await settle();
            talk.peer.send_all("a question");
            eventually([&] { return unread_bytes(s.native_handle()) == 10; }, "it is here");
            s.request_finish();  // before the wait could see it
            auto const more = co_await waiting.result();
            BOOST_TEST(more);
            BOOST_TEST(s.finish_requested());
        });
}

BOOST_AUTO_TEST_CASE(a_request_to_finish_does_not_hide_what_comes_right_after_it)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<bool> waiting{executor, awaited<bool>(s.wait_readable())};
            co_await settle();
            s.request_finish();
            talk.peer.send_all("a question");  // before the wait has ended
            eventually([&] { return unread_bytes(s.native_handle()) == 10; }, "it is here");
            auto const more = co_await waiting.result();
            BOOST_TEST(more);
        });
}

BOOST_AUTO_TEST_CASE(a_session_without_connection_is_a_place_for_one)
{
    conversation_with<duet::session> talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            duet::session place;
            BOOST_TEST(!place.valid());
            place = std::move(s);
            BOOST_TEST(place.valid());
            BOOST_TEST(!s.valid());
            co_await write(place, "x");
            BOOST_TEST(talk.peer.recv_exactly(1) == "x");
            s = std::move(place);
        });
}

BOOST_AUTO_TEST_SUITE_END()

// With a peer in memory, on a clock that moves by itself. On sockets of the kernel: real_time.cpp.
BOOST_AUTO_TEST_SUITE(deadlines)

BOOST_AUTO_TEST_CASE(read_deadline_leaves_the_session_and_its_bytes)
{
    memory_talk talk;
    talk.play(with({.read = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string four(4, '\0');
            auto const begun = talk.now();
            auto const late = co_await outcome_of(read_exactly(s, four));
            BOOST_TEST((late.code == errc::read_timed_out));
            BOOST_TEST((late.code == condition::timed_out));
            BOOST_TEST((late.code != condition::cancelled));
            BOOST_TEST((talk.now() - begun == 30ms + tick));
            talk.peer.send_all("late");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "late");
            BOOST_TEST(s.state() == session_state::open);
        });
}

BOOST_AUTO_TEST_CASE(read_deadline_tells_the_bytes_before_it)
{
    memory_talk talk;
    talk.play(with({.read = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("ab");
            std::string four(4, '\0');
            auto const late = co_await outcome_of(read_exactly(s, four));
            BOOST_TEST((late.code == condition::timed_out));
            BOOST_TEST(late.bytes == 2u);
            BOOST_TEST(four.substr(0, 2) == "ab");
        });
}

BOOST_AUTO_TEST_CASE(write_deadline_poisons_what_it_cuts)
{
    memory_talk talk{small_capacity};
    talk.play(with({.write = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const begun = talk.now();
            auto const cut = co_await outcome_of(write(s, pattern(stalling_size)));
            BOOST_TEST((talk.now() - begun == 30ms + tick));
            BOOST_TEST((cut.code == errc::write_timed_out));
            BOOST_TEST(cut.bytes == small_capacity);
            co_await expect_error(write(s, "x"), errc::send_poisoned);
            co_await expect_error(shutdown_send(s), errc::send_poisoned);
            auto const report = co_await close(s);
            BOOST_TEST(report.reason == close_reason::aborted);
            auto const heard = talk.peer.recv_all();
            BOOST_TEST(heard.error == ECONNRESET);  // the stump does not look whole
        });
}

BOOST_AUTO_TEST_CASE(idle_deadline_ends_the_session_and_the_pending_read)
{
    memory_talk talk;
    talk.play(with({.idle = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await expect_error(read(s), errc::idle_timed_out);
            BOOST_TEST(s.close_reason() == close_reason::timed_out);
            BOOST_TEST(s.state() == session_state::closed);
            co_await expect_error(write(s, "x"), errc::idle_timed_out);  // the first error stays
        });
}

// P07: the two mirrors of a connection that one side has finished and the other never does.
BOOST_AUTO_TEST_CASE(p07_half_closed_deadline_ends_both_mirrors)
{
    memory_talk ours;
    ours.play(with({.half_closed = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await shutdown_send(s);
            co_await expect_error(read(s), errc::half_closed_timed_out);
        });
    memory_talk theirs;
    theirs.play(with({.half_closed = 30ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            theirs.peer.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end.empty());
            auto const why = co_await s.wait_peer_gone();
            BOOST_TEST(why == close_reason::timed_out);
            co_await expect_error(write(s, "x"), errc::half_closed_timed_out);
        });
}

BOOST_AUTO_TEST_CASE(first_message_deadline_is_not_stretched_by_dribbling)
{
    memory_talk talk;
    auto const begun = talk.now();
    talk.play(with({.first_message = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string line;
            started<std::size_t> reading{executor, s.read_until(line, "\n", 1000)};
            while (!reading.done())
            {
                talk.peer.send_some("x");
                co_await talk.pause(5ms);
            }
            co_await expect_error(reading.result(), errc::first_message_timed_out);
            BOOST_TEST((talk.now() - begun <= 60ms + tick + 5ms));
            BOOST_TEST(!line.empty());
        });
    memory_talk honest;
    honest.play(with({.first_message = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string line;
            honest.peer.send_all("hello\n");
            auto const size = co_await s.read_until(line, "\n", 1000);
            BOOST_TEST(size == 6u);
            co_await honest.pause(100ms);
            BOOST_TEST(s.state() == session_state::open);
        });
}

BOOST_AUTO_TEST_SUITE_END()

// P10: a layer that drops half-close without a word truncates conversations. One that cannot says so.
BOOST_AUTO_TEST_CASE(p10_a_stream_that_cannot_half_close_says_so)
{
    using one_way_session = duet::basic_session<one_way_end>;
    auto pair = connected_pair(raw_address::v4(0));
    asio::io_context context;
    asio::ip::tcp::socket socket{context};
    socket.assign(asio::ip::tcp::v4(), ::dup(pair.server.fd()));
    pair.server.close();
    one_way_session session{one_way_end{std::move(socket)}};
    run(context,
        [](one_way_session& s, raw_socket& peer) -> asio::awaitable<void>
        {
            co_await expect_error(shutdown_send(s), error::operation_not_supported);
            BOOST_TEST(s.send_state() == send_state::open);
            co_await write(s, "goes on");
            BOOST_TEST(peer.recv_exactly(7) == "goes on");
            peer.shutdown_write();
            auto const report = co_await close(s);
            BOOST_TEST(report.clean());
            BOOST_TEST(peer.recv_all().error == 0);
        }(session, pair.client));
}
