// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_FORWARD_HPP
#define EXAMPLES_BALANCER_FORWARD_HPP

#include <boost/asio/awaitable.hpp>

#include <duet/session.hpp>

#include "backend_list.hpp"
#include "settings.hpp"

namespace example {

/// Connect a client to a backend, to the next one if that fails, and carry the bytes of both. Throws if there is none:
/// the client is reset then, because an end without an answer might look like an answer. What the client has sent
/// meanwhile waits in the kernel, so the backend that is found gets all of it.
boost::asio::awaitable<void> forward(
    duet::session client, backend_list& backends, settings const& with, client_counters& clients);

}  // namespace example

#endif
