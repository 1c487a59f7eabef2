// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// accept() with completion tokens other than a coroutine's co_await: what they are told, where, and how they cancel.

#define BOOST_TEST_MODULE accept.tokens
#include <duet/acceptor.hpp>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/fd.hpp"
#include "support/told_result.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::errc;
using duet::error_code;
using tcp = asio::ip::tcp;

// A coroutine awaits the acceptor's own coroutine: nothing is spawned for it.
static_assert(std::is_base_of_v<asio::awaitable<duet::session>, duet::acceptor::accept_call>);
static_assert(!asio::is_async_operation<duet::acceptor::accept_call>::value);

namespace {

tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

raw_socket client_of(duet::acceptor const& listening)
{
    return raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
}

using told_accept = told_result<duet::session>;

/// Run until nothing is ready.
void poll(asio::io_context& context)
{
    context.restart();
    context.poll();
}

void run_until_called(asio::io_context& context, told_accept const& told)
{
    eventually(
        [&]
        {
            poll(context);
            return told.calls > 0;
        },
        "the handler is called");
}

std::string text_of(std::future<duet::session> future)
{
    try
    {
        auto const session = future.get();
        return {};
    }
    catch (duet::session_error const& error)
    {
        return error.what();
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_handler_gets_the_session)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const strand = asio::make_strand(context);
    auto const first = client_of(listening);
    auto const second = client_of(listening);
    told_accept told[2];
    listening.accept()(told[0].handler());
    listening.accept(strand)(told[1].handler());
    for (auto const& each : told)
        BOOST_TEST(each.calls == 0);  // not from within accept()
    for (auto const& each : told)
    {
        run_until_called(context, each);
        BOOST_TEST((each.error == error_code{}));
        BOOST_TEST(each.result.local_endpoint() == listening.local_endpoint());
    }
    BOOST_TEST((told[0].result.get_executor() == asio::any_io_executor{context.get_executor()}));
    BOOST_TEST((told[1].result.get_executor() == asio::any_io_executor{strand}));
}

BOOST_AUTO_TEST_CASE(asios_tokens)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const body = [](duet::acceptor& a) -> asio::awaitable<void>
    {
        std::vector<raw_socket> clients;
        for (int each = 0; each < 4; ++each)
            clients.push_back(client_of(a));
        auto result = co_await a.accept()(asio::as_tuple(asio::deferred));
        BOOST_TEST(!std::get<0>(result).failed());
        BOOST_TEST(std::get<1>(result).valid());
        auto later = a.accept()(asio::deferred);
        auto const deferred = co_await std::move(later);
        BOOST_TEST(deferred.valid());
        auto const awaited_one = co_await a.accept()(asio::use_awaitable);
        BOOST_TEST(awaited_one.valid());
        auto future = a.accept()(asio::use_future);
        co_await until([&] { return future.wait_for(0s) == std::future_status::ready; }, "the future is ready");
        BOOST_TEST(future.get().valid());

        a.close();
        auto closed = co_await a.accept()(asio::as_tuple(asio::deferred));
        BOOST_TEST((std::get<0>(closed) == error_code{errc::closed}));
        BOOST_TEST(!std::get<1>(closed).valid());
    };
    run(context, body(listening));
}

// Whatever throws names the operation and the listener.
BOOST_AUTO_TEST_CASE(tokens_that_throw)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const expected = "accept " + duet::to_string(listening.local_endpoint()) + ": closed by its owner";
    listening.close();
    auto plain = listening.accept()(asio::use_future);
    auto bound = listening.accept()(asio::bind_executor(context.get_executor(), asio::use_future));
    context.run_for(run_guard);
    BOOST_TEST(text_of(std::move(plain)) == expected);
    BOOST_TEST(text_of(std::move(bound)) == expected);
    auto const body = [](duet::acceptor& a, std::string const& text) -> asio::awaitable<void>
    {
        auto awaitable = a.accept()(asio::use_awaitable);
        auto const one = co_await outcome_of(std::move(awaitable));
        BOOST_TEST(one.text == text);
        auto const other = co_await outcome_of(awaited<duet::session>(a.accept()(asio::deferred)));
        BOOST_TEST(other.text == text);
    };
    run(context, body(listening, expected));
}

BOOST_AUTO_TEST_CASE(the_handler_runs_on_its_own_executor)
{
    asio::io_context context;
    asio::io_context other;
    duet::acceptor listening{context, loopback};
    auto const client = client_of(listening);
    told_accept told;
    listening.accept()(asio::bind_executor(other.get_executor(), told.handler()));
    eventually(
        [&]
        {
            poll(context);
            return listening.counters().accepted == 1;
        },
        "it is accepted");
    BOOST_TEST(told.calls == 0);
    BOOST_TEST((other.poll() != 0));
    BOOST_TEST(told.calls == 1);
    BOOST_TEST(told.result.valid());
}

// It completes, whether the listener closes or its owner is gone.
BOOST_AUTO_TEST_CASE(a_listener_that_ends_completes_it)
{
    for (bool const destroyed : {false, true})
        for (bool const at_once : {false, true})
        {
            no_leaked_descriptors const watched;
            asio::io_context context;
            std::optional<duet::acceptor> listening{std::in_place, context, loopback};
            told_accept told;
            listening->accept()(told.handler());
            if (!at_once)
                poll(context);
            BOOST_TEST(told.calls == 0);
            if (destroyed)
                listening.reset();
            else
                listening->close();
            context.restart();
            context.run_for(run_guard);
            BOOST_TEST(told.calls == 1);
            BOOST_TEST((told.error == error_code{errc::closed}));
            BOOST_TEST(!told.result.valid());
        }
}

BOOST_DATA_TEST_CASE(cancellation_of_any_type_loses_no_connection, boost::unit_test::data::make({1, 2, 4}), type)
{
    no_leaked_descriptors const watched;
    for (bool const at_once : {true, false})
    {
        asio::io_context context;
        duet::acceptor listening{context, loopback};
        told_accept cancelled;
        asio::cancellation_signal signal;
        listening.accept()(asio::bind_cancellation_slot(signal.slot(), cancelled.handler()));
        if (!at_once)
            poll(context);
        auto const client = client_of(listening);
        signal.emit(static_cast<asio::cancellation_type>(type));
        run_until_called(context, cancelled);
        BOOST_TEST(!signal.slot().has_handler());  // it is free for the next operation
        if (cancelled.result.valid())              // it was there before the cancellation was heard
            continue;
        BOOST_TEST((cancelled.error == condition::cancelled));
        told_accept next;
        listening.accept()(next.handler());
        run_until_called(context, next);
        BOOST_TEST((next.error == error_code{}));
        BOOST_TEST(next.result.remote_endpoint().port() == client.local_port());
    }
}

BOOST_AUTO_TEST_CASE(a_race_with_a_timer_loses_no_connection)
{
    using namespace asio::experimental::awaitable_operators;
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const body = [](duet::acceptor& a) -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor};
        std::vector<raw_socket> clients;
        std::set<std::uint16_t> served;
        for (int round = 0; round < 20; ++round)
        {
            // The timer has expired, and the connection is there: either may win.
            clients.push_back(client_of(a));
            timer.expires_after(0s);
            auto first = co_await (a.accept() || timer.async_wait(asio::use_awaitable));
            if (auto* const session = std::get_if<0>(&first))
                served.insert(session->remote_endpoint().port());
            clients.push_back(client_of(a));
            timer.expires_after(0s);
            auto second = co_await (timer.async_wait(asio::use_awaitable) || a.accept());
            if (auto* const session = std::get_if<1>(&second))
                served.insert(session->remote_endpoint().port());
        }
        while (served.size() < clients.size())
        {
            auto const session = co_await a.accept();
            served.insert(session.remote_endpoint().port());
        }
        for (auto const& each : clients)
            BOOST_TEST(served.count(each.local_port()) == 1U);
    };
    run(context, body(listening));
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_the_handler_along)
{
    no_leaked_descriptors const watched;
    asio::cancellation_signal signal;
    auto const owned = std::make_shared<int>(0);
    std::optional<duet::acceptor> listening;
    {
        asio::io_context context;
        listening.emplace(context, loopback);
        listening->accept()(
            asio::bind_cancellation_slot(signal.slot(), [owned](error_code, duet::session const&) { ++*owned; }));
        poll(context);
        BOOST_TEST(owned.use_count() == 2);
        listening.reset();
    }
    BOOST_TEST(owned.use_count() == 1);
    BOOST_TEST(*owned == 0);
    signal.emit(asio::cancellation_type::terminal);
}
