// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "exchange.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <stdexcept>
#include <utility>

#include <duet/tasks.hpp>

namespace asio = boost::asio;

namespace example {

asio::awaitable<bool> bell::wait_until(std::chrono::steady_clock::time_point when)
{
    if (!rung_)
    {
        timer_.expires_at(when);
        duet::error_code interrupted;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, interrupted));
    }
    co_return std::exchange(rung_, false);
}

frame_pipe::frame_pipe(duet::session& peer, rhythm pace)
    : peer_{peer}, pace_{pace}, messages_{peer, on_the_wire, most_frame}
{
}

asio::awaitable<void> frame_pipe::send(frame what)
{
    std::string bytes;
    append(what, bytes);
    co_await peer_.write(bytes);
}

asio::awaitable<std::optional<frame>> frame_pipe::receive()
{
    // Silence is measured here, and not by TCP: a proxy's or a phone network's TCP answers for a peer that is gone.
    auto const message = co_await messages_.next().within(pace_.silence);
    if (!message)
        co_return std::nullopt;
    auto const got = decode(*message);
    if (!got)
        throw std::runtime_error{"what came is no frame"};
    co_return got;
}

// What was sent and is not acknowledged may be lost: it is sent again.
exchange::exchange(frame_pipe& pipe, conversation& with, bell& words, std::function<bool()> on_frame)
    : pipe_{pipe}, with_{with}, words_{words}, on_frame_{std::move(on_frame)}, sent_{with.acknowledged()},
      told_{with.heard()}
{
}

asio::awaitable<bool> exchange::run()
{
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<bool>
    {
        tasks.begin(speak());
        bool const bye = co_await listen();
        co_return bye;
    };
    bool const bye = co_await duet::with_tasks(body, duet::tasks_end::cancel);
    co_return bye;
}

asio::awaitable<bool> exchange::listen()
{
    for (;;)
    {
        auto const got = co_await pipe_.receive();
        if (!got)
            co_return false;
        if (got->acknowledged > sent_ || !with_.acknowledge(got->acknowledged))
            throw std::runtime_error{"the peer has heard what was not said"};
        if (got->kind == frame_kind::bye)
            co_return true;
        if (got->kind == frame_kind::data && !with_.arrive(got->number, got->text))
            throw std::runtime_error{"the peer said a message that was not the next"};
        if (got->kind != frame_kind::data && got->kind != frame_kind::beat)
            throw std::runtime_error{"the peer begins in the middle"};
        if (!on_frame_())
            co_return false;
        words_.ring();  // there may be an answer, or something to acknowledge
    }
}

// One write at a time, with all that there is to say: what is said meanwhile goes together into the next one. Neither
// direction waits for the other: a frame_stream, which stops to read while its writes are held up, would.
asio::awaitable<void> exchange::speak()
{
    auto next_beat = std::chrono::steady_clock::now();
    for (;;)
    {
        std::string bytes = words_to_send();
        if (bytes.empty())
        {
            bool const rung = co_await words_.wait_until(next_beat);
            if (rung)
                continue;
            append({.kind = frame_kind::beat, .acknowledged = with_.heard()}, bytes);
        }
        co_await pipe_.peer().write(bytes);
        next_beat = std::chrono::steady_clock::now() + pipe_.pace().beat;
    }
}

std::string exchange::words_to_send()
{
    std::string bytes;
    auto const heard = with_.heard();
    while (auto const* text = with_.said(sent_ + 1))
        append({frame_kind::data, ++sent_, heard, *text}, bytes);
    if (bytes.empty() && heard != told_)
        append({.kind = frame_kind::beat, .acknowledged = heard}, bytes);
    told_ = heard;
    return bytes;
}

}  // namespace example
