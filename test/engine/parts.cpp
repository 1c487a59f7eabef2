// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The parts of a connection, each alone: the read under way, the queue of writes, the discard of close(), and those who
// wait.

#define BOOST_TEST_MODULE engine.parts
#include <duet/detail/engine/closer.hpp>
#include <duet/detail/engine/receiver.hpp>
#include <duet/detail/engine/sender.hpp>
#include <duet/detail/engine/waiters.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using duet::errc;
using duet::error_code;
using namespace duet::detail;

namespace {

/// What a handler was told.
struct told
{
    int calls = 0;
    error_code error{};
    std::size_t size = 0;
};

asio::io_context context;

any_completion handler(told& into)
{
    auto const note = [&into](error_code error, std::size_t size)
    {
        ++into.calls;
        into.error = error;
        into.size = size;
    };
    return {note, asio::any_io_executor{context.get_executor()}, false};
}

/// A channel that takes what it has room for. Nothing else of it is used here.
class narrow_channel final : public channel
{
public:
    narrow_channel() : channel{{}} {}

    std::size_t room = 0;
    std::string taken;
    error_code failure;

    std::size_t write_some(asio::const_buffer buffer, error_code& error) noexcept override
    {
        if (failure)
            error = failure;
        else if (room == 0 && buffer.size() > 0)
            error = asio::error::would_block;
        if (error)
            return 0;
        auto const size = std::min(room, buffer.size());
        taken.append(static_cast<char const*>(buffer.data()), size);
        room -= size;
        return size;
    }

    std::size_t write_some(std::span<asio::const_buffer const> buffers, error_code& error) noexcept override
    {
        std::size_t size = 0;
        for (auto const& buffer : buffers)
        {
            error_code end;
            auto const some = write_some(buffer, end);
            size += some;
            if (some < buffer.size())
            {
                if (size == 0)
                    error = end;
                break;
            }
        }
        return size;
    }

    std::size_t write_some(piped_bytes const&, error_code&) noexcept override { return 0; }
    std::size_t read_some(asio::mutable_buffer, error_code&) noexcept override { return 0; }
    bool readable_now() noexcept override { return false; }
    std::size_t take_into(splice_pipe&, error_code&) noexcept override { return 0; }
    std::size_t discard(std::size_t, error_code&) noexcept override { return 0; }
    void shutdown_send(error_code&) noexcept override {}
    void reset() noexcept override {}
    void close() noexcept override {}
    bool has_input() noexcept override { return false; }
    bool has_failed() noexcept override { return false; }
    bool has_hung_up() noexcept override { return false; }
    error_code take_failure() noexcept override { return {}; }
    std::size_t unacknowledged() noexcept override { return 0; }
    void set_dead_peer_timeout(duet::deadlines::duration) noexcept override {}
    duet::tcp_snapshot info(error_code&) noexcept override { return {}; }
    void read(asio::mutable_buffer) override {}
    void wait_readable(wake) override {}
    void wait_writable() override {}
    void wait_gone() override {}
    void turn() override {}
    void cancel_read() noexcept override {}
    void cancel_gone() noexcept override {}
};

write_request request_of(std::string_view text, bool whole = true)
{
    return {asio::buffer(text), whole};
}

}  // namespace

// ---- receiver
// ----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_read_of_some_is_complete_with_any_byte_and_an_exact_one_when_full)
{
    std::array<char, 10> room{};
    receiver one;
    one.begin(read_kind::some, asio::buffer(room));
    BOOST_TEST(one.busy());
    one.add(3);
    BOOST_TEST(one.is_complete());

    one.begin(read_kind::exact, asio::buffer(room));
    BOOST_TEST(one.size() == 0U);
    one.add(3);
    BOOST_TEST(!one.is_complete());
    BOOST_TEST(one.rest().size() == 7U);
    BOOST_TEST(one.rest().data() == room.data() + 3);
    one.add(7);
    BOOST_TEST(one.is_complete());
}

BOOST_AUTO_TEST_CASE(the_first_cause_that_interrupts_a_read_stays)
{
    receiver one;
    BOOST_TEST(!one.interrupt(errc::read_timed_out));  // there is none
    one.begin(read_kind::wait, {});
    BOOST_TEST(one.waits_only());
    BOOST_TEST(one.interrupt(errc::read_timed_out));
    BOOST_TEST(!one.interrupt(errc::aborted));
    BOOST_TEST(one.cause() == error_code{errc::read_timed_out});
    one.end();
    one.begin(read_kind::wait, {});
    BOOST_TEST(!one.cause());
}

BOOST_AUTO_TEST_CASE(the_handler_of_a_read_may_begin_another)
{
    std::array<char, 4> room{};
    receiver one;
    told second;
    one.handler() = any_completion{[&](error_code, std::size_t size)
        {
            BOOST_TEST(size == 4U);
            BOOST_TEST(!one.busy());
            one.handler() = handler(second);
            one.begin(read_kind::some, asio::buffer(room));
        },
        asio::any_io_executor{context.get_executor()}, false};
    one.begin(read_kind::some, asio::buffer(room));
    one.add(4);
    one.end();
    one.complete({});
    BOOST_TEST(one.busy());
    BOOST_TEST(second.calls == 0);
    one.end();
    one.complete(errc::closed);
    BOOST_TEST(second.calls == 1);
    BOOST_TEST(second.error == error_code{errc::closed});
}

// ---- sender
// ------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_write_goes_on_where_the_channel_stopped)
{
    narrow_channel channel;
    sender queue;
    auto request = request_of("0123456789");
    BOOST_TEST(queue.push(channel, request) == error_code{asio::error::would_block});
    BOOST_TEST(!request.part_way());
    channel.room = 4;
    BOOST_TEST(queue.push(channel, request) == error_code{asio::error::would_block});
    BOOST_TEST(request.part_way());
    BOOST_TEST(request.sent() == 4U);
    channel.room = 100;
    BOOST_TEST(!queue.push(channel, request));
    BOOST_TEST(request.finished());
    BOOST_TEST(channel.taken == "0123456789");
    BOOST_TEST(queue.sent() == 10U);
}

BOOST_AUTO_TEST_CASE(a_write_of_some_ends_with_any_byte)
{
    narrow_channel channel;
    channel.room = 3;
    sender queue;
    auto request = request_of("0123456789", false);
    BOOST_TEST(!queue.push(channel, request));
    BOOST_TEST(request.sent() == 3U);
    BOOST_TEST(!request.part_way());
}

BOOST_AUTO_TEST_CASE(a_sequence_is_written_in_order_across_any_split)
{
    std::string const all = "ab"
                            "cdefg"
                            ""
                            "h"
                            "ijklmnop";
    for (std::size_t split = 0; split <= all.size(); ++split)
    {
        std::vector<asio::const_buffer> parts;
        for (std::string_view const part : {"ab", "cdefg", "", "h", "ijklmnop"})
            parts.push_back(asio::buffer(part));
        narrow_channel channel;
        channel.room = split;
        sender queue;
        write_request request{parts, true};
        request.own();
        parts.clear();
        auto const first = queue.push(channel, request);
        BOOST_TEST((split == all.size() ? !first : first == error_code{asio::error::would_block}));
        channel.room = all.size();
        BOOST_TEST(!queue.push(channel, request));
        BOOST_TEST(channel.taken == all);
    }
}

BOOST_AUTO_TEST_CASE(a_failure_of_the_channel_is_told)
{
    narrow_channel channel;
    channel.failure = asio::error::broken_pipe;
    sender queue;
    auto request = request_of("x");
    BOOST_TEST(queue.push(channel, request) == error_code{asio::error::broken_pipe});
    BOOST_TEST(queue.sent() == 0U);
}

BOOST_AUTO_TEST_CASE(writes_queue_first_in_first_out_and_one_may_be_taken_out)
{
    sender queue;
    BOOST_TEST(queue.empty());
    for (std::uint64_t id = 1; id <= 3; ++id)
    {
        queue.push_back(request_of("x"));
        queue.back().id = id;
    }
    BOOST_TEST((queue.find(4) == queue.end()));
    BOOST_TEST(!queue.is_first(queue.find(2)));
    BOOST_TEST(queue.take(queue.find(2)).id == 2U);
    BOOST_TEST(queue.pop_front().id == 1U);
    BOOST_TEST(queue.front().id == 3U);
    BOOST_TEST(queue.take_all().front().id == 3U);
    BOOST_TEST(queue.empty());
}

// ---- closer
// ------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(one_byte_over_the_limit_tells_more_input_from_the_end)
{
    closer discarding;
    BOOST_TEST(discarding.wanted(100) == 101U);
    BOOST_TEST(discarding.discard(60, 100));
    BOOST_TEST(discarding.wanted(100) == 41U);
    BOOST_TEST(discarding.discard(40, 100));
    BOOST_TEST(discarding.wanted(100) == 1U);
    BOOST_TEST(discarding.discard(0, 100));
    BOOST_TEST(!discarding.discard(1, 100));
    BOOST_TEST(discarding.discarded() == 101U);
}

BOOST_AUTO_TEST_CASE(a_flood_is_discarded_in_turns)
{
    closer const discarding;
    BOOST_TEST(discarding.wanted(SIZE_MAX) == 256U * 1024);
}

// ---- waiters
// -----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(those_who_wait_are_told_in_the_order_in_which_they_came)
{
    std::vector<int> order;
    waiters parked;
    for (int id = 1; id <= 4; ++id)
    {
        any_completion done{[&order, id](error_code, std::size_t) { order.push_back(id); },
            asio::any_io_executor{context.get_executor()}, false};
        parked.park(id == 2 ? awaited::fin : awaited::close, static_cast<std::uint64_t>(id), done);
        BOOST_TEST(!done);
    }
    BOOST_TEST(parked.has(awaited::fin));
    BOOST_TEST(!parked.has(awaited::delivery));
    for (auto closed = parked.take_all(awaited::close); auto& each : closed)
        each.done({}, 0);
    BOOST_TEST(order == (std::vector{1, 3, 4}), boost::test_tools::per_element());
    BOOST_TEST(!parked.has(awaited::close));
    BOOST_TEST(parked.has(awaited::fin));
}

BOOST_AUTO_TEST_CASE(one_who_waits_is_found_and_taken_by_its_id)
{
    waiters parked;
    told one;
    told two;
    auto first = handler(one);
    auto second = handler(two);
    parked.park(awaited::delivery, 7, first);
    parked.park(awaited::peer_gone, 8, second);
    BOOST_TEST(!parked.find(9));
    BOOST_TEST((parked.find(8) == awaited::peer_gone));
    parked.take(std::uint64_t{8})(errc::closed, 0);
    BOOST_TEST(two.calls == 1);
    BOOST_TEST(!parked.find(8));
    BOOST_TEST(!parked.take(awaited::peer_gone));
    BOOST_TEST(static_cast<bool>(parked.take(awaited::delivery)));
    BOOST_TEST(parked.empty());
    BOOST_TEST(one.calls == 0);
}
