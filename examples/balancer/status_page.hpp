// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_STATUS_PAGE_HPP
#define EXAMPLES_BALANCER_STATUS_PAGE_HPP

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <string>

#include <duet/server_options.hpp>
#include <duet/session.hpp>

#include "backend_list.hpp"
#include "settings.hpp"

namespace example {

/// A line for the clients, and a table with a line for each backend.
std::string status_page(backend_list& backends, client_counters const& clients, duet::server_counters const& accepted);

/// Answer one request of HTTP, GET /, with the page, and end. Whoever sends something else is told so, and whoever
/// sends too much.
boost::asio::awaitable<void> serve_page(duet::session peer, std::function<std::string()> const& page);

}  // namespace example

#endif
