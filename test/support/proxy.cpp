// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/proxy.hpp"

#include "support/quiet_thread.hpp"

#include <boost/test/test_tools.hpp>

#include <algorithm>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace duet_test {

using std::chrono::steady_clock;

struct proxy::connection
{
    connection(raw_socket from_client, raw_socket from_server, proxy_options const& options, std::uint32_t const seed,
        std::atomic<std::size_t>& to_server, std::atomic<std::size_t>& to_client)
        : client{std::move(from_client)}, server{std::move(from_server)}, forth{client.fd(), server.fd(),
                                                                              options.to_server, seed, to_server},
          back{server.fd(), client.fd(), options.to_client, seed + 1, to_client}
    {
        for (int const fd : {client.fd(), server.fd()})
        {
            int const on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a Unix-domain target has none
        }
    }

    void reset()
    {
        client.reset();
        server.reset();
    }

    // Does what the poll found ready; false when the connection is over.
    bool step(short const client_ready, short const server_ready)
    {
        constexpr short readable = POLLIN | POLLHUP | POLLERR;
        bool const alive = ((client_ready & readable) == 0 || !forth.wants_input() || forth.read()) &&
                           ((server_ready & readable) == 0 || !back.wants_input() || back.read()) && forth.write() &&
                           back.write();
        if (!alive)
            reset();
        return alive && !(forth.finished() && back.finished());
    }

    raw_socket client;
    raw_socket server;
    proxy_link forth;
    proxy_link back;
};

namespace {

// What to wait for on the socket that one link reads from and the other writes to. A descriptor with nothing to wait
// for is left out: its HUP would be reported again and again (P21).
pollfd interest(int const fd, proxy_link const& reader, proxy_link const& writer, steady_clock::time_point& wake)
{
    auto const due = writer.next_due();
    bool const may_write = due && *due <= steady_clock::now();
    if (due && !may_write)
        wake = std::min(wake, *due);
    auto const events = static_cast<short>((reader.wants_input() ? POLLIN : 0) | (may_write ? POLLOUT : 0));
    return {events == 0 ? -1 : fd, events, 0};
}

void poll_until(std::vector<pollfd>& polled, steady_clock::time_point const wake)
{
    auto const left = std::max(wake - steady_clock::now(), steady_clock::duration::zero());
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timespec const timeout{seconds.count(), static_cast<long>((left - seconds) / std::chrono::nanoseconds{1})};
    if (::ppoll(polled.data(), polled.size(), &timeout, nullptr) < 0 && errno != EINTR)
        throw_errno("ppoll");
}

}  // namespace

proxy::proxy(raw_address const& target, proxy_options const& options)
    : target_{target}, options_{options}, listener_{raw_address::v4(0), 128, options.client_socket},
      stop_event_{checked(::eventfd(0, EFD_CLOEXEC), "eventfd")}, seed_{options.seed}
{
    thread_ = quiet_thread([this] { serve(); });
}

proxy::~proxy()
{
    try
    {
        stop();
    }
    catch (std::exception const& error)
    {
        BOOST_ERROR("the proxy failed: " << error.what());
    }
}

void proxy::stop()
{
    if (!thread_.joinable())
        return;
    std::uint64_t const one = 1;
    checked(::write(stop_event_.get(), &one, sizeof one), "eventfd");
    thread_.join();
    if (failure_)
        std::rethrow_exception(failure_);
}

// Connects an accepted client on. Nobody there is answered as behind a network: the connection is reset.
void proxy::connect_on(std::list<connection>& connections)
{
    auto client = listener_.accept();
    try
    {
        auto server = raw_socket::start_connect(target_, options_.server_socket);
        connections.emplace_back(
            std::move(client), std::move(server), options_, seed_, bytes_to_server_, bytes_to_client_);
        seed_ += 2;  // one for each direction
    }
    catch (std::system_error const&)
    {
        client.reset();
    }
}

void proxy::serve()
try
{
    std::list<connection> connections;
    for (;;)
    {
        auto wake = steady_clock::now() + std::chrono::hours{1};
        std::vector<pollfd> polled{{stop_event_.get(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
        for (auto const& each : connections)
        {
            polled.push_back(interest(each.client.fd(), each.forth, each.back, wake));
            polled.push_back(interest(each.server.fd(), each.back, each.forth, wake));
        }
        poll_until(polled, wake);
        if (polled[0].revents != 0)
        {
            for (auto& each : connections)
                each.reset();
            return;
        }
        std::size_t next = 2;
        for (auto each = connections.begin(); each != connections.end(); next += 2)
            each =
                each->step(polled[next].revents, polled[next + 1].revents) ? std::next(each) : connections.erase(each);
        if (polled[1].revents != 0)
            connect_on(connections);
    }
}
catch (...)
{
    failure_ = std::current_exception();
}

}  // namespace duet_test
