// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_TLS_SERVER_FIXTURE_HPP
#define DUET_TEST_TLS_SERVER_FIXTURE_HPP

// A server that speaks TLS, on a clock that the test moves, and clients that are OpenSSL alone.

#include "support/coro.hpp"
#include "support/simulated_time.hpp"
#include "support/wait.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/testing/manual_clock.hpp>
#include <duet/tls_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace duet_test {

using namespace std::chrono_literals;
using asio::ip::tcp;

using tls_client_peer = basic_openssl_peer<tcp::socket>;

/// Who the other end is.
template <class Peer>
std::string subject_of(Peer& peer)
{
    return duet::detail::read_tls_facts(peer.ssl()).subject;
}

struct tls_server_fixture
{
    struct ended : duet::session_end
    {
        /// Of what has ended it.
        duet::error_code code() const
        {
            try
            {
                if (failure)
                    std::rethrow_exception(failure);
            }
            catch (boost::system::system_error const& error)
            {
                return error.code();
            }
            return {};
        }
    };

    template <class Handler>
    void serve(Handler handler, duet::server_options options = {})
    {
        options.address = "127.0.0.1";
        options.on_session_end = [this](duet::session_end const& end) { ends.push_back({end}); };
        serving.emplace(context, std::move(options), tls, std::move(handler));
    }

    tls_client_peer connect(char const* version = nullptr)
    {
        tcp::socket socket{context};
        socket.connect(serving->local_endpoint());
        socket.non_blocking(true);
        return tls_client_peer{std::move(socket), client_context, version};
    }

    /// Run the context until it is so, though it may be without work at times.
    void until(std::function<bool()> const& enough)
    {
        auto const look = [&]
        {
            context.restart();
            context.poll();
            return enough();
        };
        eventually(look, "what the context is run for");
    }

    /// As until(), while the clock goes on: a close that waits for an acknowledgement looks for it now and then.
    void go_on_until(std::function<bool()> const& enough)
    {
        auto const look = [&]
        {
            clock.advance(1ms);
            return enough();
        };
        until(look);
    }

    void until_ended(std::size_t sessions)
    {
        go_on_until([&] { return ends.size() >= sessions; });
        BOOST_TEST(ends.size() == sessions);
    }

    /// Shake hands, unless that is done, ask, and expect the same as the answer.
    void ask(tls_client_peer& peer, std::string const& question)
    {
        until([&] { return peer.shakes_hands() || peer.fin || peer.reset; });
        BOOST_REQUIRE_MESSAGE(peer.last == 1, (ends.empty() ? peer.reason : ends.back().what()));
        peer.heard.clear();
        peer.say(question);
        until(
            [&]
            {
                peer.hear();
                return peer.heard.size() >= question.size() || peer.fin || peer.reset;
            });
        BOOST_TEST(peer.heard == question);
    }

    static bool hears_end(tls_client_peer& peer)
    {
        peer.hear();
        return peer.fin || peer.reset;
    }

    void drain(std::chrono::steady_clock::duration timeout)
    {
        asio::co_spawn(context, note(timeout), asio::detached);
        clock.run_ready();
    }

    asio::awaitable<void> note(std::chrono::steady_clock::duration timeout)
    {
        report = co_await serving->drain(timeout);
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};
    duet::tls_context tls = duet::tls_context::server(tls_world::get().server_options());
    duet::tls_context client_context = duet::tls_context::client(tls_world::get().client_options());
    std::vector<ended> ends;
    std::optional<duet::tls_server> serving;
    std::optional<duet::drain_report> report;
};

}  // namespace duet_test

#endif
