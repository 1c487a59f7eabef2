// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CONNECTOR_FIXTURE_HPP
#define DUET_TEST_CONNECTOR_FIXTURE_HPP

// How the tests of the connector connect, and what came of it.

#include "connect/connector_support.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/test/test_tools.hpp>

#include <optional>
#include <stdexcept>
#include <utility>

namespace duet_test {

// What connect fails with.
template <class Session>
asio::awaitable<duet::connect_error> failure_of(asio::awaitable<Session> connecting)
{
    std::optional<duet::connect_error> result;
    try
    {
        Session const unexpected = co_await std::move(connecting);
    }
    catch (duet::connect_error const& error)
    {
        result = error;
    }
    if (!result)
        throw std::logic_error{"connect should have failed"};
    co_return *result;
}

template <class Condition>
asio::awaitable<duet::connect_error> check_failure(asio::awaitable<duet::session> connecting, Condition expected)
{
    auto const error = co_await failure_of(std::move(connecting));
    BOOST_TEST_INFO("expected another error than " << error.what());
    BOOST_TEST((error.code() == expected));
    co_return error;
}

inline list_connector make_connector(
    asio::any_io_executor const& executor, list_resolver::answer addresses, duet::connector_options options = {})
{
    return list_connector{executor, options, resolver_of(std::move(addresses))};
}

// Runs a coroutine that wants to know its executor.
template <class Body>
void run_on(Body&& body)
{
    asio::io_context context;
    prepare(context);
    asio::any_io_executor const executor = context.get_executor();
    asio::steady_timer const first{executor};  // the context opens descriptors of its own for it
    run(context, body(executor));
}

// A session has no default constructor, which co_spawn wants of a result.
inline asio::awaitable<void> keep(asio::awaitable<duet::session> connecting, std::optional<duet::session>& result)
{
    duet::session peer = co_await std::move(connecting);
    result.emplace(std::move(peer));
}

}  // namespace duet_test

#endif
