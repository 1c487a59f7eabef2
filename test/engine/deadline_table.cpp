// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Which deadline is next, which has passed, and what counts as progress: time points in, time points out.

#define BOOST_TEST_MODULE engine.deadline_table
#include <duet/detail/engine/deadline_table.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <list>

using namespace std::chrono_literals;
using duet::deadlines;
using duet::errc;
using duet::error_code;
using duet::lifecycle;
using duet::lifecycle_event;
using duet::detail::coarse_clock;
using duet::detail::deadline_table;
using duet::detail::pending_operations;
using verdict = deadline_table::close_verdict;
using time_point = deadline_table::time_point;

namespace {

constexpr auto tick = coarse_clock::tick();
constexpr auto never = deadline_table::never;
constexpr time_point start{1000s};

/// All off, so that a test sees only what it sets.
deadlines none()
{
    deadlines result;
    result.half_closed = result.close = result.close_total = result.dead_peer = 0s;
    return result;
}

/// A table that keeps the limits that it is given.
class kept_table : private std::list<deadlines>, public deadline_table
{
public:
    kept_table(deadlines const& limits, time_point now) : list{limits}, deadline_table{back(), now} {}

    void set(deadlines const& limits, time_point now)
    {
        push_back(limits);
        deadline_table::set(back(), now);
    }
};

lifecycle after(std::initializer_list<lifecycle_event> events)
{
    lifecycle life;
    for (auto const event : events)
        life.apply(event);
    return life;
}

lifecycle const unended{};

constexpr pending_operations nothing{};
constexpr pending_operations both{true, true, false};
constexpr pending_operations only_read{true, false, false};
constexpr pending_operations only_write{false, true, false};

}  // namespace

namespace boost::test_tools::tt_detail {

template <>
struct print_log_value<time_point>
{
    void operator()(std::ostream& out, time_point value) const
    {
        out << std::chrono::duration_cast<std::chrono::milliseconds>(value - start).count() << " ms after the start";
    }
};

}  // namespace boost::test_tools::tt_detail

BOOST_AUTO_TEST_CASE(without_limits_nothing_is_ever_due)
{
    kept_table const table{none(), start};
    BOOST_TEST((table.earliest(unended, both) == never));
    BOOST_TEST((table.earliest(after({lifecycle_event::peer_finished}), both) == never));
    BOOST_TEST((table.earliest(after({lifecycle_event::close_requested}), both) == never));
    BOOST_TEST(!table.first_message_expired(start + 1000h));
    BOOST_TEST(!table.quiet(unended, start + 1000h));
}

BOOST_AUTO_TEST_CASE(a_deadline_is_never_early_by_the_tick_of_a_coarse_clock)
{
    auto limits = none();
    limits.idle = 60s;
    kept_table const table{limits, start};
    BOOST_TEST((table.earliest(unended, both) == start + 60s + tick));
    BOOST_TEST(!table.quiet(unended, start + 60s + tick - 1ns));
    BOOST_TEST(table.quiet(unended, start + 60s + tick) == error_code{errc::idle_timed_out});
}

BOOST_AUTO_TEST_CASE(a_byte_either_way_restarts_idle)
{
    auto limits = none();
    limits.idle = 60s;
    kept_table table{limits, start};
    table.note_activity(start + 50s);
    BOOST_TEST((table.earliest(unended, both) == start + 110s + tick));
    BOOST_TEST(!table.quiet(unended, start + 100s));
    table.note_activity(start + 40s);  // a coarse clock may lag behind
    BOOST_TEST((table.last_activity() == start + 50s));
}

BOOST_AUTO_TEST_CASE(the_earliest_of_all_is_next)
{
    auto limits = none();
    limits.idle = 60s;
    limits.first_message = 20s;
    kept_table table{limits, start};
    BOOST_TEST((table.earliest(unended, both) == start + 20s + tick));
    table.read_by = start + 10s;
    BOOST_TEST((table.earliest(unended, both) == start + 10s));
    table.read_call_by = start + 5s;
    BOOST_TEST((table.earliest(unended, both) == start + 5s));
    table.call_by = start + 4s;
    BOOST_TEST((table.earliest(unended, both) == start + 4s));
    table.watch_peer_at = start + 3s;
    BOOST_TEST((table.earliest(unended, both) == start + 3s));
    table.finish_by = start + 2s;
    BOOST_TEST((table.earliest(unended, both) == start + 3s));
    BOOST_TEST((table.earliest(unended, {true, true, true}) == start + 2s));
    BOOST_TEST((table.look_again(start) == start + 1ms));
    BOOST_TEST((table.earliest(unended, both) == start + 1ms));
}

BOOST_AUTO_TEST_CASE(the_first_message_is_due_whatever_comes_until_it_is_whole)
{
    auto limits = none();
    limits.first_message = 20s;
    kept_table table{limits, start};
    table.note_activity(start + 19s);
    BOOST_TEST(table.first_message_expired(start + 20s + tick));
    table.first_message_received();
    BOOST_TEST(!table.first_message_expired(start + 1000h));
    limits.first_message = 30s;
    table.set(limits, start + 20s);
    BOOST_TEST(!table.first_message_expired(start + 1000h));  // it has come
}

BOOST_AUTO_TEST_CASE(new_limits_count_from_now)
{
    auto limits = none();
    limits.idle = limits.first_message = 60s;
    kept_table table{limits, start};
    limits.idle = 10s;
    limits.first_message = 20s;
    table.set(limits, start + 30s);
    BOOST_TEST((table.earliest(unended, both) == start + 40s + tick));
    BOOST_TEST(!table.first_message_expired(start + 50s));
    BOOST_TEST(table.first_message_expired(start + 50s + tick));
}

BOOST_AUTO_TEST_CASE(the_same_limit_for_the_first_message_counts_on)
{
    auto limits = none();
    limits.first_message = 20s;
    kept_table table{limits, start};
    limits.idle = 5s;
    table.set(limits, start + 10s);
    BOOST_TEST(table.first_message_expired(start + 20s + tick));
}

BOOST_AUTO_TEST_CASE(half_closed_counts_from_the_fin_or_the_last_byte)
{
    auto limits = none();
    limits.half_closed = 30s;
    kept_table table{limits, start};
    auto const half = after({lifecycle_event::peer_finished});
    table.half_closed(start + 5s);
    BOOST_TEST((table.earliest(half, both) == start + 35s + tick));
    BOOST_TEST((table.earliest(unended, both) == never));
    table.note_activity(start + 20s);
    BOOST_TEST(!table.quiet(half, start + 49s));
    BOOST_TEST(table.quiet(half, start + 50s + tick) == error_code{errc::half_closed_timed_out});
}

BOOST_AUTO_TEST_CASE(half_closed_is_named_where_idle_has_passed_too)
{
    auto limits = none();
    limits.half_closed = limits.idle = 30s;
    kept_table table{limits, start};
    table.half_closed(start);
    BOOST_TEST(
        table.quiet(after({lifecycle_event::peer_finished}), start + 60s) == error_code{errc::half_closed_timed_out});
}

BOOST_AUTO_TEST_CASE(bytes_that_the_peer_acknowledges_are_progress)
{
    auto limits = none();
    limits.idle = 60s;
    kept_table table{limits, start};
    BOOST_TEST(table.acknowledged(5000, 1000, start + 1s, {}));    // written since: no figure to compare with
    BOOST_TEST(!table.acknowledged(5000, 1000, start + 61s, {}));  // none left
    BOOST_TEST(table.acknowledged(5000, 900, start + 62s, {}));
    BOOST_TEST((table.last_activity() == start + 62s));
    BOOST_TEST(!table.acknowledged(5000, 900, start + 63s, {}));
    BOOST_TEST((table.last_activity() == start + 62s));
    BOOST_TEST(!table.acknowledged(5000, 1800, start + 64s, {}));  // more than before is not less
}

BOOST_AUTO_TEST_CASE(bytes_written_since_the_last_look_get_their_time)
{
    kept_table table{none(), start};
    table.acknowledged(5000, 100, start + 1s, {});
    table.note_activity(start + 2s);
    BOOST_TEST(table.acknowledged(5000, 200, start + 3s, {}));
    BOOST_TEST(!table.acknowledged(5000, 200, start + 4s, {}));
}

BOOST_AUTO_TEST_CASE(with_nothing_unacknowledged_there_is_no_progress)
{
    kept_table table{none(), start};
    BOOST_TEST(!table.acknowledged(5000, 0, start + 1s, {}));
    BOOST_TEST((table.last_activity() == start));
}

BOOST_AUTO_TEST_CASE(the_time_of_an_acknowledgement_counts_where_it_is_known)
{
    auto limits = none();
    limits.idle = 60s;
    kept_table table{limits, start};
    BOOST_TEST(table.acknowledged(1000, 0, start + 60s, start + 20s));  // all of it, 40 seconds ago
    BOOST_TEST((table.last_activity() == start + 20s));
    BOOST_TEST(!table.acknowledged(1000, 0, start + 61s, start + 61s));  // heard of, but nothing new was acknowledged
    BOOST_TEST((table.last_activity() == start + 20s));
    BOOST_TEST(!table.acknowledged(5000, 4000, start + 62s, start + 62s));  // written, and nothing of it acknowledged
    BOOST_TEST(table.acknowledged(9000, 4000, start + 63s, start + 63s));
    BOOST_TEST((table.last_activity() == start + 63s));
}

BOOST_AUTO_TEST_CASE(the_deadlines_of_the_peer_count_while_an_operation_waits)
{
    auto limits = none();
    limits.idle = 60s;
    limits.half_closed = 50s;
    limits.first_message = 40s;
    kept_table table{limits, start};
    auto const half = after({lifecycle_event::peer_finished});
    table.half_closed(start);
    BOOST_TEST((table.earliest(half, nothing) == never));
    BOOST_TEST((table.earliest(half, only_write) == start + 50s + tick));
    BOOST_TEST((table.earliest(unended, only_write) == start + 60s + tick));
    BOOST_TEST((table.earliest(unended, only_read) == start + 40s + tick));
}

BOOST_AUTO_TEST_CASE(the_wait_for_a_message_and_the_whole_of_one_are_two_deadlines)
{
    auto limits = none();
    limits.next_message = 60s;
    limits.message = 10s;
    kept_table table{limits, start};
    BOOST_TEST((table.earliest(unended, only_read) == never));
    table.read_begins(false, start + 5s);
    BOOST_TEST((table.earliest(unended, only_read) == start + 65s + tick));
    BOOST_TEST((table.earliest(unended, only_write) == never));
    BOOST_TEST(table.next_message_expired(start + 65s + tick));
    table.message_begins(start + 20s);
    table.read_begins(true, start + 25s);  // the second read of the same message
    BOOST_TEST((table.earliest(unended, only_read) == start + 30s + tick));
    BOOST_TEST(!table.next_message_expired(start + 1000h));
    table.note_activity(start + 29s);  // a drip does not extend it
    BOOST_TEST(table.message_expired(start + 30s + tick));
    table.message_ended();
    BOOST_TEST(!table.message_expired(start + 1000h));
}

BOOST_AUTO_TEST_CASE(a_write_counts_from_its_last_progress)
{
    auto limits = none();
    limits.write = 8s;
    kept_table table{limits, start};
    BOOST_TEST(!table.write_expired(start + 1000h));
    table.write_waits(start);
    BOOST_TEST((table.earliest(unended, only_write) == start + 1s + tick));  // looked at in eighths
    BOOST_TEST(table.write_look_due(start + 1s + tick));
    BOOST_TEST(table.write_expired(start + 8s + tick));
    table.write_waits(start + 3s);
    BOOST_TEST(!table.write_expired(start + 11s));
    BOOST_TEST(table.acknowledged(5000, 4000, start + 9s, start + 8s));
    BOOST_TEST(!table.write_expired(start + 16s));
    BOOST_TEST(table.write_expired(start + 16s + tick));
    limits.write = 100s;
    table.set(limits, start + 10s);
    BOOST_TEST(table.write_expired(start + 16s + tick));  // a pending write keeps its deadline
    table.no_write_waits();
    BOOST_TEST(!table.write_expired(start + 1000h));
}

BOOST_AUTO_TEST_CASE(close_is_looked_at_in_eighths_and_ends_without_progress)
{
    auto limits = none();
    limits.close = 8s;
    limits.close_total = 100s;
    kept_table table{limits, start};
    auto const closing = after({lifecycle_event::close_requested, lifecycle_event::writes_flushed});
    table.closing(start);
    table.set_unacknowledged(1000);
    BOOST_TEST((table.earliest(closing, nothing) == start + 1s + tick));
    BOOST_TEST(table.close_look_due(closing, start + 1s + tick));
    BOOST_TEST(table.acknowledged(5000, 900, start + 2s, {}));
    BOOST_TEST(!table.close_look_due(closing, start + 3s));
    BOOST_TEST((table.earliest(closing, nothing) == start + 3s + tick));
    BOOST_TEST(!table.acknowledged(5000, 900, start + 9s, {}));
    BOOST_TEST((table.verdict_on_close(closing, start + 10s) == verdict::wait));
    BOOST_TEST((table.verdict_on_close(closing, start + 10s + tick) == verdict::give_up));
}

BOOST_AUTO_TEST_CASE(a_hurried_close_waits_shortly_for_a_peer_that_has_everything_and_sends_nothing)
{
    auto const closing = after({lifecycle_event::close_requested, lifecycle_event::writes_flushed});
    kept_table table{{.close = 5s, .close_total = 30s}, start};
    table.closing(start);
    table.hurry_close(start);
    table.set_unacknowledged(7);
    BOOST_TEST((table.verdict_on_close(closing, start + 1s) == verdict::wait));
    table.set_unacknowledged(0);
    BOOST_TEST((table.verdict_on_close(closing, start + 399ms) == verdict::wait));
    BOOST_TEST((table.verdict_on_close(closing, start + 400ms) == verdict::leave));
    // It still sends: what is left then would be unread, and the close a reset.
    table.input_discarded(start + 300ms);
    BOOST_TEST((table.verdict_on_close(closing, start + 699ms) == verdict::wait));
    BOOST_TEST((table.verdict_on_close(closing, start + 700ms) == verdict::leave));
    BOOST_TEST((table.earliest(closing, {}) <= start + 700ms));
}

BOOST_AUTO_TEST_CASE(close_leaves_a_peer_that_makes_progress_to_the_kernel)
{
    auto limits = none();
    limits.close = 8s;
    limits.close_total = 20s;
    kept_table table{limits, start};
    auto const flushing = after({lifecycle_event::close_requested});
    auto const closing = after({lifecycle_event::close_requested, lifecycle_event::writes_flushed});
    table.closing(start);
    table.set_unacknowledged(100);
    for (int second = 1; second <= 20; ++second)
    {
        table.acknowledged(5000, static_cast<std::size_t>(100 - second), start + second * 1s, {});
        BOOST_TEST((table.verdict_on_close(closing, start + second * 1s) == verdict::wait));
    }
    BOOST_TEST((table.verdict_on_close(closing, start + 20s + tick) == verdict::leave));
    BOOST_TEST((table.verdict_on_close(flushing, start + 20s + tick) == verdict::wait));  // the kernel lacks the rest
    BOOST_TEST((table.verdict_on_close(flushing, start + 28s + tick) == verdict::give_up));
}

BOOST_AUTO_TEST_CASE(polling_begins_at_once_and_grows_rarer)
{
    kept_table table{none(), start};
    auto now = start;
    for (auto const expected : {1ms, 2ms, 4ms, 8ms, 16ms, 32ms, 50ms, 50ms})
    {
        BOOST_TEST((table.look_again(now) == now + expected));
        BOOST_TEST(!table.take_poll(now + expected - 1ns));
        now += expected;
        BOOST_TEST(table.take_poll(now));
        BOOST_TEST(!table.take_poll(now));  // asked for once
    }
    table.restart_polling();
    BOOST_TEST((table.look_again(now) == now + 1ms));
}

BOOST_AUTO_TEST_CASE(a_byte_of_another_connection_counts)
{
    auto limits = none();
    limits.idle = 60s;
    kept_table table{limits, start};
    table.join_activity(start + 30s);
    BOOST_TEST((table.earliest(unended, both) == start + 90s + tick));
    table.join_activity(start + 10s);
    BOOST_TEST((table.last_activity() == start + 30s));
}

BOOST_AUTO_TEST_CASE(a_byte_of_another_connection_is_not_one_that_was_written_here)
{
    kept_table table{none(), start};
    table.acknowledged(5000, 100, start + 1s, {});
    table.join_activity(start + 30s);
    BOOST_TEST(!table.acknowledged(5000, 100, start + 31s, {}));  // nothing was written here that would get its time
}

BOOST_AUTO_TEST_CASE(a_limit_beyond_the_range_of_the_clock_is_none)
{
    auto limits = none();
    limits.idle = deadlines::duration::max();
    kept_table const table{limits, start};
    BOOST_TEST((table.earliest(unended, both) == never));
}
