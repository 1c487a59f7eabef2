// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A network that stalls, cuts, garbles and lies, between mobile_client and mobile_server; and each connection reaches
// the server from another address. Each connection meets a fault, until there were enough. What happens follows from
// the seed, when it happens depends on the programs. Try: mobile_server & unstable_link --faults 1000 & mobile_client
// --port 7778

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <duet/run.hpp>
#include <duet/tasks.hpp>

#include "../options.hpp"
#include "faults.hpp"

namespace asio = boost::asio;
using namespace example;

namespace {

struct link_state
{
    fault_source faults;
    asio::ip::tcp::endpoint server;
    std::chrono::milliseconds unit;
    std::uint32_t connections = 0;
};

asio::awaitable<void> sleep_for(std::chrono::milliseconds time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// One connection through the link.
class trip
{
public:
    trip(duet::session& client, duet::session& server, link_state& link)
        : client_{client}, server_{server}, link_{link}, plan_{link.faults.plan_next()}
    {
    }

    asio::awaitable<void> run()
    {
        bool failed = false;
        try
        {
            auto const body = [this](duet::tasks& tasks) -> asio::awaitable<void>
            {
                tasks.begin(carry(server_, client_, false));
                co_await carry(client_, server_, true);
            };
            co_await duet::with_tasks(body);
        }
        catch (duet::session_error const&)
        {
            failed = true;
        }
        if (!failed)
            co_return;
        // One side is gone. Behind a hole the other one is not told for long.
        if (struck_ && (plan_.kind == fault::hole || plan_.kind == fault::ghost))
            co_await sleep_for(20 * link_.unit);
        client_.abort();
        server_.abort();
    }

private:
    asio::awaitable<void> carry(duet::session& from, duet::session& to, bool to_server)
    {
        std::array<char, 4096> buffer;
        std::size_t& carried = to_server ? carried_there_ : carried_back_;
        for (;;)
        {
            std::size_t const size = co_await from.read_some(asio::buffer(buffer));
            if (size == 0)
                break;
            std::string_view bytes{buffer.data(), size};
            if (!struck_ && plan_.to_server == to_server && carried + size >= plan_.after)
            {
                auto const before = plan_.after - std::min(plan_.after, carried);
                co_await pass(bytes.substr(0, before), to, to_server);
                bytes.remove_prefix(before);
                struck_ = link_.faults.strike(plan_.kind);
                if (struck_)
                    co_await strike(bytes, to);
            }
            co_await pass(bytes, to, to_server);
            carried += size;
        }
        if (!is_swallowed(to_server))
            co_await to.shutdown_send();
    }

    bool is_swallowed(bool to_server) const { return to_server ? swallows_there_ : swallows_back_; }

    asio::awaitable<void> pass(std::string_view bytes, duet::session& to, bool to_server)
    {
        while (std::chrono::steady_clock::now() < stalled_until_)
            co_await sleep_for(link_.unit);
        if (!bytes.empty() && !is_swallowed(to_server))
            co_await to.write(bytes);
    }

    asio::awaitable<void> strike(std::string_view held, duet::session& to)
    {
        if (link_.faults.all_struck())
            fmt::print("{}\n", link_.faults.report());  // this was the last one
        switch (plan_.kind)
        {
        case fault::stall:
            stalled_until_ = std::chrono::steady_clock::now() + plan_.pause * link_.unit;
            plan_another();
            break;
        case fault::reset:
            client_.abort();
            server_.abort();
            break;
        case fault::garble:
        {
            std::string const noise = garbage(plan_.garbage);
            co_await to.write(noise);
            co_await finish();
            break;
        }
        case fault::finish:
            co_await finish();
            break;
        case fault::hole:
            swallow_all();
            break;
        case fault::one_way:
            (plan_.to_server ? swallows_there_ : swallows_back_) = true;
            break;
        case fault::ghost:
            swallow_all();
            client_.abort();
            co_await sleep_for(plan_.pause * link_.unit);
            if (plan_.to_server && !held.empty())
                co_await server_.write(held);
            break;
        }
    }

    /// An end for both; what they still say is for nobody.
    asio::awaitable<void> finish()
    {
        swallow_all();
        co_await client_.shutdown_send();
        co_await server_.shutdown_send();
    }

    /// The connection may live on.
    void plan_another()
    {
        plan_ = link_.faults.plan_next();
        carried_there_ = carried_back_ = 0;
        struck_ = false;
    }

    void swallow_all() { swallows_there_ = swallows_back_ = true; }

    duet::session& client_;
    duet::session& server_;
    link_state& link_;
    fault_plan plan_;
    bool struck_ = false;
    std::size_t carried_there_ = 0;
    std::size_t carried_back_ = 0;
    bool swallows_there_ = false;
    bool swallows_back_ = false;
    std::chrono::steady_clock::time_point stalled_until_{};
};

/// From another address each time: 127.0.0.2, 127.0.0.3, ... A connector leaves the choice to the system.
asio::awaitable<duet::session> connect(asio::any_io_executor executor, link_state& link)
{
    auto const host = static_cast<unsigned char>(2 + link.connections++ % 250);
    asio::ip::tcp::socket socket{executor, asio::ip::tcp::v4()};
    socket.bind({asio::ip::address_v4{{127, 0, 0, host}}, 0});
    co_await socket.async_connect(link.server, asio::use_awaitable);
    duet::session result{std::move(socket)};
    co_return result;
}

asio::awaitable<void> carry(duet::session client, link_state& link)
{
    duet::session server = co_await connect(client.get_executor(), link);
    trip one{client, server, link};
    co_await one.run();
}

std::uint32_t seed_of(std::uint32_t given)
{
    return given != 0 ? given : std::random_device{}();
}

}  // namespace

int main(int argc, char** argv)
try
{
    options const options{argc, argv, "A link to a server on this machine, with faults.",
        {{"port", "7778", "where to listen; 0 chooses a port"}, {"to-port", "7777", "the port of the server"},
            {"faults", "1000", "how many faults there are; then the link is honest"},
            {"bytes", "2000", "the mean number of bytes up to the fault of a connection"},
            {"seed", "0", "what the faults follow from; 0 chooses one"},
            {"unit", "1000", "milliseconds: the unit of all times, as of the programs"}}};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    std::uint32_t const seed = seed_of(options.number("seed"));
    link_state link{{seed, options.number("faults"), options.number("bytes")},
        {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(options.number("to-port"))},
        std::chrono::milliseconds{options.number("unit")}};
    asio::io_context context;
    duet::server_options limits{.port = options.port()};
    limits.max_sessions = 400;  // two descriptors each
    duet::server server{context, limits, [&](duet::session client) { return carry(std::move(client), link); }};
    fmt::print("seed {}\nlistening on {}\n", seed, fmt::streamed(server.local_endpoint()));
    int const status = duet::run(context, {.print = true}, server);
    fmt::print("{}\n", link.faults.report());
    return status;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "unstable_link: {}\n", error.what());
    return 1;
}
