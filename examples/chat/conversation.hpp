// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_CONVERSATION_HPP
#define EXAMPLES_CHAT_CONVERSATION_HPP

#include <boost/asio/awaitable.hpp>

#include <duet/session.hpp>

#include "hall.hpp"

namespace chat {

/// The handler of a session: a name, then lines, to the end of the client or of its network.
boost::asio::awaitable<void> serve(duet::session peer, hall& all);

}  // namespace chat

#endif
