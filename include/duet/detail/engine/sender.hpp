// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SENDER_HPP
#define DUET_DETAIL_ENGINE_SENDER_HPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/engine/write_request.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The queue of writes, first in, first out.
class sender
{
public:
    bool empty() const noexcept { return queue_.empty(); }

    /// Bytes of the queued writes that the channel has not accepted yet.
    std::uint64_t queued() const noexcept { return queued_; }

    /// What to do with one more write, if the queue has this limit (see session_options). One alone is never refused.
    full_queue policy_for(write_request const& next, std::size_t limit, full_queue when_full) const noexcept
    {
        if (limit == 0 || queue_.empty() || next.lost_unseen() || next.left() == 0)
            return full_queue::wait;
        auto const taken = queued_ + count_ * cost_of_one;
        auto const room = limit > taken ? limit - taken : 0;
        return room >= cost_of_one && next.left() <= room - cost_of_one ? full_queue::wait : when_full;
    }

    /// The channel has accepted so many bytes of the first write.
    void accepted(std::uint64_t size) noexcept { queued_ -= size; }

    write_request& front() noexcept { return queue_.front(); }

    /// Takes the request, unless there is no memory (std::bad_alloc). Set its handler afterwards.
    void push_back(write_request&& request)
    {
        queue_.push_back(std::move(request));
        ++count_;
        queued_ += queue_.back().left();
    }

    write_request& back() noexcept { return queue_.back(); }

    write_request pop_front() noexcept { return take(queue_.begin()); }

    /// True if nobody would be told that one of the queued writes is lost.
    bool loses_unseen() const noexcept
    {
        for (auto const& each : queue_)
            if (each.lost_unseen())
                return true;
        return false;
    }

    /// Remove all requests.
    write_queue take_all() noexcept
    {
        queued_ = 0;
        count_ = 0;
        return std::move(queue_);
    }

    write_queue::iterator find(std::uint64_t id) noexcept
    {
        return queue_.find_if([id](write_request const& each) { return each.id == id; });
    }

    /// The first write whose own time is over.
    write_queue::iterator late(coarse_clock::time_point now) noexcept
    {
        return queue_.find_if([now](write_request const& each) { return each.by <= now; });
    }

    /// The earliest time that within() gives to one of them.
    coarse_clock::time_point earliest() const noexcept
    {
        auto result = coarse_clock::time_point::max();
        for (auto const& each : queue_)
            result = std::min(result, each.by);
        return result;
    }

    bool is_first(write_queue::iterator request) noexcept { return request == queue_.begin(); }

    write_queue::iterator first() noexcept { return queue_.begin(); }

    write_queue::iterator end() noexcept { return queue_.end(); }

    write_request take(write_queue::iterator request) noexcept
    {
        auto taken = queue_.take(request);
        --count_;
        queued_ -= taken.left();
        return taken;
    }

    /// Write until the request is finished. would_block: the channel accepts no more bytes.
    [[gnu::always_inline]] error_code push(channel& to, write_request& request)
    {
        if (request.finished())
            return {};
        // A fast reader on another core could keep this loop busy for ever, so it ends after 64 writes and lets other
        // handlers run.
        for (int turns = 0; turns < 64; ++turns)
        {
            error_code error;
            auto const size = request.push_to([&](auto const& source) { return to.write_some(source, error); });
            if (error)
                return error == boost::asio::error::try_again ? boost::asio::error::would_block : error;
            sent_ += size;
            request.consume(size);
            if (request.finished())
                return {};
        }
        return boost::asio::error::would_block;
    }

    /// Write some bytes in front of an empty queue.
    std::size_t push_some(channel& to, boost::asio::const_buffer bytes, error_code& error) noexcept
    {
        auto const size = to.write_some(bytes, error);
        sent_ += size;
        return size;
    }

    /// Bytes that the channel has accepted, over all writes.
    std::uint64_t sent() const noexcept { return sent_; }

private:
    static constexpr std::size_t cost_of_one = 256;  // about what a queued write takes besides the program's bytes

    write_queue queue_;
    std::uint64_t sent_ = 0;
    std::uint64_t queued_ = 0;
    std::uint32_t count_ = 0;

public:
    /// A wait for writability is under way.
    bool waiting = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
