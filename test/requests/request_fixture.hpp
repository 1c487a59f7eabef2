// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_REQUEST_FIXTURE_HPP
#define DUET_TEST_REQUEST_FIXTURE_HPP

// Requests over a session whose peer is in memory.

#include "session/memory_fixture.hpp"
#include "support/coro.hpp"
#include "support/started.hpp"

#include <duet/framing.hpp>
#include <duet/request_stream.hpp>
#include <duet/serve_requests.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace duet_test {

using namespace std::chrono_literals;

inline constexpr duet::length_prefix framing{.bytes = 2};

// A request or an answer on the wire.
inline std::string message(std::uint64_t id, std::string_view body)
{
    auto const text = duet::id_prefix::encode(id, body);
    return std::string{std::string_view{framing.head(text)}} + text;
}

// "1:body 2:body": all of what came.
inline std::string told(std::string_view bytes)
{
    std::string result;
    while (!bytes.empty())
    {
        auto const layout = framing.layout(bytes, 0);
        if (layout.total() > bytes.size())
            return result + "...";
        auto const one = duet::id_prefix::decode(bytes.substr(layout.head, layout.body));
        if (!one)
            throw std::logic_error{"no id"};
        result += (result.empty() ? "" : " ") + std::to_string(one->id) + ':' + std::string{one->body};
        bytes.remove_prefix(layout.total());
    }
    return result;
}

using memory_requests = duet::request_stream<memory_session, duet::length_prefix>;

// The client's end.
struct request_fixture : memory_talk
{
    using memory_talk::memory_talk;

    std::unique_ptr<memory_requests> open(
        duet::request_options const& options = {}, duet::session_options const& session = {})
    {
        return std::make_unique<memory_requests>(make(session), framing, 1024, options);
    }

    started<std::string> ask(memory_requests& requests, std::string_view body)
    {
        return started<std::string>{context.get_executor(), requests.ask(body)};
    }

    // What has come of a request: its answer, or "sent" or "not sent", and the error.
    static asio::awaitable<std::string> outcome(started<std::string>& one)
    {
        std::string result;
        try
        {
            result = co_await one.result();
        }
        catch (duet::request_error const& error)
        {
            result = (error.sent() ? "sent, " : "not sent, ") + error.code().message();
        }
        co_return result;
    }

    template <class Body>
    void run(Body body)
    {
        time.run(body());
    }

    // Run `body(requests)` to its end.
    template <class Body>
    void with_requests(duet::request_options const& options, duet::session_options const& session, Body body)
    {
        auto const use = [&]() -> asio::awaitable<void>
        {
            auto const requests = open(options, session);
            co_await body(*requests);
        };
        run(use);
    }

    template <class Body>
    void with_requests(duet::request_options const& options, Body body)
    {
        with_requests(options, {}, std::move(body));
    }

    template <class Body>
    void with_requests(Body body)
    {
        with_requests({}, {}, std::move(body));
    }
};

}  // namespace duet_test

#endif
