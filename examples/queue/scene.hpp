// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_QUEUE_SCENE_HPP
#define EXAMPLES_QUEUE_SCENE_HPP

// A server, its clients, and the numbers by which the kernel tells what its queues do.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <duet/server.hpp>

#include "clients.hpp"

namespace example {

/// What the kernel tells of the listener and of its network, of which the listener is the only one.
struct kernel_view
{
    std::size_t half_open;       // SYN_RECV: the SYN queue
    duet::listen_queue queue;    // the accept queue
    std::uint64_t drops;         // SYNs and last ACKs of handshakes that it threw away, for whatever reason
    std::uint64_t full_drops;    // of these: SYNs, because the SYN queue was full
    std::uint64_t full_cookies;  // SYNs that were answered with a cookie, because it was full
    std::uint64_t cookies_sent, cookies_received, cookies_failed;
};

class scene
{
public:
    using milliseconds = std::chrono::milliseconds;

    /// The server listens, in the network namespace that this process is in, which should be its own.
    scene(int backlog, std::size_t max_sessions, duet::limit_policy at_limit, milliseconds patience);

    /// Run this act to its end; then the server resets whoever is left. Returns what the act returns, a sentence about
    /// what it has shown. Throws what the act throws.
    std::string play(std::function<boost::asio::awaitable<std::string>(scene&)> const& act);

    clients& visitors() { return *visitors_; }

    clients::endpoint const& address() const { return server_.local_endpoint(); }

    duet::server_counters counters() const { return server_.counters(); }

    kernel_view look() const;

    /// So many clients come; done when each of them has an end, a session or a place in the queue.
    boost::asio::awaitable<void> welcome(unsigned count);

    /// SYNs from false addresses; done when the kernel has dealt with each of them.
    boost::asio::awaitable<void> flood(unsigned count);

    /// Wait until every client that is not in a session is in the accept queue, or has been told no.
    boost::asio::awaitable<void> settle();

    /// Wait until this is true. Throws runtime_error if that takes half a minute.
    boost::asio::awaitable<void> until(std::function<bool()> condition);

    /// Print a line of the table: what has happened, and what can be seen now.
    void show(std::string_view step) const;

private:
    bool is_settled() const;

    boost::asio::io_context context_{1};
    milliseconds patience_;
    duet::server server_;
    std::optional<clients> visitors_{};
};

/// What the columns are, and their heads.
void print_legend();
void print_head();

}  // namespace example

#endif
