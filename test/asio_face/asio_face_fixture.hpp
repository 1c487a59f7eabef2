// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ASIO_FACE_FIXTURE_HPP
#define DUET_TEST_ASIO_FACE_FIXTURE_HPP

// A session of each kind on a context of its own, with a raw peer.

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/raw_peer.hpp"

#include <duet/session.hpp>

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>

#include <unistd.h>

namespace duet_test {

using concrete_session = duet::basic_session<asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>>;

inline raw_address address_for(std::type_identity<duet::session>)
{
    return raw_address::v4(0);
}

inline raw_address address_for(std::type_identity<concrete_session>)
{
    return raw_address::v4(0);
}

inline raw_address address_for(std::type_identity<duet::unix_session>)
{
    static int count = 0;
    auto name = std::string{'\0'} + "duet-asio-face-" + std::to_string(::getpid()) + '-' + std::to_string(++count);
    return raw_address::local(name);
}

// A session's own deadline is work for its context; without them run() returns when no operation is pending.
inline duet::session_options without_deadlines()
{
    duet::session_options result;
    result.deadlines.half_closed = {};
    return result;
}

// A session on a context of its own, and a raw peer.
template <typename Session>
struct pair_of
{
    raw_socket& peer() { return raw.server; }

    std::size_t run()
    {
        context.restart();
        return context.run_for(run_guard);
    }

    asio::io_context context;
    raw_pair raw = connected_pair(address_for(std::type_identity<Session>{}));
    Session session = adopt<Session>(raw.client, context.get_executor(), without_deadlines());
};

using both = std::tuple<duet::session, duet::unix_session>;
using all_kinds = std::tuple<duet::session, duet::unix_session, concrete_session>;

}  // namespace duet_test

#endif
