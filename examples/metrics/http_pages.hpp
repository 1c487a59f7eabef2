// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_METRICS_HTTP_PAGES_HPP
#define EXAMPLES_METRICS_HTTP_PAGES_HPP

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include <duet/session.hpp>

namespace example {

struct http_page
{
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body{};
};

/// The page of a path, without what follows a '?'; nothing if there is none.
using find_page = std::function<std::optional<http_page>(std::string_view path)>;

/// Answers GET and HEAD of HTTP/1.0 and 1.1, one request after another, as long as the client keeps the connection. It
/// takes requests of at most 8 KiB, and no bodies.
boost::asio::awaitable<void> serve_pages(duet::session peer, find_page find);

}  // namespace example

#endif
