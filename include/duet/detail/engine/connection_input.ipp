// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_INPUT_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_INPUT_IPP

// A read that stays pending while what arrives is taken at once, and passed on to another connection.

#include <boost/asio/error.hpp>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL bool connection::on_input(error_code& error, turn_time& time) noexcept
{
    auto* const taker = receiver_.taker();
    return taker && taker->take_input(error, time);
}

[[gnu::always_inline]] inline void connection::note_activity(turn_time& time) noexcept
{
    if (notes_activity())
        times_.note_activity(time.now(clock()));
}

DUET_DECL std::size_t connection::take_pending(
    boost::asio::mutable_buffer into, error_code& error, turn_time& time) noexcept
{
    auto const size = channel_->take_some(into, error);
    if (size == 0)
        return 0;
    receiver_.count(size);
    times_.first_message_received();
    note_activity(time);
    if (times_.limits_reads()) [[unlikely]]
        count_read_deadlines(time);
    receiver_.message_begun();
    return size;
}

/// As if a new read began after this input.
inline void connection::count_read_deadlines(turn_time& time) noexcept
{
    auto const now = time.now(clock());
    times_.read_by = coarse_clock::after(now, times_.limits().read);
    times_.read_begins(true, now);
    if (receiver_.in_message())
        return;
    message_begun();
    arm_all();
}

DUET_DECL bool connection::pass_on(boost::asio::const_buffer& bytes, turn_time& time) noexcept
{
    if (life_.send() != send_state::open || life_.released() || !sender_.empty())
        return false;
    error_code error;
    auto const size = sender_.push_some(*channel_, bytes, error);
    if (size > 0) [[likely]]
    {
        note_activity(time);
        receiver_.busy() ? see_to_watch() : answered();
        if (size == bytes.size())
            return true;
        bytes += size;
    }
    if (error)
        end_passing_on(error);
    return false;
}

inline void connection::end_passing_on(error_code const& error) noexcept
{
    using namespace boost::asio;
    if (error != error::would_block && error != error::try_again && !tell_failure_later(error))
        fail_send(error);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
