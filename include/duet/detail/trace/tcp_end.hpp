// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TCP_END_HPP
#define DUET_DETAIL_TRACE_TCP_END_HPP

#include <cstdint>
#include <optional>

#include <duet/detail/trace/segment_steps.hpp>
#include <duet/tcp_info.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// One end of a connection, by RFC 9293 3.10: it sends and receives segments, and its state follows.
class tcp_end
{
public:
    explicit tcp_end(tcp_state begin) : state_(begin) {}

    tcp_state state() const noexcept { return state_; }

    void send(trace_segment const& segment) noexcept
    {
        if (contains(segment.flags, tcp_flags::rst))
            state_ = tcp_state::closed;
        else if (contains(segment.flags, tcp_flags::syn))
            state_ = contains(segment.flags, tcp_flags::ack) ? tcp_state::syn_received : tcp_state::syn_sent;
        else if (contains(segment.flags, tcp_flags::fin))
        {
            after_fin_ = segment.sequence + length_of(segment);
            if (state_ == tcp_state::close_wait)
                state_ = tcp_state::last_ack;
            else if (state_ == tcp_state::established || state_ == tcp_state::syn_received)
                state_ = tcp_state::fin_wait_1;
        }
    }

    void receive(trace_segment const& segment) noexcept
    {
        if (contains(segment.flags, tcp_flags::rst))
        {
            state_ = tcp_state::closed;
            return;
        }
        if (contains(segment.flags, tcp_flags::syn))
        {
            if (state_ == tcp_state::syn_sent && contains(segment.flags, tcp_flags::ack))
                state_ = tcp_state::established;
            else if (state_ == tcp_state::listen)
                state_ = tcp_state::syn_received;
            return;
        }
        if (state_ == tcp_state::syn_received && contains(segment.flags, tcp_flags::ack))
            state_ = tcp_state::established;
        if (after_fin_ && contains(segment.flags, tcp_flags::ack) &&
            static_cast<std::int32_t>(segment.acknowledgement - *after_fin_) >= 0)
            finished();
        if (contains(segment.flags, tcp_flags::fin))
            peer_finished();
    }

private:
    void finished() noexcept
    {
        if (state_ == tcp_state::fin_wait_1)
            state_ = tcp_state::fin_wait_2;
        else if (state_ == tcp_state::closing)
            state_ = tcp_state::time_wait;
        else if (state_ == tcp_state::last_ack)
            state_ = tcp_state::closed;
    }

    void peer_finished() noexcept
    {
        if (state_ == tcp_state::established)
            state_ = tcp_state::close_wait;
        else if (state_ == tcp_state::fin_wait_1)
            state_ = tcp_state::closing;
        else if (state_ == tcp_state::fin_wait_2)
            state_ = tcp_state::time_wait;
    }

    tcp_state state_;
    std::optional<std::uint32_t> after_fin_{};  // the sequence number that acknowledges our FIN
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
