// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A conversation of two sessions that is cancelled at every await point (P41). Nothing hangs, and nothing is left.

#define BOOST_TEST_MODULE session.interrupted
#include <duet/session.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/test/unit_test.hpp>

#include "session/long_conversation.hpp"
#include "session/memory_fixture.hpp"

#include <exception>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using asio::cancellation_type;

namespace {

// The conversation of ask() and answer() on one thread. True: it ended before it was cancelled.
bool converse_and_cancel(std::size_t after, bool cancel_the_asking)
{
    simulated_time time;
    auto& context = time.context;
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    ends.first.behaviour().capacity = small_capacity;  // its peer's is enough for all answers: it asks before it reads
    ends.second.behaviour().capacity = 2 * stalling_size;
    asio::cancellation_signal signal;
    int ended = 0;
    bool failed = false;
    auto const on_end = [&](std::exception_ptr const& failure)
    {
        ++ended;
        try
        {
            if (failure)
                std::rethrow_exception(failure);
        }
        catch (boost::system::system_error const&)
        {
            failed = true;  // the conversation was cut; anything else comes out of run()
        }
    };
    duet::session_options const options = with({.close = 5s});
    auto asking = ask(memory_session{std::move(ends.first), options});
    auto answering = answer(memory_session{std::move(ends.second), options});
    if (cancel_the_asking)
    {
        asio::co_spawn(context, std::move(asking), asio::bind_cancellation_slot(signal.slot(), on_end));
        asio::co_spawn(context, std::move(answering), on_end);
    }
    else
    {
        asio::co_spawn(context, std::move(asking), on_end);
        asio::co_spawn(context, std::move(answering), asio::bind_cancellation_slot(signal.slot(), on_end));
    }
    for (std::size_t turn = 0; turn < after && ended < 2; ++turn)
        BOOST_REQUIRE(time.step());
    bool const over = ended == 2;
    signal.emit(cancellation_type::terminal);
    time.run_until([&] { return ended == 2; }, "the end of both");
    time.run_leftover();
    BOOST_TEST(ended == 2);
    BOOST_TEST((over ? !failed : true));
    return over;
}

}  // namespace

BOOST_AUTO_TEST_CASE(cancelled_at_every_await_point)
{
    for (bool const asking : {true, false})
    {
        std::size_t turns = 0;
        for (;; ++turns)
        {
            bool over = false;
            BOOST_TEST_CONTEXT("after " << turns << " turns")
            {
                over = converse_and_cancel(turns, asking);
            }
            if (over)
                break;
            BOOST_REQUIRE(turns < 5000);
        }
        BOOST_TEST(turns > 20U);
    }
}
