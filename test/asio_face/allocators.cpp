// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The allocator that is bound to a handler is used wherever the handler is kept or queued, and gets everything back.

#define BOOST_TEST_MODULE asio_face.allocators
#include <duet/connector.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "asio_face/asio_face_fixture.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

using namespace duet_test;
using duet::error_code;

namespace {

struct counts
{
    int allocated = 0;
    int live = 0;
};

template <class T>
struct counting
{
    using value_type = T;

    explicit counting(counts& own) noexcept : kept{&own} {}

    template <class U>
    counting(counting<U> const& other) noexcept : kept{other.kept}
    {
    }

    T* allocate(std::size_t count)
    {
        ++kept->allocated;
        ++kept->live;
        return std::allocator<T>{}.allocate(count);
    }

    void deallocate(T* pointer, std::size_t count) noexcept
    {
        --kept->live;
        std::allocator<T>{}.deallocate(pointer, count);
    }

    template <class U>
    bool operator==(counting<U> const& other) const noexcept
    {
        return kept == other.kept;
    }

    counts* kept;
};

/// Run both until the handler was called, on `other`. The number of blocks of its allocator while it was queued there.
int run_until(asio::io_context& context, asio::io_context& other, int const& called, counts const& used)
{
    int queued = 0;
    eventually(
        [&]
        {
            context.restart();
            context.poll();
            queued = used.live;
            other.restart();
            other.poll();
            return called == 1;
        },
        "the handler is called");
    return queued;
}

/// The handler of an operation is queued on another executor. `begin(handler)` begins the operation, `then()` lets it
/// complete.
template <class Begin, class Then>
void check(asio::io_context& context, std::string const& name, Begin begin, Then then)
{
    BOOST_TEST_CONTEXT(name)
    {
        asio::io_context other;
        counts used;
        int called = 0;
        auto const handler = [&called](error_code const&, auto const&...) { ++called; };
        begin(asio::bind_executor(other, asio::bind_allocator(counting<char>{used}, handler)));
        then();
        BOOST_TEST(run_until(context, other, called, used) > 0);
        BOOST_TEST(used.live == 0);
    }
}

constexpr auto nothing = [] {};

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_sessions_operations, Session, both)
{
    pair_of<Session> p;
    auto& s = p.session;
    std::array<char, 4> bytes{};
    auto const buffer = asio::buffer(bytes);
    std::string text;
    auto const send = [&] { p.peer().send_all("four"); };
    check(
        p.context, "read_some", [&](auto handler) { s.read_some(buffer)(handler); }, send);
    check(
        p.context, "read", [&](auto handler) { s.read(buffer)(handler); }, send);
    check(
        p.context, "read_or_end", [&](auto handler) { s.read_or_end(buffer)(handler); }, send);
    check(
        p.context, "read_until", [&](auto handler) { s.read_until(text, "r", 100)(handler); }, send);
    check(
        p.context, "async_read_some", [&](auto handler) { s.async_read_some(buffer, handler); }, send);
    check(
        p.context, "wait_readable", [&](auto handler) { s.wait_readable()(handler); }, send);
    check(
        p.context, "read", [&](auto handler) { s.read(buffer)(handler); }, nothing);
    check(
        p.context, "write", [&](auto handler) { s.write(buffer)(handler); }, nothing);
    check(
        p.context, "async_write_some", [&](auto handler) { s.async_write_some(buffer, handler); }, nothing);
    check(
        p.context, "delivered", [&](auto handler) { s.delivered()(handler); }, [&] { p.peer().recv_exactly(8); });
    check(
        p.context, "shutdown_send", [&](auto handler) { s.shutdown_send()(handler); }, nothing);
    check(
        p.context, "wait_peer_gone", [&](auto handler) { s.wait_peer_gone()(handler); },
        [&] { p.peer().shutdown_write(); });
    check(
        p.context, "close", [&](auto handler) { s.close()(handler); }, nothing);
    check(
        p.context, "a refused read", [&](auto handler) { s.read(buffer)(handler); }, nothing);
    Session const moved{std::move(s)};
    check(
        p.context, "an empty session", [&](auto handler) { s.read(buffer)(handler); }, nothing);
}

// On the session's executor, too: the call of a handler whose result is known is queued, and one that waits is kept.
BOOST_AUTO_TEST_CASE_TEMPLATE(on_the_sessions_executor, Session, both)
{
    pair_of<Session> p;
    counts used;
    int called = 0;
    std::array<char, 4> bytes{};
    auto const small = [&called](error_code const&, std::size_t) { ++called; };
    p.session.write(asio::buffer(bytes))(asio::bind_allocator(counting<char>{used}, small));
    BOOST_TEST(used.allocated == 2);  // kept, and queued
    p.run();
    BOOST_TEST(called == 1);
    BOOST_TEST(used.live == 0);

    std::array<char, 256> const much{};
    auto const large = [&called, much](error_code const&, std::size_t) { called += 1 + much[0]; };
    p.session.read_some(asio::buffer(bytes))(asio::bind_allocator(counting<char>{used}, large));
    BOOST_TEST(used.live == 1);
    p.peer().send_all("x");
    p.run();
    BOOST_TEST(called == 2);
    BOOST_TEST(used.live == 0);
}

// Given back also if the handler is never called.
BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_session_that_is_gone, Session, both)
{
    counts used;
    asio::io_context other;
    {
        pair_of<Session> p;
        std::array<char, 4> bytes{};
        std::array<char, 256> const much{};
        auto const handler = [much](error_code const&, std::size_t) { static_cast<void>(much); };
        p.session.read_some(asio::buffer(bytes))(
            asio::bind_executor(other, asio::bind_allocator(counting<char>{used}, handler)));
        BOOST_TEST(used.live > 0);
    }
    BOOST_TEST(used.live == 0);
}

BOOST_AUTO_TEST_CASE(of_connect_accept_and_drain)
{
    asio::io_context context;
    duet::acceptor listening{context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    duet::connector connecting{context};
    check(
        context, "accept", [&](auto handler) { listening.accept()(handler); },
        [&]
        {
            check(
                context, "connect", [&](auto h) { connecting.connect(listening.local_endpoint())(h); }, nothing);
        });
    auto const serve = [](duet::session) -> asio::awaitable<void> { co_return; };
    duet::server serving{context, {.address = "127.0.0.1"}, serve};
    check(
        context, "drain", [&](auto handler) { serving.drain(std::chrono::seconds{1})(handler); }, nothing);
}
