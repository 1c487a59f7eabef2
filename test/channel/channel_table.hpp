// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_CHANNEL_TABLE_HPP
#define DUET_TEST_CHANNEL_TABLE_HPP

// What every channel promises (detail/channel/channel.hpp), asked of those in two lists that the file has which
// includes this: all_channels, and of them reset_channels, which know RST.

#include "channel/channel_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <functional>
#include <span>
#include <string>

namespace duet_test::channels {

// ---- Reading
// -----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_ends_with_what_comes, Talk, all_channels)
{
    Talk t;
    t.read();
    BOOST_TEST(t.told_now() == "");
    t.say("hello");
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "hello");
    t.say("more");  // nobody has asked
    BOOST_TEST(t.told_now() == "");
    t.read();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "hellomore");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_that_finds_bytes_is_not_told_from_within, Talk, all_channels)
{
    Talk t;
    t.say("hello");
    t.read();
    BOOST_TEST(t.user.told.empty());
    BOOST_TEST(t.told() == "read");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_bytes_come_before_the_fin_and_both_in_their_turn, Talk, all_channels)
{
    Talk t;
    t.say("last");
    t.ends.far.shutdown(asio::socket_base::shutdown_send);
    t.read();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "last");
    t.read();
    BOOST_TEST(t.told() == "read:fin");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reset_ends_a_read_with_an_error, Talk, reset_channels)
{
    Talk t;
    t.read();
    t.reset_far();
    BOOST_TEST(t.told() == "read:failed");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_may_begin_the_next_from_within_what_it_tells, Talk, all_channels)
{
    Talk t;
    t.user.next = [&] { t.read(); };
    t.read();
    t.say("one");
    BOOST_TEST(t.told() == "read");
    t.say("two");
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "onetwo");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_wait_for_readability_takes_no_byte, Talk, all_channels)
{
    for (auto const how : {channel::wake::certain, channel::wake::likely})
    {
        Talk t;
        t.wait_readable(how);
        BOOST_TEST(t.told_now() == "");
        t.say("hello");
        BOOST_TEST(t.told() == "read");
        BOOST_TEST(t.user.bytes == "");
        BOOST_TEST(t.channel.has_input());
        t.read();
        BOOST_TEST(t.told() == "read");
        BOOST_TEST(t.user.bytes == "hello");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_fin_is_readable, Talk, all_channels)
{
    Talk t;
    t.wait_readable();
    t.ends.far.shutdown(asio::socket_base::shutdown_send);
    BOOST_TEST(t.told() == "read");
    t.read();
    BOOST_TEST(t.told() == "read:fin");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_wait_that_is_certain_does_not_end_for_bytes_that_were_read_since, Talk, all_channels)
{
    Talk t;
    t.read(5);
    t.say("hello");
    BOOST_TEST(t.told() == "read");
    t.wait_readable();  // the room was filled, so there might be more
    BOOST_TEST(t.told_now() == "");
    t.say("!");
    BOOST_TEST(t.told() == "read");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_cancelled_read_loses_nothing, Talk, all_channels)
{
    Talk t;
    t.read();
    BOOST_TEST(t.told_now() == "");
    t.inside([&] { t.channel.cancel_read(); });
    BOOST_TEST(t.told() == "read:aborted");
    BOOST_TEST(t.told_now() == "");
    t.say("hello");
    t.read();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_that_gets_less_than_it_has_room_for_has_emptied_the_socket, Talk, all_channels)
{
    Talk t;
    t.say("hello");
    t.read();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.channel.may_read() != Talk::knows_when_empty);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_may_be_read_at_once_is_read_or_would_block, Talk, all_channels)
{
    Talk t;
    t.say("hello");
    t.wait_readable();
    BOOST_TEST(t.told() == "read");
    if (!t.channel.may_read())
        return;  // it does not know without a wait
    BOOST_TEST(t.channel.readable_now());
    error_code error;
    std::array<char, 5> room{};
    BOOST_TEST(t.channel.read_some(asio::buffer(room), error) == 5U);
    BOOST_TEST(!error);
    // The room was filled, so there may be more; there is not.
    BOOST_TEST(t.channel.may_read());
    BOOST_TEST(t.channel.read_some(asio::buffer(room), error) == 0U);
    BOOST_TEST(error == error_code{asio::error::would_block});
    BOOST_TEST(t.channel.may_read() != Talk::knows_when_empty);
}

// ---- Writing
// -----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(a_write_takes_what_goes_and_its_wait_ends_when_more_does, Talk, all_channels)
{
    Talk t;
    auto const total = t.fill();
    BOOST_TEST(total > 0U);
    t.wait_writable();
    BOOST_TEST(t.told_now() == "");
    std::string all(total, '\0');
    asio::read(t.ends.far, asio::buffer(all));
    BOOST_TEST(t.told() == "writable");
    error_code error;
    BOOST_TEST(t.write("x", error) == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_sequence_goes_in_one_write, Talk, all_channels)
{
    Talk t;
    std::array<asio::const_buffer, 3> const parts{asio::buffer("ab", 2), asio::buffer("", 0), asio::buffer("cde", 3)};
    error_code error;
    BOOST_TEST(t.channel.write_some(std::span<asio::const_buffer const>{parts}, error) == 5U);
    t.channel.shutdown_send(error);
    BOOST_TEST(!error);
    BOOST_TEST(t.hear() == "abcde");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_write_to_a_peer_that_is_gone_fails_without_a_signal, Talk, all_channels)
{
    Talk t;
    t.reset_far();
    t.wait_gone();
    t.told();
    error_code error;
    for (int i = 0; i < 2 && !error; ++i)
        t.write("x", error);
    BOOST_TEST(error.failed());
    BOOST_TEST(error != error_code{asio::error::would_block});
}

// ---- Ending
// ------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(one_direction_ends_and_the_other_goes_on, Talk, all_channels)
{
    Talk t;
    BOOST_TEST(t.channel.able().half_close);
    error_code error;
    t.write("bye", error);
    t.channel.shutdown_send(error);
    BOOST_TEST(!error);
    BOOST_TEST(t.hear() == "bye");
    t.say("answer");
    t.read();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.user.bytes == "answer");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_and_reset_end_what_waits, Talk, all_channels)
{
    for (bool const resets : {false, true})
    {
        Talk t;
        t.read();
        t.wait_gone();
        BOOST_TEST(t.told_now() == "");
        t.inside([&] { resets ? t.channel.reset() : t.channel.close(); });
        std::string all = t.told();
        if (auto const rest = t.told_now(); !rest.empty())
            all += ' ' + rest;
        BOOST_TEST(all.find("read:aborted") != std::string::npos);
        BOOST_TEST(all.find("gone:aborted") != std::string::npos);
        BOOST_TEST(t.told_now() == "");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reset_is_a_reset_even_when_nothing_is_unread, Talk, reset_channels)
{
    Talk t;
    t.channel.reset();
    std::array<char, 1> room{};
    error_code error;
    t.ends.far.read_some(asio::buffer(room), error);
    BOOST_TEST(error == error_code{asio::error::connection_reset});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(discard_throws_away_within_its_limit_and_tells_the_fin, Talk, all_channels)
{
    Talk t;
    error_code error;
    BOOST_TEST(t.channel.discard(100, error) == 0U);
    BOOST_TEST(error == error_code{asio::error::would_block});
    t.say("0123456789");
    t.wait_readable(channel::wake::likely);
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.channel.discard(4, error) == 4U);
    BOOST_TEST(!error);
    BOOST_TEST(t.channel.discard(100, error) == 6U);
    t.ends.far.shutdown(asio::socket_base::shutdown_send);
    t.wait_readable();
    BOOST_TEST(t.told() == "read");
    BOOST_TEST(t.channel.discard(100, error) == 0U);
    BOOST_TEST(!error);
}

// ---- The hang-up
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(the_wait_for_the_hang_up_ends_with_a_reset_and_not_with_a_fin, Talk, reset_channels)
{
    Talk t;
    if (!t.channel.able().tells_hang_up)
        return;
    t.wait_gone();
    t.ends.far.shutdown(asio::socket_base::shutdown_send);
    BOOST_TEST(t.told_now() == "");
    t.reset_far();
    BOOST_TEST(t.told() == "gone");
    BOOST_TEST(t.channel.has_hung_up());
    BOOST_TEST(t.channel.has_failed());
    BOOST_TEST((t.channel.take_failure() == duet::condition::reset));
}

// Its event has come and gone.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_hang_up_before_the_wait_ends_it, Talk, reset_channels)
{
    Talk t;
    if (!t.channel.able().tells_hang_up)
        return;
    t.read();
    t.reset_far();
    BOOST_TEST(t.told() == "read:failed");
    for (int wait = 0; wait < 2; ++wait)
    {
        t.wait_gone();
        BOOST_TEST(t.told() == "gone");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_cancelled_wait_for_the_hang_up_leaves_the_read, Talk, all_channels)
{
    Talk t;
    t.wait_gone();
    BOOST_TEST(t.told_now() == "");
    t.inside([&] { t.channel.cancel_gone(); });
    BOOST_TEST(t.told() == "gone:aborted");
    t.read();
    t.say("hello");
    BOOST_TEST(t.told() == "read");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_hang_up_while_a_read_waits_is_told_to_both, Talk, reset_channels)
{
    Talk t;
    if (!t.channel.able().tells_hang_up)
        return;
    t.read();
    t.wait_gone();
    t.reset_far();
    std::string all = t.told();
    if (auto const rest = t.told_now(); !rest.empty())
        all += ' ' + rest;
    BOOST_TEST(all.find("read:failed") != std::string::npos);
    BOOST_TEST(all.find("gone") != std::string::npos);
}

// ---- Turns
// -------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(a_turn_comes_once_and_later, Talk, all_channels)
{
    Talk t;
    t.inside(
        [&]
        {
            t.channel.turn();
            t.channel.turn();
        });
    BOOST_TEST(t.told() == "turn");
    BOOST_TEST(t.told_now() == "");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(turns_and_reads_do_not_keep_each_other_from_being_told, Talk, all_channels)
{
    Talk t;
    t.say("hellomore!");
    t.read(5);
    BOOST_TEST(t.told() == "read");
    std::function<void()> const again = [&]
    {
        t.channel.turn();
        t.user.next = again;
    };
    t.user.next = again;
    t.channel.turn();
    t.read(5);
    t.context.restart();
    for (int i = 0; i < 1000 && t.user.bytes.size() < 10; ++i)
        t.context.poll_one();
    BOOST_TEST(t.user.bytes == "hellomore!");
    t.user.next = nullptr;
}

// ---- Life
// --------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE_TEMPLATE(a_context_runs_while_something_is_waited_for_and_no_longer, Talk, all_channels)
{
    Talk t;
    t.say("x");
    t.read();
    t.context.restart();
    t.context.run();  // ends
    BOOST_TEST(t.user.take() == "read");
    t.wait_gone();
    t.channel.cancel_gone();
    t.context.restart();
    t.context.run();
    BOOST_TEST(t.user.take() == "gone:aborted");
}

}  // namespace duet_test::channels

#endif
