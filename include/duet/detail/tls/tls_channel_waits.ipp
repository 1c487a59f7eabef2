// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_CHANNEL_WAITS_IPP
#define DUET_DETAIL_TLS_TLS_CHANNEL_WAITS_IPP

// The waits of a tls_channel, and what the channel below tells.

#include <boost/asio/error.hpp>

#include <new>
#include <utility>

#include <duet/detail/tls/tls_channel.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// ---- Waits ----------------------------------------------------------------------------------------------------------

/// Begin a wait or a turn of the channel below, which keeps this object, and so its user, alive. The attempt has to be
/// this object's: see observed_channel.
template <class Begin>
void tls_channel::begin(Begin wait)
{
    if (!std::exchange(held_, true))
        user_->add_reference();
    bool const begun = attempt(wait);
    if (!referenced())
        dispose();
    if (!begun)
        throw std::bad_alloc{};
}

inline void tls_channel::take_turn()
{
    if (turn_)
        return;
    turn_ = true;
    try
    {
        begin([this] { below_->turn(); });
    }
    catch (std::bad_alloc const&)
    {
        turn_ = false;
        throw;
    }
}

inline bool tls_channel::take_turn_noexcept() noexcept
{
    bool const needed = reading_ != reading::nothing || writing_ || gone_ || user_turn_;
    if (!needed)
        return true;
    try
    {
        take_turn();
        return true;
    }
    catch (std::bad_alloc const&)
    {
        return false;
    }
}

/// Wait for what the channel below has to do: send the rest, receive for a read or for the handshake. False: no memory.
inline bool tls_channel::wait_below() noexcept
{
    if (closed_ || !engine_)
        return true;
    bool const sends = engine_->unsent() > 0 && !send_error_;
    bool const shakes = (writing_ || finish_due_) && engine_->handshaking() && !raw_;
    bool const receives = (reading_ != reading::nothing && !read_due_ && !engine_->congested()) || shakes;
    try
    {
        if (sends && !below_writing_)
        {
            begin([this] { below_->wait_writable(); });
            below_writing_ = true;
        }
        if (receives && !below_reading_)
        {
            begin([this] { below_->wait_readable(wake::likely); });
            below_reading_ = true;
        }
        else if (!receives && below_reading_ && reading_ == reading::nothing && !std::exchange(below_cancelled_, true))
            below_->cancel_read();  // has_input() has taken what it waits for
        return true;
    }
    catch (std::bad_alloc const&)
    {
        return false;
    }
}

/// True if there is something to tell the user at the next turn, other than the turn that it has asked for.
inline bool tls_channel::is_due() noexcept
{
    bool const waits = reading_ != reading::nothing || writing_ || gone_;
    return read_due_ || (reading_ != reading::nothing && read_cancelled_) || (writing_ && is_writable()) ||
           (gone_ && (gone_cancelled_ || both_ended())) || (closed_ && waits);
}

/// Begin whatever is to be waited for. False: no memory.
inline bool tls_channel::go_on() noexcept
{
    if ((user_turn_ || is_due()) && !take_turn_noexcept())
        return false;
    return wait_below();
}

inline void tls_channel::read(boost::asio::mutable_buffer buffer)
{
    buffer_ = buffer;
    reading_ = reading::bytes;
    read_cancelled_ = false;
    read_due_ = is_readable();
    if (go_on())
        return;
    reading_ = reading::nothing;
    throw std::bad_alloc{};
}

inline void tls_channel::wait_readable(wake)
{
    reading_ = reading::input;
    read_cancelled_ = false;
    read_due_ = is_readable();
    if (go_on())
        return;
    reading_ = reading::nothing;
    throw std::bad_alloc{};
}

inline void tls_channel::wait_writable()
{
    look();
    writing_ = true;
    if (go_on())
        return;
    writing_ = false;
    throw std::bad_alloc{};
}

inline void tls_channel::wait_gone()
{
    gone_cancelled_ = false;
    if (!below_gone_)
    {
        begin([this] { below_->wait_gone(); });
        below_gone_ = true;
    }
    gone_ = true;
    if (both_ended())
        take_turn_noexcept();  // otherwise the one below ends, too
}

inline void tls_channel::turn()
{
    user_turn_ = true;
    take_turn();
}

inline void tls_channel::cancel_read() noexcept
{
    if (reading_ == reading::nothing)
        return;
    read_cancelled_ = true;
    if (below_reading_ || !take_turn_noexcept())
        below_->cancel_read();
}

inline void tls_channel::cancel_gone() noexcept
{
    if (!gone_)
        return;
    gone_cancelled_ = true;
    if (below_gone_ || !take_turn_noexcept())
        below_->cancel_gone();
}

inline void tls_channel::set_user(channel_user& next) noexcept
{
    auto* const last = std::exchange(user_, &next);
    if (!held_)
        return;
    next.add_reference();
    last->remove_reference();
}

inline void tls_channel::move_to(channel& below) noexcept
{
    reading_ = reading::nothing;
    writing_ = gone_ = read_due_ = read_cancelled_ = gone_cancelled_ = false;
    below_reading_ = below_writing_ = below_gone_ = dry_ = false;
    use(below);
    if (!wait_below())
        send_error_ = boost::asio::error::no_memory;
}

// ---- What the channel below tells -----------------------------------------------------------------------------------

inline void tls_channel::tell_ended_read(error_code const& error, std::size_t size)
{
    reading_ = reading::nothing;
    read_due_ = read_cancelled_ = false;
    user_->on_read(error, size);
}

/// Complete the pending read, unless it has to wait. True: the user was called.
inline bool tls_channel::tell_read()
{
    if (reading_ == reading::nothing)
        return false;
    if (read_cancelled_ || closed_)
    {
        reading_ = reading::nothing;
        read_due_ = false;
        bool const goes_on = go_on();
        tell_ended_read(boost::asio::error::operation_aborted, 0);
        if (!goes_on)
            tell_no_memory();
        return true;
    }
    read_due_ = false;
    if (!is_readable())
        return false;
    error_code error;
    std::size_t size = 0;
    if (reading_ == reading::bytes && engine_)
    {
        size = read_some(buffer_, error);
        if (size == 0 && error == boost::asio::error::would_block)
            return false;
    }
    reading_ = reading::nothing;
    bool const goes_on = go_on();
    tell_ended_read(error, size);
    if (!goes_on)
        tell_no_memory();
    return true;
}

inline bool tls_channel::tell_writable()
{
    if (!writing_ || !is_writable())
        return false;
    writing_ = false;
    bool const goes_on = go_on();
    user_->on_writable(closed_ ? error_code{boost::asio::error::operation_aborted} : error_code{});
    if (!goes_on)
        tell_no_memory();
    return true;
}

inline bool tls_channel::tell_gone()
{
    bool const ended = gone_cancelled_ || closed_;
    if (!gone_ || (!ended && !both_ended()))
        return false;
    gone_ = gone_cancelled_ = false;
    bool const goes_on = go_on();
    user_->on_gone(ended ? error_code{boost::asio::error::operation_aborted} : error_code{});
    if (!goes_on)
        tell_no_memory();
    return true;
}

/// Call the user once, for what is due; the rest has the next turn.
inline void tls_channel::tell_one()
{
    if (tell_read() || tell_writable() || tell_gone())
        return;
    if (!go_on())
        tell_no_memory();
}

/// There is no memory to wait for anything: whoever waits is told so at once, and no byte is sent any more. Only from a
/// callback of the channel below, which keeps this object alive.
inline void tls_channel::tell_no_memory()
{
    send_error_ = boost::asio::error::no_memory;
    if (reading_ != reading::nothing)
        tell_ended_read(send_error_, 0);
    if (std::exchange(writing_, false))
        user_->on_writable(send_error_);
    if (!below_gone_ && std::exchange(gone_, false))
        user_->on_gone(send_error_);
    if (!turn_ && std::exchange(user_turn_, false))
        user_->on_turn();
}

inline void tls_channel::on_read(error_code const& error, std::size_t)
{
    below_reading_ = below_cancelled_ = false;
    if (error != boost::asio::error::operation_aborted)
    {
        dry_ = false;
        below_told_ = true;
    }
    look();
    tell_one();
}

inline void tls_channel::on_writable(error_code)
{
    below_writing_ = false;
    bool const waited = engine_ && engine_->congested();
    look();
    if (waited && reading_ != reading::nothing)
        read_due_ = !engine_->congested();
    tell_one();
}

inline void tls_channel::on_gone(error_code error)
{
    below_gone_ = false;
    if (!gone_)
        return;
    gone_ = gone_cancelled_ = false;
    bool const goes_on = go_on();
    user_->on_gone(error);
    if (!goes_on)
        tell_no_memory();
}

inline void tls_channel::on_turn()
{
    turn_ = false;
    // The user's turn and the others alternate, so that neither keeps the other from running.
    if (!user_turn_ || std::exchange(user_waits_, false))
        return tell_one();
    user_turn_ = false;
    user_waits_ = is_due();
    bool const goes_on = go_on();
    user_->on_turn();
    if (!goes_on)
        tell_no_memory();
}

inline void tls_channel::abandon() noexcept
{
    reading_ = reading::nothing;
    writing_ = gone_ = turn_ = user_turn_ = read_due_ = false;
    below_reading_ = below_writing_ = below_gone_ = false;
    user_->abandon();
}

/// Nothing is under way with the channel below.
inline void tls_channel::dispose() noexcept
{
    if (std::exchange(held_, false))
        user_->remove_reference();  // may destroy this object
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
