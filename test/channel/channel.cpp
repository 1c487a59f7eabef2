// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What every channel promises (detail/channel/channel.hpp), asked of each: Asio's on TCP, on a Unix-domain socket and
// on a stream in memory, and the one in duet's reactor.

#define BOOST_TEST_MODULE channel.channel
#include <duet/detail/channel/asio_channel.hpp>
#include <duet/testing/memory_stream.hpp>

#if defined(__linux__)
#include <duet/detail/channel/epoll_channel.hpp>
#endif

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using duet::error_code;
using namespace duet::detail;

namespace {

/// Notes what it is told, in the order in which it is.
class recorder final : public channel_user
{
public:
    std::vector<std::string> told;
    std::string bytes;  // what the reads brought
    std::array<char, 64 * 1024> room{};
    bool inside = false;  // of a function of the channel
    int alive = 0;        // references that are not the test's
    bool abandoned = false;
    std::function<void()> next;  // done within the next call

    void on_read(error_code const& error, std::size_t size) override
    {
        bytes.append(room.data(), size);
        note("read", error);
    }

    void on_writable(error_code error) override { note("writable", error); }

    void on_gone(error_code error) override { note("gone", error); }

    void on_turn() override { note("turn", {}); }

    void abandon() noexcept override { abandoned = true; }

    asio::mutable_buffer buffer(std::size_t size) { return asio::buffer(room, size); }

    /// What it was told, and forgets.
    std::string take()
    {
        std::string all;
        for (auto const& each : std::exchange(told, {}))
            all += all.empty() ? each : ' ' + each;
        return all;
    }

private:
    void note(std::string what, error_code const& error)
    {
        BOOST_TEST(!inside);
        if (error == asio::error::eof)
            what += ":fin";
        else if (error == asio::error::operation_aborted)
            what += ":aborted";
        else if (error)
            what += ":failed";
        told.push_back(std::move(what));
        if (auto const act = std::exchange(next, nullptr))
            act();
    }

    void dispose() noexcept override {}
};

template <class Protocol>
struct connected
{
    using socket = typename Protocol::socket;

    explicit connected(asio::io_context& context) : near{context}, far{context}
    {
        if constexpr (std::is_same_v<Protocol, tcp>)
        {
            tcp::acceptor listener{context, {asio::ip::address_v4::loopback(), 0}};
            near.connect(listener.local_endpoint());
            far = listener.accept();
        }
        else
            asio::local::connect_pair(near, far);
        near.non_blocking(true);
    }

    socket near;
    socket far;
};

/// An end in memory, with the functions of a socket that the tests call.
class memory_far : public duet::testing::memory_stream
{
public:
    explicit memory_far(memory_stream&& end) : memory_stream{std::move(end)} {}

    void shutdown(asio::socket_base::shutdown_type)
    {
        error_code ignored;
        shutdown_send(ignored);
    }

    void set_option(asio::socket_base::linger const&) { resets_ = true; }

    void close() { resets_ ? reset() : memory_stream::close(); }

private:
    bool resets_ = false;
};

struct over_memory
{
    struct pair
    {
        explicit pair(std::pair<duet::testing::memory_stream, duet::testing::memory_stream>&& both)
            : near{std::move(both.first)}, far{std::move(both.second)}
        {
        }

        duet::testing::memory_stream near;
        memory_far far;
    };

    over_memory() : ends{duet::testing::memory_stream::pair(context.get_executor())}, channel{ends.near, user} {}

    asio::io_context context;
    recorder user;
    pair ends;
    asio_channel<duet::testing::memory_stream> channel;
};

/// A channel with a plain socket at the other end.
template <class Protocol>
struct over_asio
{
    over_asio() : ends{context}, channel{ends.near, user} {}

    asio::io_context context;
    recorder user;
    connected<Protocol> ends;
    asio_channel<typename Protocol::socket> channel;
};

#if defined(__linux__)
struct over_epoll
{
    over_epoll() : ends{context}, channel{user}
    {
        reactor::use(context, 0);
        BOOST_REQUIRE(channel.enter(*reactor::of(&context), ends.near.release()));
    }

    ~over_epoll()
    {
        channel.close();
        context.poll();
    }

    asio::io_context context;
    recorder user;
    connected<tcp> ends;
    epoll_channel channel;
};
#endif

template <class Base>
struct talk : Base
{
    using Base::channel;
    using Base::context;
    using Base::ends;
    using Base::user;

    /// Call a function of the channel: it must tell nothing from within.
    template <class Function>
    decltype(auto) inside(Function function)
    {
        user.inside = true;
        struct leave
        {
            bool& flag;
            ~leave() { flag = false; }
        } const leaves{user.inside};
        return function();
    }

    void read(std::size_t size = 64 * 1024)
    {
        inside([&] { channel.read(user.buffer(size)); });
    }

    void wait_readable(duet::detail::channel::wake how = duet::detail::channel::wake::certain)
    {
        inside([&] { channel.wait_readable(how); });
    }

    void wait_writable()
    {
        inside([&] { channel.wait_writable(); });
    }

    void wait_gone()
    {
        inside([&] { channel.wait_gone(); });
    }

    /// Run until the user was told something.
    std::string told()
    {
        context.restart();
        while (user.told.empty() && context.run_one() > 0)
        {
        }
        return user.take();
    }

    /// Run what there is to run now.
    std::string told_now()
    {
        context.restart();
        context.poll();
        return user.take();
    }

    void say(std::string_view text) { asio::write(ends.far, asio::buffer(text)); }

    std::string hear()
    {
        std::string all;
        error_code error;
        asio::read(ends.far, asio::dynamic_buffer(all), error);
        return all + (error == asio::error::eof ? "" : " and " + error.message());
    }

    void reset_far()
    {
        ends.far.set_option(asio::socket_base::linger{true, 0});
        ends.far.close();
    }

    std::size_t write(std::string_view text, error_code& error)
    {
        return inside([&] { return channel.write_some(asio::buffer(text), error); });
    }

    /// Write until nothing goes any more.
    std::size_t fill()
    {
        std::string const block(64 * 1024, 'x');
        std::size_t total = 0;
        for (error_code error; !error;)
            total += write(block, error);
        return total;
    }
};

#if defined(__linux__)
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>, talk<over_epoll>>;
#else
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>>;
#endif
using all_channels = boost::mp11::mp_push_back<reset_channels, talk<over_asio<stream_protocol>>>;

}  // namespace

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
    BOOST_TEST(!t.channel.may_read());
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
    BOOST_TEST(!t.channel.may_read());
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
