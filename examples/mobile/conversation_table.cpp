// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "conversation_table.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace asio = boost::asio;

namespace example {

seat::seat(asio::any_io_executor const& executor)
    : words{executor}, free_{executor, std::chrono::steady_clock::time_point::max()}
{
}

asio::awaitable<bool> seat::take(std::uint64_t attempt, duet::canceller connection)
{
    // A hello that the network held back may arrive after that of a newer connection: it must not take over.
    if (attempt <= attempt_)
        co_return false;
    attempt_ = attempt;
    while (held_)
    {
        holder_.abort();
        duet::error_code interrupted;
        co_await free_.async_wait(asio::redirect_error(asio::use_awaitable, interrupted));
        if (attempt != attempt_)
            co_return false;
    }
    held_ = true;
    holder_ = std::move(connection);
    co_return true;
}

void seat::leave()
{
    held_ = false;
    talk.forget_arrived();  // a conversation may stay without a connection for long
    left_ = std::chrono::steady_clock::now();
    free_.cancel();
}

conversation_table::conversation_table(asio::any_io_executor executor, std::size_t most, std::chrono::milliseconds keep)
    : executor_{std::move(executor)}, most_{most}, keep_{keep}
{
}

std::shared_ptr<seat> conversation_table::find(std::string const& id) const
{
    auto const found = seats_.find(id);
    return found != seats_.end() ? found->second : nullptr;
}

std::shared_ptr<seat> conversation_table::find_or_begin(std::string const& id)
{
    if (auto known = find(id))
        return known;
    forget_unused();
    if (seats_.size() >= most_)
        return nullptr;
    return seats_[id] = std::make_shared<seat>(executor_);
}

// Now and then, not for each client: it looks at all of them.
void conversation_table::forget_unused()
{
    auto const now = std::chrono::steady_clock::now();
    if (now < next_look_)
        return;
    next_look_ = now + keep_ / 8;
    std::erase_if(seats_, [&](auto const& entry) { return entry.second->unused_since(now - keep_); });
}

}  // namespace example
