// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// server.drain() with completion tokens other than a coroutine's co_await.

#define BOOST_TEST_MODULE serve.drain_tokens
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/told_result.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::error_code;

// A coroutine awaits the server's own coroutine: nothing is spawned for it.
static_assert(std::is_base_of_v<asio::awaitable<duet::drain_report>, duet::server::drain_call>);
static_assert(!asio::is_async_operation<duet::server::drain_call>::value);

namespace {

using told_drain = told_result<duet::drain_report>;

asio::awaitable<void> wait_for_the_end(duet::session peer)
{
    co_await peer.wait_peer_gone();
}

// The waiting stops; the drain goes on. Tokens that throw name the operation.
void check_cancellation(asio::cancellation_type type)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_the_end};
    auto client = client_of(serving);
    serve_until_active(context, serving, 1);
    told_drain told;
    asio::cancellation_signal signals[2];
    serving.drain(1h)(asio::bind_cancellation_slot(signals[0].slot(), told.handler()));
    auto future = serving.drain(1h)(asio::bind_cancellation_slot(signals[1].slot(), asio::use_future));
    context.poll();
    for (auto& each : signals)
        each.emit(type);
    serve(context, [&] { return told.calls == 1 && future.wait_for(0s) == std::future_status::ready; });
    BOOST_TEST((told.error == condition::cancelled));
    BOOST_TEST(!signals[0].slot().has_handler());
    BOOST_CHECK_EXCEPTION(future.get(), duet::session_error,
        [](duet::session_error const& error)
        { return error.code() == condition::cancelled && std::string_view{error.operation()} == "drain"; });
    BOOST_TEST(serving.counters().active == 1U);
    BOOST_TEST(!serving.ready());
    client.reset();
    serve_until_active(context, serving, 0);
    require_end(context);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_handler_gets_the_report)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), echo};
    auto client = client_of(serving);
    serve_until_active(context, serving, 1);
    told_drain told;
    told_drain again;
    serving.drain(10s)(told.handler());
    serving.drain(10s)(again.handler());
    BOOST_TEST(told.calls == 0);  // not from within drain()
    context.poll();
    client.shutdown_write();
    serve(context, [&] { return told.calls + again.calls == 2; });
    BOOST_TEST((told.error == error_code{}));
    BOOST_TEST(told.result.finished == 1U);
    BOOST_TEST(told.result.aborted == 0U);
    BOOST_TEST(again.result.finished == 1U);
    require_end(context);
}

BOOST_AUTO_TEST_CASE(its_time_resets_the_rest)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_the_end};
    auto const client = client_of(serving);
    serve_until_active(context, serving, 1);
    auto future = serving.drain(0s)(asio::use_future);
    serve(context, [&] { return future.wait_for(0s) == std::future_status::ready; });
    auto const report = future.get();
    BOOST_TEST(report.finished == 0U);
    BOOST_TEST(report.aborted == 1U);
    require_end(context);
}

BOOST_AUTO_TEST_CASE(asios_tokens)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), echo};
    auto const body = [](duet::server& s) -> asio::awaitable<void>
    {
        auto const told = co_await s.drain(1s)(asio::as_tuple(asio::deferred));
        BOOST_TEST(!std::get<0>(told).failed());
        BOOST_TEST(std::get<1>(told).aborted == 0U);
        auto const deferred = co_await s.drain(1s)(asio::deferred);
        BOOST_TEST(deferred.aborted == 0U);
        auto const awaitable = co_await s.drain(1s)(asio::use_awaitable);
        BOOST_TEST(awaitable.aborted == 0U);
        auto const plain = co_await s.drain(1s);
        BOOST_TEST(plain.aborted == 0U);
    };
    run(context, body(serving));
}

BOOST_AUTO_TEST_CASE(cancellation_of_any_type)
{
    for (int const type : {1, 2, 4})
        check_cancellation(static_cast<asio::cancellation_type>(type));
}

BOOST_AUTO_TEST_CASE(the_handler_runs_on_its_own_executor)
{
    asio::io_context context;
    asio::io_context other;
    duet::server serving{context, on_loopback(), echo};
    told_drain told;
    serving.drain(1s)(asio::bind_executor(other.get_executor(), told.handler()));
    require_end(context);
    BOOST_TEST(told.calls == 0);
    other.poll();
    BOOST_TEST(told.calls == 1);
    BOOST_TEST((told.error == error_code{}));
}

// The server may be gone: it is aborted then, and the drain ends.
BOOST_AUTO_TEST_CASE(a_server_that_is_destroyed_completes_it)
{
    asio::io_context context;
    std::optional<duet::server> serving{std::in_place, context, on_loopback(), wait_for_the_end};
    auto const client = client_of(*serving);
    serve_until_active(context, *serving, 1);
    told_drain told;
    serving->drain(1h)(told.handler());
    context.poll();
    BOOST_TEST(told.calls == 0);
    serving.reset();
    require_end(context);
    BOOST_TEST(told.calls == 1);
    BOOST_TEST((told.error == error_code{}));
    BOOST_TEST(told.result.aborted == 1U);
}
