// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// read_until() finds what a search in the whole text finds, however the text arrives: in parts of any size, some of it
// in the buffer already, and with any limit.
//
// The input: the delimiter's size, the limit, the size of the parts, how much is in the buffer at the begin, and the
// text, which begins with the delimiter.

#include "fuzz/input.hpp"
#include "session/memory_fixture.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

using namespace duet_test;
using duet::errc;

namespace {

struct plan
{
    explicit plan(fuzz_input input)
    {
        auto const delimiter_size = 1 + input.number() % 4;
        limit = input.number();
        part = 1 + input.number() % 16;
        auto const begun = input.number();
        text = input.rest();
        delimiter = text.substr(0, delimiter_size);
        buffer = text.substr(0, begun);
    }

    std::size_t limit;
    std::size_t part;
    std::string text;
    std::string delimiter;
    std::string buffer;
};

/// What a call has to tell when `all` is what is left of the text.
duet::error_code expected(std::string const& all, plan const& play, std::size_t& size)
{
    auto const found = all.find(play.delimiter);
    size = found == std::string::npos ? 0 : found + play.delimiter.size();
    if (size != 0 && size <= play.limit)
        return {};
    size = 0;
    if (all.size() >= play.limit || found != std::string::npos)
        return errc::limit_exceeded;
    return all.empty() ? duet::error_code{} : errc::truncated;
}

asio::awaitable<void> read_all_lines(memory_session& s, plan& play)
{
    auto left = play.text;
    for (;;)
    {
        std::size_t size = 0;
        auto const error = expected(left, play, size);
        auto const got = co_await outcome_of(s.read_until(play.buffer, play.delimiter, play.limit));
        require(got.code == error, "the error");
        require(left.compare(0, play.buffer.size(), play.buffer) == 0, "the bytes in the buffer");
        if (error == errc::truncated)
            require(play.buffer == left, "the bytes at the end");
        if (error || size == 0)
            break;
        require(got.bytes == size, "the size");
        require(play.buffer.size() <= std::max(left.size(), play.limit), "the limit");
        play.buffer.erase(0, size);
        left.erase(0, size);
    }
}

asio::awaitable<void> send(memory_talk& talk, std::string text, std::size_t part)
{
    for (std::size_t at = 0; at < text.size(); at += part)
    {
        auto const size = co_await talk.peer.send(text.substr(at, part));
        if (size == 0)
            break;
        co_await talk.pause(std::chrono::milliseconds{1});
    }
    talk.peer.shutdown_write();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    plan play{fuzz_input{data, size}};
    if (play.delimiter.empty())
        return -1;  // not interesting
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<void> sending{executor, send(talk, play.text.substr(play.buffer.size()), play.part)};
            co_await read_all_lines(s, play);
            co_await sending.result();
        });
    return 0;
}
