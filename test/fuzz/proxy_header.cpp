// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Any bytes as a PROXY header: each part of them tells the same as the whole, what is accepted can be written and read
// again, and a session reads it to its last byte and no further, however it arrives.
//
// The input: the limit (in units of 16 bytes), the size of the parts, and the bytes. So that a person can write them,
// the backslash begins "\r", "\n" or two hexadecimal digits.

#include "fuzz/input.hpp"
#include "session/memory_fixture.hpp"

#include <duet/proxy_protocol.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace duet_test;

namespace {

struct plan
{
    explicit plan(fuzz_input input)
    {
        limit = 16 * (1 + input.number());
        part = 1 + input.number() % 64;
        text = unescaped(input.rest());
    }

    static std::string unescaped(std::string const& from)
    {
        std::string result;
        for (std::size_t at = 0; at < from.size(); ++at)
        {
            int byte = 0;
            if (from.compare(at, 2, "\\r") == 0 || from.compare(at, 2, "\\n") == 0)
                result += from[++at] == 'r' ? '\r' : '\n';
            else if (from[at] == '\\' && from.size() - at > 2 &&
                     std::from_chars(from.data() + at + 1, from.data() + at + 3, byte, 16).ptr == from.data() + at + 3)
            {
                result += static_cast<char>(byte);
                at += 2;
            }
            else
                result += from[at];
        }
        return result;
    }

    std::size_t limit;
    std::size_t part;
    std::string text;
};

void parse_parts(plan const& play, duet::proxy_parsed const& whole)
{
    for (std::size_t size = 0; size <= play.text.size(); ++size)
    {
        auto const part = duet::parse_proxy_header(std::string_view{play.text}.substr(0, size), play.limit);
        require((part.error ? 1 : 0) + (part.size > 0 ? 1 : 0) + (part.wanted > 0 ? 1 : 0) == 1, "one of three");
        require(part.header.has_value() == (part.size > 0), "a header");
        if (part.error)
            require(part.error == whole.error, "the error");
        if (part.size > 0)
            require(part.size <= size && part.size == whole.size, "the size");
        if (part.wanted > 0 && whole.size > 0)
            require(part.wanted <= whole.size - size, "no byte behind the header");
        if (part.wanted > 0)
            require(size + part.wanted <= std::max<std::size_t>(play.limit, 107), "the limit");
    }
}

void write_again(duet::proxy_header const& header)
{
    auto const bytes = encode(header);
    auto const again = duet::parse_proxy_header(bytes, 65551);
    require(again.size == bytes.size(), "what was written is a header");
    require(again.header->local == header.local, "the command");
    require(encode(*again.header) == bytes, "written again");
    static_cast<void>(header.ssl());
}

asio::awaitable<void> send(memory_talk& talk, plan const& play)
{
    for (std::size_t at = 0; at < play.text.size(); at += play.part)
    {
        auto const size = co_await talk.peer.send(play.text.substr(at, play.part));
        if (size == 0)
            break;
        co_await talk.pause(std::chrono::milliseconds{1});
    }
    talk.peer.shutdown_write();
}

asio::awaitable<void> accept(memory_session& s, plan const& play, duet::proxy_parsed const& whole)
{
    duet::proxy_options options;
    options.limit = play.limit;
    auto const told = co_await outcome_of(duet::accept_proxy_header(s, options));
    if (whole.wanted > 0)
        require(told.code == (play.text.empty() ? duet::errc::ended : duet::errc::truncated), "the end");
    else
        require(told.code == whole.error, "the error");
    if (!told.ok())
        co_return;
    std::string rest;
    co_await s.read_all(rest, play.text.size());
    require(rest == play.text.substr(whole.size), "what is behind the header");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    plan const play{fuzz_input{data, size}};
    auto const whole = duet::parse_proxy_header(play.text, play.limit);
    parse_parts(play, whole);
    if (whole.header)
        write_again(*whole.header);
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<void> sending{executor, send(talk, play)};
            co_await accept(s, play, whole);
            co_await sending.result();
            s.abort();
        });
    return 0;
}
