// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TESTING_STREAM_RULES_HPP
#define DUET_DETAIL_TESTING_STREAM_RULES_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <duet/detail/testing/stream_trial.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>
#include <duet/session_stream.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What session_stream says of a stream, a function for each rule. One throws stream_complaint where it is broken.
template <class Stream>
struct stream_rules
{
    using trial = stream_trial<Stream>;
    using traits = stream_traits<Stream>;

    static void executor(trial& t)
    {
        boost::asio::any_io_executor const executor{t.near.get_executor()};
        demand(&boost::asio::query(executor, boost::asio::execution::context) == &t.context(),
            "get_executor() is of another execution context than the one that the stream was made on");
    }

    /// A new connection: nothing to read, and nothing wrong.
    static void nothing_is_there(trial& t)
    {
        error_code error;
        demand(t.discard(t.near, 100, error) == 0 && blocked(error), "discard() does not tell would_block");
        demand(!traits::has_input(t.near), "has_input() is true");
        demand(!traits::has_failed(t.near), "has_failed() is true");
        demand(!traits::has_hung_up(t.near), "has_hung_up() is true");
        demand(!traits::take_failure(t.near), "take_failure() tells an error");
        auto const gone = t.wait_error(t.near);
        auto const readable = t.wait_read(t.near);
        t.poll();
        demand(!readable.told(), "wait_read is told");
        demand(!gone.told(), "wait_error is told");
        t.cancel(t.near);
        auto const reading = t.read(t.near, t.room());
        t.poll();
        demand(!reading.told(), "a read is told");
    }

    static void bytes_arrive_in_order(trial& t)
    {
        auto const many = test_bytes(100 * 1000);
        t.carry(t.near, t.far, many);
        t.carry(t.far, t.near, std::string_view{many}.substr(0, 10 * 1000), 999);
        t.carry(t.near, t.far, std::string_view{many}.substr(0, 100), 1);
    }

    static void a_write_gathers(trial& t)
    {
        std::string_view const whole = "abcdefg";
        std::array<boost::asio::const_buffer, 4> const parts{boost::asio::buffer("ab", 2), boost::asio::buffer("", 0),
            boost::asio::buffer("cde", 3), boost::asio::buffer("fg", 2)};
        error_code error;
        auto const size =
            t.inside([&] { return t.near.write_some(std::span<boost::asio::const_buffer const>{parts}, error); });
        demand(!error && size > 0 && size <= whole.size(), "write_some() of several buffers takes nothing");
        t.write(t.near, whole.substr(size));
        t.read_exactly(t.far, whole);
    }

    /// A peer that does not read stops us, and when it reads we go on.
    static void a_write_takes_a_part(trial& t)
    {
        constexpr std::size_t limit = 64 * 1024 * 1024;
        auto const piece = test_bytes(100 * 1000);
        auto const next = [&](std::size_t written) { return std::string_view{piece}.substr(written % piece.size()); };
        std::size_t written = 0;
        auto writable = typename trial::pending{};
        for (int idle = 0; !writable || writable.told();)
        {
            auto const size = t.write_some(t.near, next(written));
            written += size;
            demand(written < limit, "write_some() takes everything, though the peer does not read");
            idle = size > 0 ? 0 : idle + 1;
            demand(idle < 1000, "wait_write is told again and again, though write_some() takes nothing");
            if (size > 0)
                continue;
            writable = t.wait_write(t.near);
            t.poll();
        }
        std::size_t arrived = 0;
        auto const read_next = [&]
        {
            auto const got = t.read_some(t.far);
            for (std::string_view rest = got; !rest.empty();)
            {
                auto const expected = next(arrived).substr(0, rest.size());
                demand(rest.substr(0, expected.size()) == expected, "other bytes arrive than were written");
                arrived += expected.size();
                rest.remove_prefix(expected.size());
            }
        };
        while (arrived < written)
            read_next();
        t.await_success(writable, "wait_write, when the peer has read everything,");
        written += t.write_some(t.near, next(written));
        while (arrived < written)
            read_next();
    }

    static void the_fin_is_behind_all_bytes(trial& t)
    {
        auto const bytes = test_bytes(10 * 1000);
        auto const size = t.write_some(t.near, bytes);
        t.shutdown_send(t.near);
        t.read_to_fin(t.far, std::string_view{bytes}.substr(0, size));
        t.await_input(t.far, "the FIN");
        demand(traits::has_input(t.far), "has_input() is false at the FIN");
        error_code error;
        demand(t.discard(t.far, 100, error) == 0 && !error, "discard() does not tell the FIN by 0 and no error");
        demand(t.read_some(t.far, 100, true).empty(), "bytes come after the FIN");
    }

    static void one_direction_ends_and_the_other_goes_on(trial& t)
    {
        if constexpr (!traits::half_close)
            return;
        t.shutdown_send(t.near);
        t.read_to_fin(t.far, "");
        auto const answer = test_bytes(20 * 1000);
        t.carry(t.far, t.near, answer);
        error_code error;
        auto const size = t.inside([&] { return t.near.write_some(boost::asio::buffer("x", 1), error); });
        demand(size == 0 && error && !blocked(error), "write_some() does not fail behind our own FIN");
        t.write(t.far, "bye");
        t.shutdown_send(t.far);
        t.read_to_fin(t.near, "bye");
    }

    /// Of a stream that cannot end one direction alone.
    static void shutdown_send_is_refused(trial& t)
    {
        if constexpr (!traits::half_close)
        {
            basic_session<Stream> session{std::move(t.near)};
            auto const finished = t.begin([&](auto done) { session.shutdown_send()(std::move(done)); });
            t.await(finished, "shutdown_send() of a session");
            demand(finished.error() == boost::asio::error::operation_not_supported,
                "shutdown_send() of a session does not fail with operation_not_supported");
            t.poll();
            demand(!traits::has_input(t.far), "shutdown_send() of a session has said something to the peer");
            auto const bytes = boost::asio::buffer("!", 1);
            auto const written = t.begin([&](auto done) { session.async_write_some(bytes, std::move(done)); });
            t.await_success(written, "a write after it");
            t.read_exactly(t.far, "!");
        }
    }

    /// Where there is no RST, it is told as the end.
    static void a_reset_is_told_to_the_peer(trial& t)
    {
        t.write(t.near, "last");
        t.read_exactly(t.far, "last");
        auto const reading = t.read(t.far, t.room());
        t.poll();
        t.inside([&] { traits::reset(t.near); });
        t.await(reading, "a read of the peer of a reset");
        demand(reading.error().failed(), "a read of the peer of a reset succeeds");
        demand(!tells_reset<Stream>() || reading.error() == condition::reset,
            "a read of the peer of a reset is told something else: " + in_words(reading.error()));
    }

    static void a_failure_is_told(trial& t)
    {
        auto const gone = t.wait_error(t.near);
        t.poll();
        demand(!gone.told(), "wait_error is told, though nothing has happened");
        t.inside([&] { traits::reset(t.far); });
        demand(t.run_until([&] { return traits::has_hung_up(t.near); }), "has_hung_up() is false after a reset");
        if (tells_hang_up<Stream>())
            t.await(gone, "wait_error after a reset");
        t.await_input(t.near, "a reset");
        demand(traits::has_hung_up(t.near), "has_hung_up() is true once only");
        demand(traits::has_input(t.near), "has_input() is false after a reset");
        if (!tells_reset<Stream>())
            return;
        for (int times = 0; times < 3; ++times)
            demand(traits::has_failed(t.near), "has_failed() is false after a reset, or consumes it");
        auto const failure = traits::take_failure(t.near);
        demand(failure == condition::reset, "take_failure() tells after a reset: " + in_words(failure));
    }

    static void a_hang_up_is_told_and_a_fin_is_none(trial& t)
    {
        if constexpr (!traits::half_close)
            return;
        auto const gone = t.wait_error(t.near);
        t.shutdown_send(t.far);
        t.read_to_fin(t.near, "");
        t.poll();
        demand(!gone.told() && !traits::has_hung_up(t.near), "the FIN of the peer alone is told as a hang-up");
        t.shutdown_send(t.near);
        t.read_to_fin(t.far, "");
        demand(t.run_until([&] { return traits::has_hung_up(t.near); }), "has_hung_up() is false after both FINs");
        demand(!traits::has_failed(t.near), "has_failed() is true after both FINs");
        if (tells_hang_up<Stream>())
            t.await(gone, "wait_error after both FINs");
    }

    static void close_ends_what_waits(trial& t)
    {
        t.write(t.near, "last");
        auto const gone = t.wait_error(t.near);
        auto const reading = t.read(t.near, t.room());
        t.poll();
        t.inside([&] { traits::close(t.near); });
        t.await_aborted(reading, "a read of a closed stream");
        t.await_aborted(gone, "wait_error of a closed stream");
        t.read_exactly(t.far, "last");
        auto const end = t.read(t.far, t.room());
        t.await(end, "a read of the peer of a close");
        demand(end.error() == boost::asio::error::eof || (end.error() && !close_says_fin<Stream>()),
            "a read of the peer of a close tells: " + in_words(end.error()));
    }

    static void cancel_ends_what_waits_and_nothing_else(trial& t)
    {
        t.cancel(t.near);  // nothing is under way
        for (bool const reads : {true, false})
        {
            auto const gone = t.wait_error(t.near);
            auto const waiting = reads ? t.read(t.near, t.room()) : t.wait_read(t.near);
            t.poll();
            t.cancel(t.near);
            t.await_aborted(waiting, reads ? "a cancelled read" : "a cancelled wait_read");
            t.await_aborted(gone, "a cancelled wait_error");
            t.write(t.far, "hello");
            t.read_exactly(t.near, "hello");
        }
        t.carry(t.near, t.far, test_bytes(1000));
        t.shutdown_send(t.far);
        t.read_to_fin(t.near, "");
    }

    static void discard_heeds_its_limit(trial& t)
    {
        t.write(t.far, "0123456789");
        error_code error;
        for (std::size_t gone = 0; gone < 4;)
        {
            t.await_input(t.near, "bytes");
            auto const size = t.discard(t.near, 4 - gone, error);
            demand(size > 0 && !error, "discard() finds nothing where bytes are: " + in_words(error));
            demand(size <= 4 - gone, "discard() throws away more than its limit");
            gone += size;
        }
        t.read_exactly(t.near, "456789");
        demand(t.discard(t.near, 100, error) == 0 && blocked(error), "discard() does not tell would_block");
        t.shutdown_send(t.far);
        t.await_input(t.near, "the FIN");
        demand(t.discard(t.near, 100, error) == 0 && !error, "discard() does not tell the FIN by 0 and no error");
    }

    /// Also those that a layer has taken from below, and holds.
    static void bytes_that_are_held_are_told(trial& t)
    {
        t.write(t.far, "0123456789");
        for (std::string_view rest = "0123456789"; !rest.empty(); rest.remove_prefix(1))
        {
            t.await_input(t.near, "bytes of which a part is read");
            demand(traits::has_input(t.near), "has_input() is false, and bytes are there");
            t.read_exactly(t.near, rest.substr(0, 1), 1);
        }
        auto const readable = t.wait_read(t.near);
        t.poll();
        demand(!readable.told() && !traits::has_input(t.near), "bytes are told, and all have been read");
        t.write(t.far, "x");
        t.await_success(readable, "wait_read, begun before the bytes come,");
        t.read_exactly(t.near, "x");
    }

    static void what_is_read_is_acknowledged(trial& t)
    {
        auto const acknowledged = [&] { return traits::unacknowledged(t.near) == 0; };
        t.carry(t.near, t.far, test_bytes(10 * 1000));
        demand(t.run_until(acknowledged), "unacknowledged() is not 0 when the peer has read everything");
        t.shutdown_send(t.near);
        t.read_to_fin(t.far, "");
        demand(t.run_until(acknowledged), "unacknowledged() is not 0 when the peer has read the FIN");
    }

    static void nothing_is_called_within_a_function(trial& t)
    {
        auto const check = [&](std::string const& what)
        {
            demand(t.told_inside().empty(), "a handler is called within " + what + ", with " + t.told_inside());
            t.poll();
        };
        auto const first = t.read(t.far, t.room());
        t.poll();
        t.write(t.near, "1");
        check("write_some()");
        t.await_success(first, "a read");
        t.write(t.near, "2");
        t.await_input(t.far, "bytes");
        t.wait_read(t.far);
        check("async_wait(wait_read), where bytes are");
        t.read_exactly(t.far, "2");
        check("async_read_some(), where bytes are");
        t.wait_write(t.near);
        check("async_wait(wait_write), where room is");
        for (auto* const end : {&t.near, &t.far})
        {
            auto const reading = t.read(*end, t.room());
            auto const gone = t.wait_error(*end);
            t.poll();
            t.cancel(*end);
            check("cancel()");
            t.await(reading, "a cancelled read");
        }
        auto const last = t.read(t.far, t.room());
        t.poll();
        t.shutdown_send(t.near);
        check("shutdown_send()");
        t.await(last, "a read");
        t.read(t.far, t.room());
        check("async_read_some(), at the FIN");
        t.wait_error(t.far);
        t.inside([&] { traits::reset(t.near); });
        check("reset()");
        t.inside([&] { traits::close(t.far); });
        check("close()");
    }

    static void a_session_closes_cleanly(trial& t)
    {
        basic_session<Stream> near{std::move(t.near)};
        basic_session<Stream> far{std::move(t.far)};
        auto const bytes = boost::asio::buffer("!", 1);
        auto const room = t.room();
        auto const written = t.begin([&](auto done) { near.async_write_some(bytes, std::move(done)); });
        auto const arrived = t.begin([&](auto done) { far.read_some(room)(std::move(done)); });
        t.await_success(written, "a write of a session");
        t.await_success(arrived, "a read of a session");
        auto const closing = t.begin([&](auto done) { near.close()(std::move(done)); });
        auto const at_end = t.begin([&](auto done) { far.async_read_some(room, std::move(done)); });
        t.await(at_end, "a read of a session at the end");
        demand(at_end.error() == boost::asio::error::eof, "a session reads at the end: " + in_words(at_end.error()));
        auto const closed = t.begin([&](auto done) { far.close()(std::move(done)); });
        t.await_success(closing, "close() of a session");
        t.await_success(closed, "close() of a session");
        for (auto const* const end : {&near, &far})
            demand(end->report().clean(),
                "close() of a session is not clean: " + std::string{to_string(end->close_reason())});
    }

private:
    static bool blocked(error_code const& error)
    {
        return error == boost::asio::error::would_block || error == boost::asio::error::try_again;
    }
};

/// The handlers that wait go with their execution context, and what they own goes with them.
template <class Stream, class MakePair>
void handlers_go_with_the_context(MakePair& make_pair)
{
    std::weak_ptr<Stream> watch;
    {
        boost::asio::io_context context;
        auto ends = make_pair(context.get_executor());
        auto const near = std::make_shared<Stream>(std::move(ends.first));
        watch = near;
        stream_traits<Stream>::prepare(*near);
        near->async_wait(Stream::wait_error, [near](error_code const&) {});
        std::array<char, 10> room{};
        near->async_read_some(boost::asio::buffer(room), [near](error_code const&, std::size_t) {});
        context.poll();
    }
    demand(watch.expired(), "a handler is still there when its execution context is destroyed");
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
