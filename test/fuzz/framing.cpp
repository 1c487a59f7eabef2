// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A frame_reader finds what a walk over the whole text finds, however the text arrives, and holds no more than its
// limit; what a framing accepts and writes comes back as it was.
//
// The input: which framing, its size, the limit, the size of the parts in which the text arrives, and the text.

#include <duet/framing.hpp>

#include "fuzz/input.hpp"
#include "session/memory_fixture.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

using namespace duet_test;
using duet::errc;
using message = std::optional<std::string_view>;

namespace {

struct plan
{
    explicit plan(fuzz_input input)
    {
        kind = input.number() % 6;
        size = input.number();
        limit = input.number();
        part = 1 + input.number() % 16;
        text = input.rest();
    }

    std::size_t kind;
    std::size_t size;
    std::size_t limit;
    std::size_t part;
    std::string text;
};

/// What a reader has to tell of the frame that the text begins with.
template <duet::framing Framing>
duet::error_code expected(Framing const& framing, std::string_view text, std::size_t limit, duet::frame_layout& frame)
{
    // As if it came byte by byte: what is known later is never less than what was known before.
    std::uint64_t least = 0;
    for (std::size_t there = 1; there <= text.size(); ++there)
    {
        frame = framing.layout(text.substr(0, there), there - 1);
        if (frame.malformed)
            return errc::malformed_frame;
        require(frame.total() >= least, "a frame does not shrink");
        least = frame.total();
        if (least > limit)
            return errc::limit_exceeded;
        if (least <= there)
            return {};
    }
    return text.empty() ? duet::error_code{asio::error::eof} : duet::error_code{errc::truncated};
}

template <duet::framing Framing>
asio::awaitable<void> read_all_frames(memory_session& s, Framing const& framing, plan const& play)
{
    std::string_view left{play.text};
    duet::frame_reader messages{s, framing, play.limit};
    for (;;)
    {
        duet::frame_layout frame;
        auto const error = expected(framing, left, play.limit, frame);
        duet::error_code got;
        message one;
        try
        {
            one = co_await messages.next();
        }
        catch (duet::session_error const& failure)
        {
            got = failure.code();
        }
        if (error == asio::error::eof)
        {
            require(!got && !one, "the end");
            break;
        }
        // Of a frame that is too long and malformed, what is found first depends on how much of it is there.
        bool const both = got == duet::condition::invalid_message && error == duet::condition::invalid_message;
        require(got == error || both, "the error");
        require(messages.unread().size() <= std::max(play.limit, std::size_t{4096}), "the limit");
        if (error)
            break;
        require(one.has_value(), "a message");
        require(*one == left.substr(frame.head, frame.body), "the message");
        left.remove_prefix(frame.total());
    }
}

/// Each part of the text that the framing accepts is written, and read by the other end.
template <duet::framing Framing>
asio::awaitable<void> write_parts(memory_session& s, Framing const& framing, plan const& play, std::string& sent)
{
    duet::frame_stream messages{s, framing, 4096};
    for (std::size_t at = 0; at < play.text.size(); at += play.part)
    {
        auto const body = std::string_view{play.text}.substr(at, play.part);
        if (!framing.accepts(body))
            continue;
        sent += std::string_view{framing.head(body)};
        sent += body;
        sent += std::string_view{framing.tail()};
        if (at % 2 == 0)
            messages.put(body);
        else
            co_await messages.write(body);
        duet::frame_layout frame;
        auto const own = sent.substr(sent.size() - std::string_view{framing.head(body)}.size() - body.size() -
                                     std::string_view{framing.tail()}.size());
        require(!expected(framing, own, 4096, frame) && frame.body == body.size() && frame.total() == own.size(),
            "what is accepted comes back");
    }
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

template <duet::framing Framing>
void run(Framing const& framing, plan const& play)
{
    memory_talk talk;
    std::string sent;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<void> sending{executor, send(talk, play)};
            co_await read_all_frames(s, framing, play);
            co_await sending.result();
            co_await write_parts(s, framing, play, sent);
        });
    require(talk.peer.recv_available() == sent, "what is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    plan const play{fuzz_input{data, size}};
    auto const bytes = static_cast<unsigned>(play.size % 10);
    switch (play.kind)
    {
    case 0:
        run(duet::length_prefix{bytes, play.size & 16 ? std::endian::little : std::endian::big, (play.size & 32) != 0},
            play);
        break;
    case 1:
        run(duet::varint_prefix{}, play);
        break;
    case 2:
        run(duet::delimiter{play.text.substr(0, play.size % 4)}, play);
        break;
    case 3:
        run(duet::lines{static_cast<duet::line_end>(play.size % 3)}, play);
        break;
    default:
        run(duet::fixed_size{play.size}, play);
    }
    return 0;
}
