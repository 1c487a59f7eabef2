// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What the post-mortem of a session says: who ended it, in which direction and phase, after how many bytes, and with
// which errors.

#define BOOST_TEST_MODULE session.post_mortem
#include <duet/post_mortem.hpp>
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <chrono>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::direction;
using duet::end_phase;
using duet::ended_by;

namespace {

/// Runs the conversation, and returns what is said of its end.
template <class Conversation>
duet::post_mortem post_mortem_of(
    memory_talk& talk, Conversation conversation, duet::session_options const& options = {})
{
    duet::post_mortem result;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            s.set_deadlines(options.deadlines);
            co_await conversation(s);
            result = s.post_mortem();
        });
    return result;
}

asio::awaitable<void> fail_to_read(memory_session& s)
{
    co_await error_of(read(s));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_session_that_lives_has_none)
{
    memory_talk talk;
    auto const end = post_mortem_of(talk, [](memory_session&) -> asio::awaitable<void> { co_return; });
    BOOST_TEST((end.by == ended_by::nobody));
    BOOST_TEST(to_string(end) == "alive");
}

BOOST_AUTO_TEST_CASE(the_peer_finishes_first)
{
    memory_talk talk;
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("question");
            co_await read(s);
            co_await write(s, "answer");
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all()};
            talk.peer.shutdown_write();
            co_await read(s);
            co_await close(s);
        });
    BOOST_TEST(to_string(end) == "clean, by the peer, between messages, direction receive; received 8, sent 6 bytes");
    BOOST_TEST(end.failed == 0U);
}

BOOST_AUTO_TEST_CASE(the_program_finishes_first)
{
    memory_talk talk;
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            co_await write(s, "all");
            co_await close(s);
        });
    BOOST_TEST(to_string(end) == "clean, by the program, before a message, direction send; received 0, sent 3 bytes");
}

BOOST_AUTO_TEST_CASE(the_peer_resets_in_the_middle_of_its_message)
{
    memory_talk talk;
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("half of it");
            co_await read(s);
            talk.peer.reset();
            co_await fail_to_read(s);
        });
    BOOST_TEST(to_string(end) == "peer_reset, by the peer, in a message, direction receive; received 10, sent 0 bytes; "
                                 "receive: Connection reset by peer");
}

BOOST_AUTO_TEST_CASE(the_errors_come_in_their_order)
{
    memory_talk talk{small_capacity};
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
            co_await settle();
            talk.peer.reset();
            co_await outcome_of(writing.result());
            co_await fail_to_read(s);
        });
    BOOST_TEST((end.by == ended_by::peer));
    BOOST_TEST((end.phase == end_phase::answering));
    BOOST_REQUIRE(end.failed >= 1U);
    BOOST_TEST((end.failures[0].where == direction::send));
    BOOST_TEST(end.failures[0].error == duet::condition::reset);
}

BOOST_AUTO_TEST_CASE(a_deadline_of_the_session)
{
    memory_talk talk;
    duet::session_options options;
    options.deadlines.idle = 1s;
    auto const end = post_mortem_of(talk, fail_to_read, options);
    BOOST_TEST((end.by == ended_by::deadline));
    BOOST_TEST(to_string(end) ==
               "timed_out, by a deadline, before a message, both directions; received 0, sent 0 bytes; "
               "both: idle deadline passed");
}

BOOST_AUTO_TEST_CASE(a_close_that_gives_up)
{
    memory_talk talk{small_capacity};
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
            co_await settle();
            co_await close(s);
            co_await outcome_of(writing.result());
        });
    BOOST_TEST((end.by == ended_by::deadline));
    BOOST_TEST((end.phase == end_phase::closing));
    BOOST_REQUIRE(end.failed == 1U);
    BOOST_TEST(end.failures[0].error == duet::errc::close_timed_out);
}

BOOST_AUTO_TEST_CASE(an_abort_after_the_peers_fin)
{
    memory_talk talk;
    auto const end = post_mortem_of(talk,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("question");
            talk.peer.shutdown_write();
            co_await read(s);
            co_await read(s);
            s.abort();
        });
    BOOST_TEST(to_string(end) == "aborted, by the program, half-closed, both directions; received 8, sent 0 bytes");
}

BOOST_AUTO_TEST_CASE(a_lack_of_memory_is_not_the_programs_doing)
{
    duet::close_report report;
    report.reason = duet::close_reason::aborted;
    BOOST_TEST((duet::detail::end_history{}.tell(report).by == ended_by::program));
    report.error = boost::asio::error::no_memory;
    BOOST_TEST((duet::detail::end_history{}.tell(report).by == ended_by::system));
}

BOOST_AUTO_TEST_CASE(an_empty_session_has_none)
{
    memory_session const empty;
    BOOST_TEST((empty.post_mortem().by == ended_by::nobody));
}

BOOST_AUTO_TEST_CASE(every_value_has_a_text)
{
    for (auto const value :
        {ended_by::nobody, ended_by::program, ended_by::peer, ended_by::deadline, ended_by::network, ended_by::system})
        BOOST_TEST(to_string(value) != "?");
    for (auto const value : {direction::none, direction::receive, direction::send, direction::both})
        BOOST_TEST(to_string(value) != "?");
    for (auto const value : {end_phase::before_message, end_phase::in_message, end_phase::answering,
             end_phase::between_messages, end_phase::half_closed, end_phase::closing})
        BOOST_TEST(to_string(value) != "?");
}
