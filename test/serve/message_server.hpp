// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_MESSAGE_SERVER_HPP
#define DUET_TEST_MESSAGE_SERVER_HPP

// A server whose handler is called for each message, how its sessions ended, and handlers for it.

#include "serve/server_fixture.hpp"

#include <duet/server.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace duet_test {

using namespace std::chrono_literals;

/// Handlers that run now.
struct running
{
    explicit running(int& count) : count_{++count} {}

    ~running() { --count_; }

    running(running const&) = delete;
    running& operator=(running const&) = delete;

private:
    int& count_;
};

/// Answers so many bytes at a time.
template <class Session>
asio::awaitable<bool> answer(Session& peer, std::size_t most = 4096)
{
    std::string buffer(most, '\0');
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    co_await peer.write(asio::buffer(buffer.data(), size));
    co_return size > 0;
}

inline asio::awaitable<bool> answer_three(duet::session& peer)
{
    return answer(peer, 3);
}

/// As server.hpp shows it.
inline asio::awaitable<void> answer_in_a_loop(duet::session peer)
{
    for (bool more = true, last = false; more && !last;)
    {
        last = peer.finish_requested();
        bool const readable = co_await peer.wait_readable();
        if (!readable)
            break;
        more = co_await answer_three(peer);
    }
}

/// A server of `handler`, and how its sessions ended.
struct serving
{
    explicit serving(auto handler, duet::server_options options = {})
    {
        prepare(context);
        options.on_session_end = [this](duet::session_end const& end) { ends.push_back(end); };
        server.emplace(context, on_loopback(std::move(options)), std::move(handler));
    }

    raw_socket connect() { return client_of(*server); }

    void until(std::function<bool()> const& enough) { serve(context, enough); }

    void until_active(std::uint64_t sessions) { serve_until_active(context, *server, sessions); }

    duet::server_counters counters() const { return server->counters(); }

    /// What happens before it is still unseen when the drain begins.
    duet::drain_report drain_after(std::function<void()> const& happens)
    {
        return run(context,
            [](duet::server& s, std::function<void()> const& first) -> asio::awaitable<duet::drain_report>
            {
                first();
                auto const report = co_await s.drain(20s);
                co_return report;
            }(*server, happens));
    }

    no_leaked_descriptors const watched{};
    std::vector<duet::session_end> ends;
    asio::io_context context;
    std::optional<duet::server> server;
};

}  // namespace duet_test

#endif
