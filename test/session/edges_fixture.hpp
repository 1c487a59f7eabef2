// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_EDGES_FIXTURE_HPP
#define DUET_TEST_EDGES_FIXTURE_HPP

// What the tests of the edges share: a session with a raw peer, on one port, and a context that is run step by step.

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/raw_peer.hpp"

#include <duet/session.hpp>

#include <cstddef>
#include <utility>

namespace duet_test::edges {

// One port for all the connections here: with thousands of them in TIME_WAIT, the kernel takes milliseconds to find
// each listener another one.
inline raw_listener& shared_listener()
{
    static raw_listener listener;
    return listener;
}

inline raw_pair connected()
{
    auto client = raw_socket::start_connect(shared_listener().address());
    auto server = shared_listener().accept(client);
    client.wait_connected();
    return {std::move(client), std::move(server)};
}

// A session, and a raw peer that does what the test says. It ends with RST, which leaves nothing in TIME_WAIT.
struct pair_of
{
    explicit pair_of(asio::any_io_executor const& executor, duet::session_options const& options = {})
        : pair_of{connected(), executor, options}
    {
    }

    pair_of(raw_pair existing, asio::any_io_executor const& executor, duet::session_options const& options = {})
        : raw{std::move(existing)}, session{adopt(raw.client, executor, options)}
    {
    }

    ~pair_of()
    {
        if (session.valid())
            session.abort();
    }

    pair_of(pair_of const&) = delete;
    pair_of& operator=(pair_of const&) = delete;

    raw_socket& peer() { return raw.server; }

    raw_pair raw;
    duet::session session;
};

// Runs what is ready on the context, one handler at a time, and says how many there were: with a limit, since a handler
// that always brings the next one would never let it end.
inline std::size_t drain(asio::io_context& context, std::size_t const limit = 1000)
{
    std::size_t count = 0;
    context.restart();
    while (count < limit && context.poll_one() != 0)
        ++count;
    return count;
}

}  // namespace duet_test::edges

#endif
