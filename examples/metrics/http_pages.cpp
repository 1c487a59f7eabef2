// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "http_pages.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <cstddef>
#include <utility>

#include <duet/error.hpp>

namespace example {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

using request = http::request<http::empty_body>;
using response = http::response<http::string_body>;

constexpr std::size_t longest_request = 8192;

http_page refusal(http::status why, std::string_view text)
{
    return {.status = static_cast<int>(why), .body = std::string{text} + '\n'};
}

http_page page_for(request const& asked, find_page const& find)
{
    if (asked.method() != http::verb::get && asked.method() != http::verb::head)
        return refusal(http::status::method_not_allowed, "only GET and HEAD");
    std::string_view const target{asked.target().data(), asked.target().size()};
    auto page = find(target.substr(0, target.find('?')));
    return page ? *std::move(page) : refusal(http::status::not_found, "there is no such page");
}

response answer_with(http_page page, unsigned version, bool keep_alive)
{
    response result{static_cast<http::status>(page.status), version};
    result.set(http::field::content_type, page.content_type);
    result.set(http::field::cache_control, "no-store");
    if (result.result() == http::status::method_not_allowed)
        result.set(http::field::allow, "GET, HEAD");
    result.body() = std::move(page.body);
    result.keep_alive(keep_alive);
    result.prepare_payload();  // for HEAD, too: the length that GET would have had
    return result;
}

/// True: the client has sent something that is not a request of ours, and can be told.
bool is_bad_request(duet::error_code error)
{
    return error.category() == http::make_error_code(http::error::end_of_stream).category() &&
           error != http::error::partial_message;
}

}  // namespace

asio::awaitable<void> serve_pages(duet::session peer, find_page find)
{
    boost::beast::flat_buffer input{longest_request};
    for (bool keep_alive = true; keep_alive;)
    {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(longest_request);
        duet::error_code error;
        co_await http::async_read(peer, input, parser, asio::redirect_error(asio::use_awaitable, error));
        if (error == http::error::end_of_stream)
            co_return;  // the client's FIN, and nothing of a request before it
        if (error && !is_bad_request(error))
            throw duet::system_error{error};

        auto const& asked = parser.get();
        keep_alive = !error && asked.keep_alive() && !peer.finish_requested();
        auto const answer = error ? answer_with(refusal(http::status::bad_request, error.message()), 11, false)
                                  : answer_with(page_for(asked, find), asked.version(), keep_alive);
        http::response_serializer<http::string_body> serializer{answer};
        // The error of an answer that could not be sent ends the session: RST, so that it does not look whole.
        if (!error && asked.method() == http::verb::head)
            co_await http::async_write_header(peer, serializer, asio::use_awaitable);
        else
            co_await http::async_write(peer, serializer, asio::use_awaitable);
    }
}

}  // namespace example
