// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Where and when the handlers of a session run: executors, strands, and handlers that throw.

#define BOOST_TEST_MODULE asio_face.handlers
#include <duet/session.hpp>

#include "asio_face/asio_face_fixture.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

using namespace duet_test;
using duet::error_code;

BOOST_AUTO_TEST_SUITE(where_and_when_handlers_run)

// However soon the result is known, an ordinary handler is not called before its initiating function has returned.
BOOST_AUTO_TEST_CASE_TEMPLATE(never_inside_the_initiating_function, Session, both)
{
    pair_of<Session> p;
    std::array<char, 8> buffer{};
    bool inside = true;
    int called = 0;
    auto const check = [&](auto const&...)
    {
        BOOST_TEST(!inside);
        ++called;
    };
    p.peer().send_all("hello");
    asio::post(p.context,
        [&]
        {
            p.session.write(asio::buffer("x", 1))(check);  // the kernel takes it at once
            p.session.async_write_some(asio::buffer("x", 1), check);
            p.session.async_read_some(asio::mutable_buffer{}, check);  // nothing to do
            p.session.read_some(asio::mutable_buffer{})(check);        // refused
            p.session.read_some(asio::buffer(buffer))(check);          // there is data
            p.session.read_some(asio::buffer(buffer))(check);          // a second read
            p.session.shutdown_send()(check);
            p.session.write(asio::buffer("x", 1))(check);  // after the FIN
            p.session.wait_peer_gone()(check);
            p.session.wait_peer_gone()(check);  // a second one
            p.session.delivered()(check);
            p.session.abort();
            p.session.close()(check);  // it is closed
            p.session.delivered()(check);
            p.session.wait_peer_gone()(check);
            p.session.read_some(asio::buffer(buffer))(check);
            inside = false;
        });
    p.run();
    BOOST_TEST(called == 15);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(on_the_executor_they_are_bound_to, Session, both)
{
    pair_of<Session> p;
    asio::io_context other;
    std::array<char, 8> buffer{};
    int here = 0;
    auto const bound = [&](auto... arguments)
    {
        return asio::bind_executor(other,
            [&, arguments...](error_code const&, auto const&...)
            {
                ++here;
                (static_cast<void>(arguments), ...);
                BOOST_TEST(other.get_executor().running_in_this_thread());
            });
    };
    p.peer().send_all("hello");
    p.session.async_read_some(asio::buffer(buffer), bound());
    p.session.async_write_some(asio::buffer("x", 1), bound());
    p.session.write(asio::buffer("x", 1))(bound());
    p.session.shutdown_send()(bound());
    // Its context has work to do, as long as they are pending.
    auto elsewhere = std::async(std::launch::async, [&] { return other.run_for(run_guard); });
    p.run();
    elsewhere.wait();
    BOOST_TEST(here == 4);
}

// What the handler is told is what was true when the operation ended. By the time it runs on its own executor, the
// session may have changed, or be gone.
BOOST_AUTO_TEST_CASE_TEMPLATE(on_another_executor_when_the_session_is_gone, Session, both)
{
    asio::io_context other;
    std::optional<duet::close_report> report;
    std::optional<duet::close_reason> reason;
    {
        auto p = std::make_unique<pair_of<Session>>();
        p->session.wait_peer_gone()(
            asio::bind_executor(other, [&](error_code const&, duet::close_reason const told) { reason = told; }));
        p->session.close()(
            asio::bind_executor(other, [&](error_code const&, duet::close_report const& told) { report = told; }));
        asio::post(p->context, [&] { p->session.abort(); });
        p->run();
        BOOST_TEST(!report);
    }
    other.restart();
    other.run_for(run_guard);
    BOOST_REQUIRE(report);
    BOOST_TEST((report->reason == duet::close_reason::aborted));
    BOOST_REQUIRE(reason);
    BOOST_TEST((*reason == duet::close_reason::aborted));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(in_a_coroutine_on_another_executor, Session, both)
{
    pair_of<Session> p;
    asio::io_context other;
    std::vector<std::string> said;
    std::array<char, 8> buffer{};
    auto const talk = [&]() -> asio::awaitable<void>
    {
        auto const size = co_await p.session.read_some(asio::buffer(buffer));
        said.push_back(std::string(buffer.data(), size));
        BOOST_TEST(other.get_executor().running_in_this_thread());
        co_await p.session.write(asio::buffer("answer", 6));
        BOOST_TEST(other.get_executor().running_in_this_thread());
        co_await p.session.read_some(asio::buffer(buffer));
    };
    asio::co_spawn(other, talk(),
        [&](std::exception_ptr const& failure)
        {
            try
            {
                std::rethrow_exception(failure);
            }
            catch (duet::session_error const& told)
            {
                said.push_back(told.operation());
            }
        });
    auto const turn = [&]
    {
        for (int each = 0; each < 8; ++each)
        {
            p.context.restart();
            other.restart();
            p.context.poll();
            other.poll();
        }
    };
    turn();
    p.peer().send_all("hello");
    turn();
    BOOST_TEST(p.peer().recv_exactly(6) == "answer");
    p.session.abort();
    turn();
    BOOST_TEST((said == std::vector<std::string>{"hello", "read_some"}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(on_a_strand, Session, both)
{
    asio::thread_pool pool{4};
    auto const strand = asio::make_strand(pool.get_executor());
    auto raw = connected_pair(address_for(std::type_identity<Session>{}));
    auto session = std::make_unique<Session>(adopt<Session>(raw.client, strand));
    constexpr int rounds = 200;
    std::atomic<int> outside{0};
    int count = 0;  // no atomic: TSan watches
    std::promise<void> done;
    std::array<char, 1> buffer{};
    std::function<void()> const next = [&]
    {
        session->write(asio::buffer("x", 1))(
            [&](error_code const& code, std::size_t)
            {
                outside += strand.running_in_this_thread() ? 0 : 1;
                ++count;
                if (code || count >= 2 * rounds)
                    return done.set_value();
                session->async_read_some(asio::buffer(buffer),
                    [&](error_code const&, std::size_t)
                    {
                        outside += strand.running_in_this_thread() ? 0 : 1;
                        ++count;
                        next();
                    });
            });
    };
    asio::post(strand, [&] { next(); });
    for (int each = 0; each < rounds; ++each)
    {
        raw.server.recv_exactly(1);
        raw.server.send_all("y");
    }
    raw.server.recv_exactly(1);
    BOOST_REQUIRE((done.get_future().wait_for(run_guard) == std::future_status::ready));
    asio::post(strand, [&] { session.reset(); });
    pool.join();
    BOOST_TEST(outside == 0);
    BOOST_TEST(count == 2 * rounds + 1);
}

// A coroutine that writes without ever waiting runs neither away with the stack nor with the thread.
BOOST_AUTO_TEST_CASE(immediate_completions_yield)
{
    pair_of<duet::session> p;
    constexpr int writes = 20000;
    auto reader = std::async(std::launch::async, [&] { return p.peer().recv_all(); });
    int others = 0;
    bool done = false;
    std::function<void()> const turn = [&]
    {
        ++others;
        if (!done)
            asio::post(p.context, turn);
    };
    auto const talk = [&]() -> asio::awaitable<void>
    {
        for (int each = 0; each < writes; ++each)
            co_await p.session.write(asio::buffer("x", 1));
        done = true;
        co_await p.session.shutdown_send();
    };
    turn();
    run(p.context, talk());
    BOOST_TEST(reader.get().data.size() == static_cast<std::size_t>(writes));
    BOOST_TEST(others > writes / 100);
}

// An exception that leaves a handler through run() leaves the session usable.
BOOST_AUTO_TEST_CASE(a_handler_that_throws)
{
    pair_of<duet::session> p;
    for (int each = 0; each < 100; ++each)
    {
        auto const talk = [&]() -> asio::awaitable<void>
        {
            co_await p.session.write(asio::buffer("x", 1));
            throw std::runtime_error{"out of run()"};
        };
        BOOST_CHECK_THROW(run(p.context, talk()), std::runtime_error);
    }
    p.session.write(asio::buffer("x", 1))(
        [](error_code const&, std::size_t) { throw std::runtime_error{"out of run()"}; });
    BOOST_CHECK_THROW(p.run(), std::runtime_error);
    std::size_t size = 0;
    p.session.write(asio::buffer("x", 1))([&](error_code const&, std::size_t const written) { size = written; });
    p.run();
    BOOST_TEST(size == 1U);
    BOOST_TEST(p.peer().recv_exactly(102).size() == 102U);
}

BOOST_AUTO_TEST_SUITE_END()
