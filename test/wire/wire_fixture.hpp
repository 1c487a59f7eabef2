// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_WIRE_FIXTURE_HPP
#define DUET_TEST_WIRE_FIXTURE_HPP

// What the tests on the wire share: a session whose segments are watched.

#include "session/session_fixture.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/observed.hpp"

#include <duet/session.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace duet_test {

// A connection whose client end becomes a session, on an io_context of its own.
struct watched : observed
{
    duet::session make(duet::session_options const& options = {}) { return adopt(c, context.get_executor(), options); }

    // Runs `body(session)` to its end. The session lives until the body destroys it, or has ended.
    template <typename Body>
    void play(duet::session_options const& options, Body&& body)
    {
        run(context, converse(options, body));
    }

    template <typename Body>
    void play(Body&& body)
    {
        play({}, std::forward<Body>(body));
    }

    // Nothing of the session is left in the kernel, whatever the peer does.
    bool is_gone() const { return state_of_client() == std::optional<kernel_state>{}; }

    // As said, but for an answer to a late acknowledgement: under load one may cross the last FIN's and meet a peer's
    // socket that is gone. By then both have finished.
    std::string spoken()
    {
        auto text = observed::spoken();
        std::string const late = ", s>c R";
        if (fins(side::client) == 1 && fins(side::server) == 1 && text.ends_with(late))
            text.resize(text.size() - late.size());
        return text;
    }

    void check_no_reset()
    {
        auto const all = said();
        BOOST_TEST_INFO(all.dump());
        BOOST_TEST(!all.has_rst(side::client));
        BOOST_TEST_INFO(all.dump());
        BOOST_TEST(spoken().find("R") == std::string::npos);
        BOOST_TEST(counted("TcpExt.TCPAbortOnClose") == 0);
        BOOST_TEST(counted("TcpExt.TCPAbortOnData") == 0);
    }

    // How many FINs a side said, however often each was sent.
    std::size_t fins(side const from)
    {
        auto const port = from == side::client ? pair.client.local_port() : pair.server.local_port();
        auto const all = said();
        std::set<std::uint32_t> sequences;
        for (auto const& each : all.segments())
            if (each.has(tcp_flag::fin) && each.from_port == port)
                sequences.insert(each.sequence + static_cast<std::uint32_t>(each.payload));
        return sequences.size();
    }

    asio::io_context context;

private:
    template <typename Body>
    asio::awaitable<void> converse(duet::session_options const& options, Body& body)
    {
        auto session = make(options);
        co_await body(session);
    }
};

inline asio::awaitable<duet::close_reason> peer_gone(duet::session& session)
{
    auto const reason = co_await session.wait_peer_gone();
    co_return reason;
}

inline constexpr std::size_t long_stream = 8U << 20U;

}  // namespace duet_test

#endif
