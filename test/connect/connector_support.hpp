// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CONNECTOR_SUPPORT_HPP
#define DUET_TEST_CONNECTOR_SUPPORT_HPP

// Addresses that behave as a test of the connector wants, and a resolver that hands them out.

#include "support/coro.hpp"
#include "support/descriptor.hpp"
#include "support/kernel.hpp"
#include "support/raw_address.hpp"
#include "support/raw_peer.hpp"
#include "support/wait.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include <duet/connector.hpp>

namespace duet_test {

using asio::ip::tcp;
using namespace std::chrono_literals;

// Nothing is waited for so long: a test that depends on its passing hangs and fails.
inline constexpr std::chrono::hours for_ever{24};

enum class family
{
    v4,
    v6
};

inline raw_address loopback(family which)
{
    return which == family::v6 ? raw_address::v6(0) : raw_address::v4(0);
}

inline tcp::endpoint to_endpoint(raw_address const& address)
{
    return {asio::ip::make_address(address.family() == AF_INET6 ? "::1" : "127.0.0.1"), address.port()};
}

inline bool has_ipv6()
{
    descriptor const probe{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto const address = raw_address::v6(0);
    return probe.is_open() && ::bind(probe.get(), address.data(), address.size()) == 0;
}

// Answers every SYN.
class good_address
{
public:
    explicit good_address(family which = family::v4) : listener_{loopback(which)} {}

    tcp::endpoint endpoint() const { return to_endpoint(listener_.address()); }

    raw_socket accept() { return listener_.accept(); }

    // Connections that nobody has accepted.
    std::size_t queued() const { return accept_queue_of(listener_.fd()).length; }

private:
    raw_listener listener_;
};

// Answers every SYN with RST: its port is taken, but nobody listens, until listen() is called.
class refusing_address
{
public:
    explicit refusing_address(family which = family::v4)
        : socket_{::socket(which == family::v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}
    {
        auto const address = loopback(which);
        sockaddr_storage bound{};
        socklen_t size = sizeof(bound);
        if (::bind(socket_.get(), address.data(), address.size()) != 0 ||
            ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
            throw std::system_error{errno, std::generic_category(), "refusing_address"};
        endpoint_ = to_endpoint(raw_address{&bound, size});
    }

    tcp::endpoint const& endpoint() const { return endpoint_; }

    void listen() { ::listen(socket_.get(), 16); }

private:
    descriptor socket_;
    tcp::endpoint endpoint_;
};

// Drops every SYN, since its accept queue is full (P26), until make_room() is called: the kernel sends the SYN again a
// second after the first.
class black_hole
{
public:
    explicit black_hole(family which = family::v4) : listener_{loopback(which), 0}
    {
        filler_ = raw_socket::connect(listener_.address());
        if (accept_queue_of(listener_.fd()).length != 1)
            throw std::logic_error{"the accept queue of a black hole should be full"};
    }

    tcp::endpoint endpoint() const { return to_endpoint(listener_.address()); }

    // How many connects are hanging on it.
    std::size_t hanging() const { return count_state(kernel_state::syn_sent, listener_.port()); }

    void make_room() { listener_.accept(); }

    std::size_t queued() const { return accept_queue_of(listener_.fd()).length; }

    raw_socket accept() { return listener_.accept(); }

private:
    raw_listener listener_;
    raw_socket filler_;
};

// Answers with the addresses it was made with, after `before` if there is one.
struct list_resolver
{
    using answer = std::vector<tcp::endpoint>;

    asio::awaitable<answer> resolve(std::string host, std::string service)
    {
        return run(shared, std::move(host), std::move(service));
    }

    struct script
    {
        answer addresses;
        std::function<asio::awaitable<void>()> before{};
        std::vector<std::string> asked{};
        std::size_t running = 0;
    };

    static asio::awaitable<answer> run(std::shared_ptr<script> shared, std::string host, std::string service)
    {
        struct count
        {
            std::size_t& value;
            ~count() { --value; }
        } const guard{++shared->running};
        shared->asked.push_back(host + ' ' + service);
        if (shared->before)
            co_await shared->before();
        co_return shared->addresses;
    }

    std::shared_ptr<script> shared = std::make_shared<script>();
};

inline list_resolver resolver_of(list_resolver::answer addresses)
{
    list_resolver result;
    result.shared->addresses = std::move(addresses);
    return result;
}

using list_connector = duet::basic_connector<tcp, asio::any_io_executor, list_resolver>;

// "refused, refused, deadline": what became of the attempts, in their order.
inline std::string attempts_of(duet::connect_error const& error)
{
    std::string text;
    for (auto const& each : error.attempts())
        text += (text.empty() ? "" : ", ") + each.error.message();
    return text;
}

}  // namespace duet_test

template <>
struct boost::test_tools::tt_detail::print_log_value<duet::errc>
{
    void operator()(std::ostream& out, duet::errc value) { out << make_error_code(value).message(); }
};

template <>
struct boost::test_tools::tt_detail::print_log_value<duet::condition>
{
    void operator()(std::ostream& out, duet::condition value) { out << make_error_condition(value).message(); }
};

#endif
