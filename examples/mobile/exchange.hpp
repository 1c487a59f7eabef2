// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MOBILE_EXCHANGE_HPP
#define EXAMPLES_MOBILE_EXCHANGE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <duet/framing.hpp>
#include <duet/session.hpp>

#include "conversation.hpp"
#include "wire.hpp"

namespace example {

/// How often a side says something, and after how much silence the other one counts as dead.
struct rhythm
{
    std::chrono::milliseconds beat;
    std::chrono::milliseconds silence;
};

/// All times are multiples of a unit, a second for people. The silence has room for two beats that are late.
constexpr rhythm rhythm_of(std::chrono::milliseconds unit)
{
    return {2 * unit, 6 * unit};
}

/// Wakes one coroutine, at a time or when somebody rings. A ring before the wait is not lost.
class bell
{
public:
    explicit bell(boost::asio::any_io_executor const& executor) : timer_{executor} {}

    void ring()
    {
        rung_ = true;
        timer_.cancel();
    }

    /// True: somebody rang. False: the time has come, or the wait was cancelled.
    boost::asio::awaitable<bool> wait_until(std::chrono::steady_clock::time_point when);

private:
    boost::asio::steady_timer timer_;
    bool rung_ = false;
};

/// The frames of one connection.
class frame_pipe
{
public:
    frame_pipe(duet::session& peer, rhythm pace);

    boost::asio::awaitable<void> send(frame what);

    /// The next frame; nothing if the peer has finished. Its text is valid until the next call. Throws when no whole
    /// frame comes in time, however it drips, and when what comes is no frame, or larger than any: so nobody makes us
    /// hold more than that.
    boost::asio::awaitable<std::optional<frame>> receive();

    duet::session& peer() noexcept { return peer_; }

    rhythm const& pace() const noexcept { return pace_; }

private:
    duet::session& peer_;
    rhythm const pace_;
    duet::frame_reader<duet::length_prefix> messages_;
};

/// A conversation on one connection: both directions at once, acknowledgements, and signs of life.
class exchange
{
public:
    /// `words` rings when the program has said something. `on_frame` is called after each frame: messages may have
    /// come, or room for further ones. If it returns false, run() ends. What all refer to must outlive this.
    exchange(frame_pipe& pipe, conversation& with, bell& words, std::function<bool()> on_frame);

    /// Carry messages until the peer finishes or says bye, or `on_frame` returns false. True: the peer has said bye.
    /// Throws when the connection fails, when nothing comes in time, and when the peer is wrong.
    boost::asio::awaitable<bool> run();

private:
    boost::asio::awaitable<bool> listen();
    boost::asio::awaitable<void> speak();
    std::string words_to_send();

    frame_pipe& pipe_;
    conversation& with_;
    bell& words_;
    std::function<bool()> const on_frame_;
    std::uint64_t sent_;  // the last message that was sent on this connection, or acknowledged before it
    std::uint64_t told_;  // the last acknowledgement that was sent on it
};

}  // namespace example

#endif
