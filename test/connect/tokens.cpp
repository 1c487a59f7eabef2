// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connect with completion tokens other than a coroutine's co_await: what they are told, where, and how they cancel.

#define BOOST_TEST_MODULE connect.tokens
#include <duet/connector.hpp>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/fd.hpp"
#include "support/told_result.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <exception>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace duet_test;
using duet::condition;
using duet::error_code;

// A coroutine awaits the connector's own coroutine: nothing is spawned for it.
static_assert(std::is_base_of_v<asio::awaitable<duet::session>, duet::connector::connect_call>);
static_assert(!asio::is_async_operation<duet::connector::connect_call>::value);

namespace {

using told_connect = told_result<duet::session>;

}  // namespace

BOOST_AUTO_TEST_CASE(a_handler_gets_the_session)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    auto const endpoint = server.endpoint();
    auto const port = std::to_string(endpoint.port());
    duet::connector connector{context};
    told_connect told[4];
    connector.connect(endpoint)(told[0].handler());
    connector.connect("127.0.0.1", port)(told[1].handler());
    connector.connect(endpoint, {.max_tries = 2})(told[2].handler());
    connector.connect("127.0.0.1", port, {.max_tries = 2})(told[3].handler());
    for (auto const& each : told)
        BOOST_TEST(each.calls == 0);  // not from within connect()
    context.run_for(run_guard);
    for (auto const& each : told)
    {
        BOOST_TEST(each.calls == 1);
        BOOST_TEST((each.error == error_code{}));
        BOOST_TEST(each.result.remote_endpoint() == endpoint);
    }
}

BOOST_AUTO_TEST_CASE(a_handler_gets_the_error)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    refusing_address const nobody;
    duet::connector connector{context};
    told_connect refused;
    told_connect malformed;
    connector.connect(nobody.endpoint())(refused.handler());
    connector.connect("127.0.0.1", "65536")(malformed.handler());
    context.run_for(run_guard);
    BOOST_TEST((refused.error == error_code{asio::error::connection_refused}));
    BOOST_TEST(!refused.result.valid());
    BOOST_TEST((malformed.error == error_code{asio::error::service_not_found}));
}

BOOST_AUTO_TEST_CASE(a_handler_gets_a_code_for_any_exception)
{
    asio::io_context context;
    asio::any_io_executor const executor = context.get_executor();
    told_connect of_memory;
    told_connect other;
    auto const bad_alloc = resolver_of({});
    bad_alloc.shared->before = []() -> asio::awaitable<void>
    {
        throw std::bad_alloc{};
        co_return;
    };
    auto const logic = resolver_of({});
    logic.shared->before = []() -> asio::awaitable<void>
    {
        throw std::logic_error{"resolver"};
        co_return;
    };
    list_connector first{executor, {}, bad_alloc};
    list_connector second{executor, {}, logic};
    first.connect("a", "1")(of_memory.handler());
    second.connect("a", "1")(other.handler());
    context.run_for(run_guard);
    BOOST_TEST((of_memory.error == error_code{asio::error::no_memory}));
    BOOST_TEST((other.error == error_code{asio::error::fault}));
}

BOOST_AUTO_TEST_CASE(asios_tokens)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            refusing_address const nobody;
            duet::connector connector{executor};
            auto const as_tuple = asio::as_tuple(asio::deferred);

            auto connecting = connector.connect(server.endpoint());
            auto result = co_await std::move(connecting)(as_tuple);
            BOOST_TEST(!std::get<0>(result).failed());
            BOOST_TEST(std::get<1>(result).remote_endpoint() == server.endpoint());

            auto refused = co_await connector.connect(nobody.endpoint())(as_tuple);
            BOOST_TEST((std::get<0>(refused) == error_code{asio::error::connection_refused}));
            BOOST_TEST(!std::get<1>(refused).valid());

            auto later = connector.connect(server.endpoint())(asio::deferred);
            auto const begun = server.queued();
            duet::session const peer = co_await std::move(later);
            BOOST_TEST(server.queued() == begun + 1);
        });
}

// A coroutine learns of every attempt, also if it defers the connect.
BOOST_AUTO_TEST_CASE(a_coroutine_gets_the_connectors_exception)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            duet::connector connector{executor};
            co_await check_failure(connector.connect(nobody.endpoint()), asio::error::connection_refused);
            std::string text;
            try
            {
                duet::session const peer = co_await connector.connect(nobody.endpoint())(asio::deferred);
            }
            catch (duet::connect_error const& error)
            {
                text = error.what();
                BOOST_TEST(error.attempts().size() == 1U);
            }
            BOOST_TEST(text.starts_with("connect 127.0.0.1:"));
            auto awaitable = connector.connect(nobody.endpoint())(asio::use_awaitable);
            BOOST_CHECK_THROW(co_await std::move(awaitable), duet::connect_error);
        });
}

BOOST_AUTO_TEST_CASE(a_future)
{
    asio::io_context context;
    good_address server;
    refusing_address const nobody;
    duet::connector connector{context};
    auto connected = connector.connect(server.endpoint())(asio::use_future);
    auto refused = connector.connect(nobody.endpoint())(asio::use_future);
    context.run_for(run_guard);
    BOOST_TEST(connected.get().remote_endpoint() == server.endpoint());
    BOOST_CHECK_EXCEPTION(refused.get(), duet::connect_error,
        [](duet::connect_error const& error)
        { return error.code() == asio::error::connection_refused && error.attempts().size() == 1; });
}

BOOST_AUTO_TEST_CASE(the_handler_runs_on_its_own_executor)
{
    asio::io_context context;
    asio::io_context other;
    good_address server;
    duet::connector connector{context};
    told_connect told;
    connector.connect(server.endpoint())(asio::bind_executor(other.get_executor(), told.handler()));
    context.run_for(run_guard);
    BOOST_TEST(told.calls == 0);
    BOOST_TEST((other.poll() != 0));
    BOOST_TEST(told.calls == 1);
    BOOST_TEST(told.result.remote_endpoint() == server.endpoint());
}

BOOST_AUTO_TEST_CASE(the_connector_may_be_gone_before_it_begins)
{
    asio::io_context context;
    good_address server;
    told_connect told;
    std::optional<duet::connector> connector{std::in_place, context};
    auto connecting = connector->connect(server.endpoint());
    connector.reset();
    std::move(connecting)(told.handler());
    context.run_for(run_guard);
    BOOST_TEST((told.error == error_code{}));
}

BOOST_DATA_TEST_CASE(cancellation_of_any_type, boost::unit_test::data::make({1, 2, 4}), type)
{
    no_leaked_descriptors const descriptors;
    for (bool const at_once : {true, false})
    {
        asio::io_context context;
        black_hole hole;
        duet::connector connector{context, {.timeout = for_ever}};
        told_connect told;
        asio::cancellation_signal signal;
        connector.connect(hole.endpoint())(asio::bind_cancellation_slot(signal.slot(), told.handler()));
        while (!at_once && hole.hanging() == 0)
            context.run_one_for(1ms);
        signal.emit(static_cast<asio::cancellation_type>(type));
        context.restart();
        context.run_for(run_guard);
        BOOST_TEST(told.calls == 1);
        BOOST_TEST((told.error == condition::cancelled));
        BOOST_TEST(hole.hanging() == 0U);
        BOOST_TEST(!signal.slot().has_handler());  // it is free for the next operation
    }
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_the_handler_along)
{
    no_leaked_descriptors const descriptors;
    asio::cancellation_signal signal;
    auto const owned = std::make_shared<int>(0);
    black_hole hole;
    {
        asio::io_context context;
        duet::connector connector{context, {.timeout = for_ever}};
        connector.connect(hole.endpoint())(
            asio::bind_cancellation_slot(signal.slot(), [owned](error_code, duet::session) { ++*owned; }));
        while (hole.hanging() == 0)
            context.run_one_for(1ms);
        BOOST_TEST(owned.use_count() == 2);
    }
    BOOST_TEST(owned.use_count() == 1);
    BOOST_TEST(*owned == 0);
    signal.emit(asio::cancellation_type::terminal);
}

BOOST_AUTO_TEST_CASE(to_a_unix_domain_path)
{
    auto const path = std::string{'\0'} + "duet-tokens-" + std::to_string(::getpid());
    raw_listener listener{raw_address::local(path), 4};
    asio::io_context context;
    duet::unix_connector connector{context};
    std::optional<error_code> told;
    connector.connect(path)([&](error_code error, duet::unix_session const& peer)
        { told = peer.valid() ? error : error_code{duet::errc::closed}; });
    context.run_for(run_guard);
    BOOST_TEST((told == error_code{}));
}
