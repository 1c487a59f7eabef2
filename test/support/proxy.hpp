// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PROXY_HPP
#define DUET_TEST_PROXY_HPP

#include "support/descriptor.hpp"
#include "support/proxy_link.hpp"
#include "support/raw_peer.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <thread>

// A bad network between two good peers, for machines without netem: a proxy of our own that delays, throttles and
// splits the bytes it passes on. It knows nothing of duet.

namespace duet_test {

struct proxy_options
{
    std::uint32_t seed = 1;
    link_options to_server{};
    link_options to_client{};
    raw_options client_socket{};  // small buffers, where a test needs the sender held back early
    raw_options server_socket{};
};

// Accepts on a port of its own and connects each connection on to the target. Each piece is one send() with
// TCP_NODELAY, so one segment as long as the windows are open; a reader that is slow may still read several at once.
//
// Half-close is passed on behind the bytes, a reset at once: it discards what waits, as the network would.
class proxy
{
public:
    explicit proxy(raw_address const& target, proxy_options const& options = {});
    ~proxy();

    proxy(proxy const&) = delete;
    proxy& operator=(proxy const&) = delete;

    raw_address const& address() const noexcept { return listener_.address(); }

    std::uint16_t port() const noexcept { return listener_.port(); }

    std::size_t bytes_to_server() const noexcept { return bytes_to_server_; }

    std::size_t bytes_to_client() const noexcept { return bytes_to_client_; }

    // Ends the thread, resets the connections still there, and throws what the thread failed with, if it did.
    void stop();

private:
    struct connection;

    void serve();
    void connect_on(std::list<connection>& connections);

    raw_address target_;
    proxy_options options_;
    raw_listener listener_;
    descriptor stop_event_;
    std::uint32_t seed_;  // of the next connection
    std::atomic<std::size_t> bytes_to_server_{0};
    std::atomic<std::size_t> bytes_to_client_{0};
    std::exception_ptr failure_;  // written by the thread, read after join
    std::thread thread_;
};

}  // namespace duet_test

#endif
