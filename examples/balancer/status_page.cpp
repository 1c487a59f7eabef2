// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "status_page.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <string_view>

#include <duet/error.hpp>

namespace asio = boost::asio;

namespace example {
namespace {

constexpr std::size_t longest_request = 8192;

std::string response(std::string_view status, std::string_view body, std::string_view fields = {})
{
    return fmt::format("HTTP/1.1 {}\r\n{}Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
                       "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        status, fields, body.size(), body);
}

std::string error(std::string_view status, std::string_view fields = {})
{
    return response(status, fmt::format("{}\n", status), fields);
}

std::string answer_to(std::string_view head, std::function<std::string()> const& page)
{
    auto const line = head.substr(0, head.find("\r\n"));
    auto const method = line.substr(0, line.find(' '));
    auto const version = line.rfind(" HTTP/1.");
    if (version == std::string_view::npos || version <= method.size())
        return error("400 Bad Request");
    if (method != "GET")
        return error("405 Method Not Allowed", "Allow: GET\r\n");
    if (line.substr(method.size() + 1, version - method.size() - 1) != "/")
        return error("404 Not Found");
    return response("200 OK", page());
}

/// The answer; nothing if the peer has finished without a request.
asio::awaitable<std::string> answer(duet::session& peer, std::function<std::string()> const& page)
{
    std::string head;
    try
    {
        std::size_t const size = co_await peer.read_until(head, "\r\n\r\n", longest_request);
        head.resize(size);
        co_return size == 0 ? std::string{} : answer_to(head, page);
    }
    catch (duet::session_error const& failure)
    {
        if (failure.code() != duet::errc::limit_exceeded)
            throw;
        co_return error("431 Request Header Fields Too Large");
    }
}

}  // namespace

std::string status_page(backend_list& backends, client_counters const& clients, duet::server_counters const& accepted)
{
    auto page = fmt::format("clients: {} active, {} accepted, {} shed, {} without a backend\n\n", accepted.active,
        accepted.accepted, accepted.shed, clients.without_backend);
    auto const row = std::back_inserter(page);
    constexpr auto layout = "{:<24} {:<8} {:>8} {:>10} {:>14} {:>14} {:>9} {:>7} {:>14}\n";
    fmt::format_to(row, layout, "backend", "state", "active", "total", "bytes_there", "bytes_back", "failures",
        "broken", "failed_checks");
    for (auto const& each : backends.all())
    {
        auto const bytes = each->bytes();
        auto const& count = each->count;
        fmt::format_to(row, layout, each->name(), each->state(), each->active(), count.total, bytes.sent,
            bytes.received, count.failures, count.broken, count.failed_checks);
    }
    return page;
}

asio::awaitable<void> serve_page(duet::session peer, std::function<std::string()> const& page)
{
    std::string const text = co_await answer(peer, page);
    if (!text.empty())
        co_await peer.write(text);
}  // a body that is not read does not destroy the answer: a session that ends reads on to the client's FIN

}  // namespace example
