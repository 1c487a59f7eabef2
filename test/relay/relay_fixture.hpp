// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_RELAY_FIXTURE_HPP
#define DUET_TEST_RELAY_FIXTURE_HPP

// What the tests of the relay share: two connections with a relay between them, and who plays the peers.

#include "session/session_fixture.hpp"

#include <duet/relay.hpp>

#include <stdexcept>
#include <string>

namespace duet_test {

/// Two connections, and the relay between them: left | first ... second | right.
struct relayed
{
    explicit relayed(asio::any_io_executor const& executor, raw_options const& of_right = {},
        duet::session_options const& of_second = {})
        : left_pair{connected_pair()}, right_pair{connected_pair(raw_address::v4(0), {}, of_right)},
          left{left_pair.client}, right{right_pair.server}, first{adopt(left_pair.server, executor)},
          second{adopt(right_pair.client, executor, of_second)}
    {
    }

    raw_pair left_pair;
    raw_pair right_pair;
    raw_socket& left;
    raw_socket& right;
    duet::session first;
    duet::session second;
};

/// Relay while `script` plays the two peers in a thread of its own.
template <class Script>
duet::relay_report play(duet::relay_options const& options, Script script, raw_options const& of_right = {},
    duet::session_options const& of_second = {})
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    duet::relay_report report;
    run(context,
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            relayed line{executor, of_right, of_second};
            started<duet::relay_report> relaying{executor, duet::relay(line.first, line.second, options)};
            auto const at_peers = [&] { script(line.left, line.right); };
            co_await in_thread(at_peers);
            report = co_await relaying.result();
            BOOST_TEST(line.first.state() == duet::session_state::closed);
            BOOST_TEST(line.second.state() == duet::session_state::closed);
        }());
    return report;
}

inline void require(bool condition, char const* what)
{
    if (!condition)
        throw std::runtime_error{what};
}

inline void require_end(received const& got, std::string const& data, int error)
{
    require(got.data == data, "other bytes than expected arrived");
    require(got.error == error, "the end is not the expected one");
}

}  // namespace duet_test

#endif
