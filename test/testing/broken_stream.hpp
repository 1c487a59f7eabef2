// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TESTING_BROKEN_STREAM_HPP
#define DUET_TEST_TESTING_BROKEN_STREAM_HPP

#include <duet/error.hpp>
#include <duet/stream_traits.hpp>
#include <duet/testing/memory_stream.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "testing/record_stream.hpp"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace duet_test {

enum class fault
{
    executor_of_another,
    input_is_invented,
    byte_is_lost,
    gathers_only_one,
    takes_everything,
    never_writable,
    always_writable,
    fin_cuts_bytes,
    fin_ends_both,
    reset_is_silent,
    reset_is_a_fin,
    failure_told_once,
    end_is_a_failure,
    hang_up_not_told,
    fin_is_a_hang_up,
    close_forgets_who_waits,
    cancel_is_ignored,
    cancel_ends_it,
    discards_too_much,
    discard_knows_no_fin,
    never_acknowledged,
    tells_at_once,
    goodbye_refused,
    keeps_handlers,
};

/// A stream in memory that has one fault.
class broken_stream : public duet::testing::memory_stream
{
public:
    broken_stream(memory_stream&& end, fault one) : memory_stream{std::move(end)}, broken{one} {}

    executor_type get_executor() const
    {
        static boost::asio::io_context another;
        return broken == fault::executor_of_another ? executor_type{another.get_executor()}
                                                    : memory_stream::get_executor();
    }

    template <class Buffers>
    std::size_t write_some(Buffers const& buffers, duet::error_code& error)
    {
        auto const all = boost::asio::buffer_size(buffers);
        if (broken == fault::takes_everything)
            behaviour().capacity += all;
        if (broken == fault::gathers_only_one)
        {
            auto const size = memory_stream::write_some(*boost::asio::buffer_sequence_begin(buffers), error);
            return size > 0 ? all : 0;
        }
        auto const size = memory_stream::write_some(buffers, error);
        // It took a part, and tells more.
        return broken == fault::byte_is_lost && size > 0 && size < all ? size + 1 : size;
    }

    template <class Handler>
    void async_wait(wait_type what, Handler handler)
    {
        bool const fin_is_there = broken == fault::fin_is_a_hang_up && has_input();
        if (broken == fault::tells_at_once && what == wait_read && has_input())
            handler(duet::error_code{});
        else if ((broken == fault::always_writable && what == wait_write) || (fin_is_there && what == wait_error))
            boost::asio::post(
                memory_stream::get_executor(), [done = std::move(handler)]() mutable { done(duet::error_code{}); });
        else if (broken == fault::never_writable && what == wait_write)
            memory_stream::async_wait(wait_error, std::move(handler));
        else if (broken == fault::hang_up_not_told && what == wait_error)
            memory_stream::async_wait(
                what, [done = std::move(handler)](duet::error_code error) mutable { error ? done(error) : void(); });
        else if (broken == fault::keeps_handlers && what == wait_error)
            kept().push_back(std::make_shared<Handler>(std::move(handler)));
        else
            memory_stream::async_wait(what, std::move(handler));
    }

    /// Handlers that outlive their execution context.
    static std::vector<std::shared_ptr<void>>& kept()
    {
        static std::vector<std::shared_ptr<void>> all;
        return all;
    }

    fault broken;
    bool failure_is_told = false;
};

}  // namespace duet_test

template <>
struct duet::stream_traits<duet_test::broken_stream> : duet::stream_traits<duet::testing::memory_stream>
{
    using base = duet::stream_traits<duet::testing::memory_stream>;
    using fault = duet_test::fault;
    using stream_type = duet_test::broken_stream;

    static void shutdown_send(stream_type& stream, duet::error_code& error) noexcept
    {
        if (stream.broken == fault::goodbye_refused)
        {
            error = boost::asio::error::operation_not_supported;
            return;
        }
        if (stream.broken == fault::fin_cuts_bytes && stream.unacknowledged() > 0)
            return stream.reset();
        base::shutdown_send(stream, error);
        if (stream.broken == fault::fin_ends_both)
            stream.close();
    }

    static void reset(stream_type& stream) noexcept
    {
        if (stream.broken == fault::reset_is_a_fin)
            stream.close();
        else if (stream.broken != fault::reset_is_silent)
            base::reset(stream);
    }

    static void close(stream_type& stream) noexcept
    {
        duet::error_code ignored;
        stream.broken == fault::close_forgets_who_waits ? stream.memory_stream::shutdown_send(ignored)
                                                        : base::close(stream);
    }

    static void cancel(stream_type& stream) noexcept
    {
        if (stream.broken != fault::cancel_is_ignored)
            base::cancel(stream);
        if (stream.broken == fault::cancel_ends_it)
            base::reset(stream);
    }

    static std::size_t discard(stream_type& stream, std::size_t limit, duet::error_code& error) noexcept
    {
        auto const size = base::discard(stream, stream.broken == fault::discards_too_much ? limit + 1 : limit, error);
        if (stream.broken == fault::discard_knows_no_fin && size == 0 && !error)
            error = boost::asio::error::eof;
        return size;
    }

    static std::size_t unacknowledged(stream_type& stream) noexcept
    {
        return stream.broken == fault::never_acknowledged ? 1 : base::unacknowledged(stream);
    }

    static bool has_input(stream_type& stream) noexcept
    {
        return stream.broken == fault::input_is_invented || base::has_input(stream);
    }

    static bool has_failed(stream_type& stream) noexcept
    {
        if (stream.broken == fault::failure_told_once &&
            std::exchange(stream.failure_is_told, base::has_failed(stream)))
            return false;
        return base::has_failed(stream) || (stream.broken == fault::end_is_a_failure && base::has_hung_up(stream));
    }

    static bool has_hung_up(stream_type& stream) noexcept
    {
        return (stream.broken == fault::fin_is_a_hang_up && base::has_input(stream)) || base::has_hung_up(stream);
    }
};

namespace duet_test {

/// As record_stream, but it tells those who wait only of what is below, and says that a close is as good as a goodbye.
class broken_record_stream : public record_stream
{
public:
    explicit broken_record_stream(record_stream&& end) : record_stream{std::move(end)} {}

    template <class Handler>
    void async_wait(wait_type what, Handler handler)
    {
        if (what == wait_read)
            lowest_layer().async_wait(what, std::move(handler));
        else
            record_stream::async_wait(what, std::move(handler));
    }
};

/// As record_stream, but when it is moved after prepare(), it says its goodbye.
class goodbye_when_moved_stream : public record_stream
{
public:
    explicit goodbye_when_moved_stream(record_stream&& end) : record_stream{std::move(end)} {}

    goodbye_when_moved_stream(goodbye_when_moved_stream&& other) noexcept
        : record_stream{std::move(other)}, prepared{other.prepared}
    {
        duet::error_code ignored;
        if (prepared)
            shutdown_send(ignored);
    }

    bool prepared = false;
};

/// Not quite a stream.
class no_wait_stream : public duet::testing::memory_stream
{
public:
    void async_wait() = delete;
};

class no_reset_stream : public duet::testing::memory_stream
{
};

}  // namespace duet_test

template <>
struct duet::stream_traits<duet_test::broken_record_stream> : duet::stream_traits<duet_test::record_stream>
{
    static constexpr bool close_says_fin = true;
};

template <>
struct duet::stream_traits<duet_test::goodbye_when_moved_stream> : duet::stream_traits<duet_test::record_stream>
{
    static void prepare(duet_test::goodbye_when_moved_stream& stream) noexcept { stream.prepared = true; }
};

template <>
struct duet::stream_traits<duet_test::no_wait_stream> : duet::stream_traits<duet::testing::memory_stream>
{
};

template <>
struct duet::stream_traits<duet_test::no_reset_stream> : duet::stream_traits<duet::testing::memory_stream>
{
    static void reset() = delete;
};

#endif
