// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_UNIX_DOMAIN_FIXTURE_HPP
#define DUET_TEST_UNIX_DOMAIN_FIXTURE_HPP

// What the tests of sessions over Unix-domain sockets share: a session with a raw peer.

#include "session/session_fixture.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/raw_peer.hpp"

#include <duet/session.hpp>

#include <string>

#include <unistd.h>

namespace duet_test::unix_domain {

// A name in Linux's abstract space, which is nobody else's.
inline std::string abstract_name()
{
    static int count = 0;
    return std::string{'\0'} + "duet-unix-session-" + std::to_string(::getpid()) + '-' + std::to_string(++count);
}

// A session (the end that connected) and a raw peer.
struct pair_of
{
    explicit pair_of(asio::any_io_executor const& executor, duet::session_options const& options = {},
        std::string const& name = abstract_name())
        : raw{connected_pair(raw_address::local(name))},
          session{adopt<duet::unix_session>(raw.client, executor, options)}, peer{raw.server}
    {
    }

    raw_pair raw;
    duet::unix_session session;
    raw_socket& peer;
};

inline constexpr std::size_t long_stream = 8U << 20U;

}  // namespace duet_test::unix_domain

#endif
