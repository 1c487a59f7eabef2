// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CHANNEL_FIXTURE_HPP
#define DUET_TEST_CHANNEL_FIXTURE_HPP

// Each channel with its user and the other end: Asio's on TCP, on a Unix-domain socket and on a stream in memory, and
// the one in duet's reactor.

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
#include <boost/test/test_tools.hpp>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace duet_test::channels {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using duet::error_code;
using namespace duet::detail;

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
    std::function<void()> next;              // done within the next call
    std::function<bool(error_code&)> takes;  // what wait_readable(wake::likely) tells of

    void on_read(error_code const& error, std::size_t size) override
    {
        bytes.append(room.data(), size);
        note("read", error);
    }

    bool on_input(error_code& error, turn_time&) noexcept override { return takes && takes(error); }

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
            do
                far = listener.accept();
            while (!is_from(near));
        }
        else
            asio::local::connect_pair(near, far);
        near.non_blocking(true);
    }

    /// Another program may have tried this port before.
    bool is_from(socket const& client) const
    {
        boost::system::error_code gone;
        return far.remote_endpoint(gone) == client.local_endpoint();
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
    /// may_read() is false when a read has found nothing.
    static constexpr bool knows_when_empty = !requires { Base::never_knows; };

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

}  // namespace duet_test::channels

#endif
