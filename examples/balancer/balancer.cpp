// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A TCP load balancer: each client is connected to one of several backends, to another one if that cannot be reached,
// and half-close goes through. It checks the backends, takes a new list of them at SIGHUP, shows what it does on a
// page, and drains at SIGTERM. docs/en/systems/balancer.md sets it beside HAProxy and nginx. Try: python3 -m
// http.server 8001 & python3 -m http.server 8002 &
//      balancer --port 7777 --stats-port 7778 localhost:8001 localhost:8002 &
//      curl http://localhost:7777/; curl http://localhost:7778/

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ostream.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <duet/run.hpp>

#include <sys/resource.h>

#include "../for_strangers.hpp"
#include "../options.hpp"
#include "backend_line.hpp"
#include "backend_list.hpp"
#include "checks.hpp"
#include "forward.hpp"
#include "log.hpp"
#include "settings.hpp"
#include "status_page.hpp"

namespace asio = boost::asio;

namespace {

constexpr auto about =
    "Connects each client to one of several backends. At SIGHUP it reads the list of backends again.";

example::options read_command_line(int argc, char** argv)
{
    return {argc, argv, about,
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"address", "any", "on which address: 127.0.0.1 takes clients of this host alone"},
            {"backends", "none", "a file with a backend in each line, HOST:PORT or HOST:PORT drain"},
            {"policy", "round-robin", "which backend is next: round-robin or least-connections"},
            {"tries", "3", "how many backends to try for a client, at most"},
            {"send-proxy", "no", "v1 or v2: begin each connection to a backend with a PROXY header"},
            {"max-clients", "0", "how many at once; 0: as many as there are descriptors for"},
            {"stats-port", "off", "where to serve the page of statistics; 0 chooses a port"},
            {"stats-address", "127.0.0.1", "on which address"},
            {"unit", "1000", "the unit of the times below, in milliseconds"},
            {"connect", "3", "until an attempt to connect has failed"},
            {"interval", "2", "from one check of a backend to the next"},
            {"rise", "2", "checks in a row that succeed, until a backend is up"},
            {"fall", "3", "checks or connects in a row that fail, until it is down"},
            {"idle", "300", "without a byte until a connection is reset"},
            {"half-closed", "120", "without a byte, while one side has finished, until it is reset"},
            {"drain", "30", "for the clients to finish after SIGTERM"},
            {"quiet", "", "no line in the log for each connection"}},
        "[HOST:PORT]..."};
}

/// Throws for a value of an option that is not among `values`.
template <class Value>
Value choice(example::options const& options, char const* name, std::map<std::string, Value> const& values)
{
    auto const found = values.find(options.text(name));
    if (found == values.end())
        throw std::invalid_argument{fmt::format("--{} cannot be '{}'", name, options.text(name))};
    return found->second;
}

std::chrono::milliseconds time_of(example::options const& options, char const* name)
{
    return std::chrono::milliseconds{options.number("unit")} * options.number(name);
}

example::settings settings_of(example::options const& options)
{
    using version = std::optional<duet::proxy_version>;
    example::settings result;
    result.tries = std::max(1U, options.number("tries"));
    result.connect_timeout = time_of(options, "connect");
    result.check_interval = std::max(std::chrono::milliseconds{1}, time_of(options, "interval"));
    result.tells_client = choice<version>(
        options, "send-proxy", {{"no", {}}, {"v1", duet::proxy_version::v1}, {"v2", duet::proxy_version::v2}});
    result.relay.idle = time_of(options, "idle");
    result.relay.half_closed = time_of(options, "half-closed");
    result.quiet = options.flag("quiet");
    return result;
}

/// How many clients fit into the descriptors of this process, of which it takes as many as it may have: a client has up
/// to six, two sockets, and two pipes for its bytes.
std::size_t clients_for_descriptors()
{
    constexpr ::rlim_t each = 6;
    constexpr ::rlim_t others = 100;  // listeners, checks, the page
    constexpr ::rlim_t most = 20'000;
    ::rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 150;
    auto const wanted = std::min<::rlim_t>(limit.rlim_max, most * each + others);
    ::rlimit const raised{std::max(limit.rlim_cur, wanted), limit.rlim_max};
    auto const allowed = ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
    return static_cast<std::size_t>(std::min(most, allowed > others + each ? (allowed - others) / each : 1));
}

duet::server_options for_clients(example::options const& options)
{
    duet::server_options result{.port = options.port()};
    if (auto const& address = options.text("address"); address != "any")
        result.address = address;
    auto const wanted = options.number("max-clients");
    result.max_sessions = wanted != 0 ? wanted : clients_for_descriptors();
    result.at_limit = duet::limit_policy::shed;
    result.drain_timeout = time_of(options, "drain");
    result.on_session_end = [quiet = options.flag("quiet")](duet::session_end const& end)
    {
        if (end.failure && !quiet)
            example::log("{}: {}", end.peer, end.what());
    };
    return result;
}

/// Nothing without --stats-port.
std::optional<duet::server_options> for_page(example::options const& options)
{
    auto const& port = options.text("stats-port");
    if (port == "off")
        return {};
    std::uint16_t number = 0;
    auto const [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size())
        throw std::invalid_argument{fmt::format("--stats-port cannot be '{}'", port)};
    auto result = example::for_strangers(number, std::chrono::milliseconds{options.number("unit")});
    result.address = options.text("stats-address");
    result.max_sessions = 20;
    return result;
}

std::vector<example::backend_line> first_backends(example::options const& options)
{
    auto const& file = options.text("backends");
    if (file == "none")
        return example::backends_of(options.arguments());
    if (!options.arguments().empty())
        throw std::invalid_argument{"backends are given both by --backends and as arguments"};
    return example::read_backends(file);
}

/// A list that is wrong changes nothing.
void reload(std::string const& file, example::backend_list& backends)
try
{
    auto const changes = backends.replace(example::read_backends(file));
    example::log("reloaded {}: {} backends, {} of them draining; {} added, {} removed", file, backends.listed().size(),
        changes.draining, changes.added, changes.removed);
}
catch (std::exception const& error)
{
    example::log("not reloaded: {}", error.what());
}

asio::awaitable<void> reload_at(
    asio::signal_set& hangup, std::string file, example::backend_list& backends, std::function<void()> reloaded)
{
    for (;;)
    {
        co_await hangup.async_wait(asio::use_awaitable);
        if (file == "none")
            example::log("nothing to reload: the backends are on the command line");
        else
        {
            reload(file, backends);
            reloaded();
        }
    }
}

}  // namespace

int main(int argc, char** argv)
try
{
    auto const options = read_command_line(argc, argv);
    auto const settings = settings_of(options);
    example::backend_list backends{
        choice<example::policy>(options, "policy",
            {{"round-robin", example::policy::round_robin}, {"least-connections", example::policy::least_connections}}),
        {std::max(1U, options.number("rise")), std::max(1U, options.number("fall"))}};
    backends.replace(first_backends(options));
    example::client_counters counters;

    // Coroutines that wait end with the context: what they use is above.
    asio::io_context context;
    asio::signal_set hangup{context, SIGHUP};  // from here on it ends the process no more
    duet::server clients{context, for_clients(options),
        [&](duet::session client) { return example::forward(std::move(client), backends, settings, counters); }};
    std::function<std::string()> const page = [&]
    { return example::status_page(backends, counters, clients.counters()); };
    std::optional<duet::server> statistics;
    if (auto const where = for_page(options))
        statistics.emplace(
            context, *where, [&](duet::session peer) { return example::serve_page(std::move(peer), page); });

    auto const check_all = [&] { example::start_checks(context, backends, settings); };
    check_all();
    asio::co_spawn(context, reload_at(hangup, options.text("backends"), backends, check_all), asio::detached);
    if (statistics)
        fmt::print("statistics on {}\n", fmt::streamed(statistics->local_endpoint()));
    fmt::print("listening on {}\n", fmt::streamed(clients.local_endpoint()));
    std::fflush(stdout);
    return statistics ? duet::run(context, {.print = true}, clients, *statistics)
                      : duet::run(context, {.print = true}, clients);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "balancer: {}\n", error.what());
    return 1;
}
