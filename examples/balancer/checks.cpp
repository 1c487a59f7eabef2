// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "checks.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <duet/connector.hpp>

namespace asio = boost::asio;

namespace example {
namespace {

asio::awaitable<void> check_once(duet::connector& connector, backend& checked)
{
    try
    {
        duet::session const probe = co_await connector.connect(checked.at().host, checked.at().port);
        checked.connected();
    }  // the plain end of a session: a backend that says nothing first reads the end
    catch (duet::session_error const& error)
    {
        // Without descriptors or ports of its own, this host knows nothing about the backend.
        if (error.code() != duet::condition::exhausted)
        {
            ++checked.count.failed_checks;
            checked.not_connected(error.what());
        }
    }
}

asio::awaitable<void> check(backend_list::pointer checked, settings const& with)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer pause{executor};
    duet::connector connector{executor, {.timeout = with.connect_timeout}};
    if (with.tells_client)
    {
        duet::proxy_header header;
        header.version = *with.tells_client;
        header.local = true;  // no client, but the proxy itself: a backend that wants a header does not complain
        connector.send_first(encode(header));
    }
    while (checked->listed())
    {
        co_await check_once(connector, *checked);
        pause.expires_after(with.check_interval);
        co_await pause.async_wait(asio::use_awaitable);
    }
    checked->checked = false;
}

}  // namespace

void start_checks(asio::io_context& context, backend_list const& all, settings const& with)
{
    for (auto const& each : all.listed())
        if (!each->checked)
        {
            each->checked = true;
            asio::co_spawn(context, check(each, with), asio::detached);
        }
}

}  // namespace example
