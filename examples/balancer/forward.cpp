// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "forward.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

#include <duet/connector.hpp>
#include <duet/format.hpp>
#include <duet/proxy_protocol.hpp>
#include <duet/relay.hpp>

#include "log.hpp"

namespace asio = boost::asio;

namespace example {
namespace {

/// Returns false if the backend cannot be reached. That also counts as a check that has failed: clients notice first.
asio::awaitable<bool> connect(duet::connector& connector, backend& to, backend::connection& over)
{
    try
    {
        over.session = co_await connector.connect(to.at().host, to.at().port);
        to.connected();
        ++to.count.total;
        co_return true;
    }
    catch (duet::session_error const& error)
    {
        // The next one would meet the same lack of descriptors or ports, and no backend is to blame for it.
        if (error.code() == duet::condition::exhausted || error.code() == duet::condition::cancelled)
            throw;
        ++to.count.failures;
        to.not_connected(error.what());
        co_return false;
    }
}

/// The backend has broken off before it had finished. Nobody is blamed for a time limit that has passed: it may have
/// been the client's turn to speak, or to read. Nor for a reset behind a FIN: the client has the whole answer.
bool broken_off(duet::relay_report const& how)
{
    auto const reason = how.second.reason;
    return !how.backward.finished &&
           (reason == duet::close_reason::peer_reset || reason == duet::close_reason::dead_peer);
}

asio::awaitable<void> carry(duet::session& client, backend& to, backend::connection& over, settings const& with)
{
    duet::relay_report const report = co_await duet::relay(client, *over.session, with.relay);
    if (broken_off(report))
        ++to.count.broken;
    if (!with.quiet)
        log("{} to {}: {} bytes there, {} back; client {}, backend {}", client.remote_endpoint(), to.name(),
            report.forward.bytes, report.backward.bytes, report.first.reason, report.second.reason);
}

}  // namespace

asio::awaitable<void> forward(
    duet::session client, backend_list& backends, settings const& with, client_counters& clients)
{
    duet::connector connector{client.get_executor(), {.timeout = with.connect_timeout}};
    if (with.tells_client)
        connector.send_first(encode(duet::proxy_header_of(client, *with.tells_client)));
    std::vector<backend_list::pointer> tried;
    while (tried.size() < with.tries)
    {
        auto const next = backends.choose(tried);
        if (!next)
            break;
        tried.push_back(next);
        backend::connection over{*next};
        bool const connected = co_await connect(connector, *next, over);
        if (!connected)
            continue;
        co_await carry(client, *next, over, with);
        co_return;
    }
    ++clients.without_backend;
    throw std::runtime_error{tried.empty() ? "no backend is up" : "no backend could be reached"};
}

}  // namespace example
