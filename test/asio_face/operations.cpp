// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Asio's composed operations and every completion token, on a session over TCP and over Unix-domain sockets.

#define BOOST_TEST_MODULE asio_face.operations
#include <duet/session.hpp>

#include "asio_face/asio_face_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffered_stream.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <list>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::error_code;

// ---- What can be said without running anything.
// ----------------------------------------------------------------------

static_assert(boost::beast::is_async_read_stream<duet::session>::value);
static_assert(boost::beast::is_async_write_stream<duet::session>::value);
static_assert(boost::beast::is_async_stream<duet::unix_session>::value);
static_assert(boost::beast::is_async_stream<duet::session&>::value);
static_assert(!boost::beast::is_sync_stream<duet::session>::value);  // it never waits in a call

static_assert(std::is_same_v<boost::beast::executor_type<duet::session>, asio::any_io_executor>);
static_assert(std::is_nothrow_move_constructible_v<duet::session>);
static_assert(std::is_nothrow_move_assignable_v<duet::session>);
static_assert(!std::is_copy_constructible_v<duet::session>);

static_assert(std::is_same_v<concrete_session::executor_type, asio::io_context::executor_type>);
static_assert(
    std::is_same_v<concrete_session::awaitable<void>, asio::awaitable<void, asio::io_context::executor_type>>);

BOOST_AUTO_TEST_SUITE(composed_operations_of_asio)

BOOST_AUTO_TEST_CASE_TEMPLATE(read_until_read_and_write, Session, all_kinds)
{
    pair_of<Session> p;
    p.peer().send_all("first\nsecond\n0123456789 and more");
    p.peer().shutdown_write();
    std::string buffer;
    std::string fixed(10, '\0');
    std::string rest;
    error_code last;
    asio::async_read_until(p.session, asio::dynamic_buffer(buffer), '\n',
        [&](error_code const& first_error, std::size_t const size)
        {
            BOOST_TEST(!first_error);
            BOOST_TEST(buffer.substr(0, size) == "first\n");
            buffer.erase(0, size);
            asio::async_read_until(p.session, asio::dynamic_buffer(buffer), "\n",
                [&](error_code const& second_error, std::size_t const second_size)
                {
                    BOOST_TEST(!second_error);
                    BOOST_TEST(buffer.substr(0, second_size) == "second\n");
                    buffer.erase(0, second_size);
                    rest = buffer;
                    // To the peer's FIN, which Asio is told as its own eof.
                    asio::async_read(
                        p.session, asio::dynamic_buffer(rest), [&](error_code const& end, std::size_t) { last = end; });
                });
        });
    p.run();
    BOOST_TEST(rest == "0123456789 and more");
    BOOST_TEST((last == error::eof));
    BOOST_TEST((last == duet::condition::ended));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exact_read_ends_with_eof, Session, both)
{
    pair_of<Session> p;
    p.peer().send_all("0123456789abc");
    p.peer().shutdown_write();
    std::array<char, 10> buffer{};
    error_code first;
    error_code second;
    std::size_t second_size = 0;
    asio::async_read(p.session, asio::buffer(buffer),
        [&](error_code const& code, std::size_t const size)
        {
            first = code;
            BOOST_TEST(size == 10U);
            BOOST_TEST(std::string(buffer.data(), size) == "0123456789");
            asio::async_read(p.session, asio::buffer(buffer),
                [&](error_code const& last, std::size_t const last_size)
                {
                    second = last;
                    second_size = last_size;
                });
        });
    p.run();
    BOOST_TEST(!first);
    BOOST_TEST((second == error::eof));
    BOOST_TEST(second_size == 3U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_long_write_of_many_buffers, Session, both)
{
    pair_of<Session> p;
    std::vector<std::string> parts;
    std::string expected;
    for (int each = 0; each < 300; ++each)
    {
        parts.push_back(std::string(static_cast<std::size_t>(each) * 101, static_cast<char>('a' + each % 26)));
        expected += parts.back();
    }
    std::list<asio::const_buffer> buffers;  // any sequence will do
    for (auto const& part : parts)
        buffers.push_back(asio::buffer(part));
    auto reader = std::async(std::launch::async, [&] { return p.peer().recv_all(); });
    error_code code = error::would_block;
    std::size_t size = 0;
    asio::async_write(p.session, buffers,
        [&](error_code const& told, std::size_t const written)
        {
            code = told;
            size = written;
            p.session.shutdown_send()(asio::detached);
        });
    p.run();
    BOOST_TEST(!code);
    BOOST_TEST(size == expected.size());
    BOOST_TEST((reader.get().data == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_layer_of_asio_on_top, Session, both)
{
    pair_of<Session> p;
    p.peer().send_all("line\n");
    asio::buffered_stream<Session&> layered{p.session};
    asio::streambuf buffer;
    std::string line;
    asio::async_read_until(layered, buffer, '\n',
        [&](error_code const& code, std::size_t)
        {
            BOOST_TEST(!code);
            std::istream stream{&buffer};
            std::getline(stream, line);
            asio::async_write(layered, asio::buffer("answer", 6),
                [&](error_code const& written, std::size_t)
                {
                    BOOST_TEST(!written);
                    layered.async_flush([](error_code const& flushed, std::size_t) { BOOST_TEST(!flushed); });
                });
        });
    p.run();
    BOOST_TEST(line == "line");
    BOOST_TEST(p.peer().recv_exactly(6) == "answer");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(buffers_without_room, Session, both)
{
    pair_of<Session> p;
    std::array<char, 8> buffer{};
    std::array<asio::mutable_buffer, 3> const with_a_hole{
        asio::mutable_buffer{}, asio::buffer(buffer), asio::mutable_buffer{}};
    error_code nothing = error::would_block;
    std::size_t size = 0;
    p.session.async_read_some(asio::mutable_buffer{},
        [&](error_code const& code, std::size_t const none)
        {
            nothing = code;
            BOOST_TEST(none == 0U);
        });
    p.run();
    BOOST_TEST(!nothing);  // at once, though nothing was sent
    p.peer().send_all("hello");
    p.session.async_read_some(with_a_hole, [&](error_code const&, std::size_t const some) { size = some; });
    p.session.async_write_some(asio::const_buffer{},
        [](error_code const& code, std::size_t const none)
        {
            BOOST_TEST(!code);
            BOOST_TEST(none == 0U);
        });
    p.run();
    BOOST_TEST(size == 5U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(completion_tokens)

BOOST_AUTO_TEST_CASE_TEMPLATE(use_future, Session, both)
{
    pair_of<Session> p;
    std::array<char, 64> buffer{};
    p.peer().send_all("hello");
    auto written = p.session.async_write_some(asio::buffer("ping", 4), asio::use_future);
    auto first = p.session.async_read_some(asio::buffer(buffer), asio::use_future);
    auto whole = p.session.write(asio::buffer("pong", 4))(asio::use_future);
    p.run();
    BOOST_TEST(written.get() == 4U);
    BOOST_TEST(first.get() == 5U);
    BOOST_TEST(whole.get() == 4U);
    BOOST_TEST(p.peer().recv_exactly(8) == "pingpong");
    p.peer().shutdown_write();
    auto eof = p.session.async_read_some(asio::buffer(buffer), asio::use_future);
    p.run();
    BOOST_CHECK_EXCEPTION(eof.get(), boost::system::system_error,
        [](boost::system::system_error const& failure) { return failure.code() == error::eof; });
    auto end = p.session.read_some(asio::buffer(buffer))(asio::use_future);
    auto report = p.session.close()(asio::use_future);
    p.peer().close();
    p.run();
    BOOST_TEST(end.get() == 0U);  // the coroutine interface's operations tell FIN as 0 with any token
    BOOST_TEST(report.get().clean());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines_of_every_shape, Session, both)
{
    pair_of<Session> p;
    auto const talk = [&]() -> asio::awaitable<void>
    {
        std::array<char, 64> buffer{};
        auto const b = asio::buffer(buffer);
        p.peer().send_all("1");
        auto const one = co_await p.session.async_read_some(b, asio::use_awaitable);
        p.peer().send_all("22");
        auto const two = co_await p.session.async_read_some(b, asio::deferred);
        p.peer().send_all("333");
        auto const three = co_await p.session.read_some(b)(asio::use_awaitable);
        p.peer().send_all("4444");
        auto const four = co_await p.session.read_some(b)(asio::as_tuple(asio::use_awaitable));
        p.peer().send_all("55555");
        auto const five = co_await p.session.read_some(b)(asio::as_tuple(asio::deferred));
        BOOST_TEST(one == 1U);
        BOOST_TEST(two == 2U);
        BOOST_TEST(three == 3U);
        BOOST_TEST(!std::get<0>(four));
        BOOST_TEST(std::get<1>(four) == 4U);
        BOOST_TEST(std::get<1>(five) == 5U);

        // A packaged operation is begun when it is called.
        auto later = p.session.async_read_some(b, asio::deferred);
        p.peer().send_all("666666");
        auto const six = co_await std::move(later)(asio::use_awaitable);
        BOOST_TEST(six == 6U);

        auto const sent = co_await asio::async_write(p.session, asio::buffer("ok", 2), asio::use_awaitable);
        BOOST_TEST(sent == 2U);

        p.peer().shutdown_write();
        auto const end = co_await p.session.read_some(b)(asio::as_tuple(asio::use_awaitable));
        BOOST_TEST(!std::get<0>(end));  // FIN is the value 0 on this face
        BOOST_TEST(std::get<1>(end) == 0U);
        auto const asio_end = co_await p.session.async_read_some(b, asio::as_tuple(asio::use_awaitable));
        BOOST_TEST((std::get<0>(asio_end) == error::eof));

        // Errors: a code, and an exception that names the operation.
        p.session.abort();
        error_code code;
        co_await p.session.read_some(b)(asio::redirect_error(asio::use_awaitable, code));
        BOOST_TEST((code == duet::errc::aborted));
        auto const told = co_await p.session.write(asio::buffer("x", 1))(asio::as_tuple(asio::deferred));
        BOOST_TEST((std::get<0>(told) == duet::errc::aborted));
        std::string operation;
        try
        {
            co_await p.session.read_some(b);
        }
        catch (duet::session_error const& failure)
        {
            operation = failure.operation();
        }
        BOOST_TEST(operation == "read_some");
        bool bare = false;
        try
        {
            co_await p.session.async_read_some(b, asio::use_awaitable);
        }
        catch (duet::session_error const&)
        {
        }
        catch (boost::system::system_error const& failure)
        {
            bare = failure.code() == duet::errc::aborted;
        }
        BOOST_TEST(bare);
    };
    run(p.context, talk());
}

BOOST_AUTO_TEST_CASE(a_concrete_executor_in_its_own_awaitable)
{
    using executor_type = asio::io_context::executor_type;
    pair_of<concrete_session> p;
    bool done = false;
    auto const talk = [&]() -> asio::awaitable<void, executor_type>
    {
        std::array<char, 64> buffer{};
        p.peer().send_all("question\n");
        std::string line;
        auto const size = co_await p.session.read_until(line, "\n", 100);
        BOOST_TEST(size == 9U);
        co_await p.session.write(asio::buffer("answer", 6));
        BOOST_TEST(p.peer().recv_exactly(6) == "answer");
        auto const tuple =
            co_await p.session.write(asio::buffer("more", 4))(asio::as_tuple(asio::use_awaitable_t<executor_type>{}));
        BOOST_TEST(std::get<1>(tuple) == 4U);
        p.peer().recv_exactly(4);
        p.peer().shutdown_write();
        auto const end = co_await p.session.read_some(asio::buffer(buffer));
        BOOST_TEST(end == 0U);
        bool told = false;
        try
        {
            co_await p.session.read(asio::buffer(buffer, 0));
        }
        catch (duet::session_error const& failure)
        {
            told = failure.code() == error::invalid_argument && failure.operation() == std::string_view{"read"};
        }
        BOOST_TEST(told);
        auto const report = co_await p.session.close();
        BOOST_TEST(report.clean());
        done = true;
    };
    asio::co_spawn(p.context.get_executor(), talk(),
        [](std::exception_ptr const& failure)
        {
            if (failure)
                std::rethrow_exception(failure);
        });
    p.run();
    BOOST_TEST(done);
}

// Move-only handlers, and results that are moved on.
BOOST_AUTO_TEST_CASE(a_handler_that_cannot_be_copied)
{
    pair_of<duet::session> p;
    int called = 0;
    auto owned = std::make_unique<int>(7);
    p.session.write(asio::buffer("x", 1))(
        [&called, owned = std::move(owned)](error_code const&, std::size_t) { called = *owned; });
    p.run();
    BOOST_TEST(called == 7);
}

BOOST_AUTO_TEST_SUITE_END()
