// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MOBILE_CONVERSATION_TABLE_HPP
#define EXAMPLES_MOBILE_CONVERSATION_TABLE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include <duet/canceller.hpp>

#include "conversation.hpp"
#include "exchange.hpp"

namespace example {

/// A conversation on the server, and the connection that carries it now.
class seat
{
public:
    explicit seat(boost::asio::any_io_executor const& executor);

    /// Be the connection that carries it. One that carries it still is aborted: its end may never have come here. Waits
    /// until that has let go of the conversation. False: a newer one wants it, or has it; `attempt` tells their order.
    boost::asio::awaitable<bool> take(std::uint64_t attempt, duet::canceller connection);

    void leave();

    /// Not carried, and for how long.
    bool unused_since(std::chrono::steady_clock::time_point when) const { return !held_ && left_ < when; }

    conversation talk{};
    bell words;

private:
    std::uint64_t attempt_ = 0;  // of the newest connection
    bool held_ = false;
    std::chrono::steady_clock::time_point left_ = std::chrono::steady_clock::now();
    duet::canceller holder_{};
    boost::asio::steady_timer free_;  // never expires: cancelled when it is free
};

/// All conversations of a server, on one thread.
class conversation_table
{
public:
    /// At most `most`, and those without a connection for `keep`: a phone may be in a tunnel, or lost.
    conversation_table(boost::asio::any_io_executor executor, std::size_t most, std::chrono::milliseconds keep);

    /// Null if there is none.
    std::shared_ptr<seat> find(std::string const& id) const;

    /// The same, or a new one; null if there are too many.
    std::shared_ptr<seat> find_or_begin(std::string const& id);

    void forget(std::string const& id) { seats_.erase(id); }

    std::size_t size() const noexcept { return seats_.size(); }

private:
    void forget_unused();

    boost::asio::any_io_executor executor_;
    std::size_t most_;
    std::chrono::milliseconds keep_;
    std::chrono::steady_clock::time_point next_look_{};
    std::unordered_map<std::string, std::shared_ptr<seat>> seats_;
};

}  // namespace example

#endif
