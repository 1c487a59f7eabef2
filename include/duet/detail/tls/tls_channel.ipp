// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_CHANNEL_IPP
#define DUET_DETAIL_TLS_TLS_CHANNEL_IPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <duet/detail/tls/tls_channel.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The engine wants ciphertext.
inline std::size_t tls_channel::take(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    error = boost::asio::error::would_block;
    if (closed_ || (dry_ && !below_->may_read()))
        return 0;
    auto const size = below_->take_some(buffer, error);
    dry_ = size == 0 && (error == boost::asio::error::would_block || error == boost::asio::error::try_again);
    return size;
}

/// Send what the engine has made, and the FIN behind it.
inline void tls_channel::flush() noexcept
{
    while (engine_ && engine_->unsent() > 0 && !send_error_ && !closed_)
    {
        error_code error;
        engine_->sent(below_->write_some(engine_->output(), error));
        if (error == boost::asio::error::would_block || error == boost::asio::error::try_again)
            return;
        send_error_ = error;
    }
    if (!fin_due_ || closed_ || (engine_ && engine_->unsent() > 0))
        return;
    fin_due_ = false;
    fin_sent_ = true;
    error_code refused;  // not_connected: has_failed() tells
    below_->shutdown_send(refused);
}

/// Let the engine go on: the handshake, and what that has to send.
inline void tls_channel::look() noexcept
{
    if (engine_ && engine_->handshaking() && !closed_ && !raw_ && !clear_)
        engine_->shake_hands(*this);
    if (finish_due_ && !engine_->handshaking())
        finish();
    flush();
}

/// Say close_notify, and FIN behind it.
inline void tls_channel::finish() noexcept
{
    if (engine_)
    {
        engine_->finish();
        if (engine_->send_failure() && !send_error_)
            send_error_ = engine_->send_failure();
    }
    finish_due_ = false;
    fin_due_ = true;
}

inline bool tls_channel::is_readable() noexcept
{
    if (raw_ || (clear_ && !closed_))
        return std::exchange(below_told_, false) || (engine_ && engine_->ended()) || below_->readable_now();
    look();
    if (!engine_)
        return true;
    if (engine_->handshaking())
        return false;
    if (awaits_handshake_)
        return true;
    bool const result = engine_->readable(*this);
    flush();  // an alert, maybe
    return result;
}

inline bool tls_channel::is_writable() const noexcept
{
    return !engine_ || engine_->failure() || send_error_ || closed_ ||
           (!engine_->handshaking() && engine_->unsent() == 0);
}

// ---- Operations that never block ------------------------------------------------------------------------------------

inline std::size_t tls_channel::read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    if (!engine_)
    {
        error = tls_errc::no_context;
        return 0;
    }
    if (clear_)
    {
        auto const size = take(buffer, error);
        if (size > 0)
            error.clear();
        return size;
    }
    look();
    if (engine_->handshaking())
    {
        error = boost::asio::error::would_block;
        return 0;
    }
    auto const size = engine_->read(*this, buffer, error);
    flush();
    if (gone_ && both_ended())
        take_turn_noexcept();
    return size;
}

inline bool tls_channel::readable_now() noexcept
{
    return is_readable();
}

inline std::size_t tls_channel::write_some(boost::asio::const_buffer buffer, error_code& error) noexcept
{
    return write_some(std::span<boost::asio::const_buffer const>{&buffer, 1}, error);
}

inline std::size_t tls_channel::write_some(
    std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept
{
    look();
    error = send_error_;
    if (!engine_)
        error = tls_errc::no_context;
    else if (!error && !is_writable())
        error = boost::asio::error::would_block;
    if (error)
        return 0;
    auto const size = engine_->write(buffers, error);
    flush();
    if (send_error_)
    {
        error = send_error_;
        return 0;
    }
    // What is left is sent without the user. Without memory for that, it cannot be.
    if (engine_->unsent() > 0 && !wait_below())
    {
        error = send_error_ = boost::asio::error::no_memory;
        return 0;
    }
    return size;
}

inline std::size_t tls_channel::write_some(piped_bytes const&, error_code& error) noexcept
{
    error = boost::asio::error::operation_not_supported;
    return 0;
}

inline std::size_t tls_channel::take_into(splice_pipe&, error_code&) noexcept
{
    return 0;
}

/// Nobody wants the input any more. So the end is whichever end comes: close_notify, FIN, or FIN without close_notify.
inline std::size_t tls_channel::discard(std::size_t limit, error_code& error) noexcept
{
    error.clear();
    dry_ = false;
    std::size_t total = 0;
    if (engine_ && engine_->open() && !raw_)
    {
        std::array<char, tls_engine::record> scratch;
        while (total < limit && !error)
            total += engine_->read(*this, boost::asio::buffer(scratch, std::min(scratch.size(), limit - total)), error);
        flush();
        if (gone_ && both_ended())
            take_turn_noexcept();
        if (total > 0)
            error.clear();
        if (total > 0 || error == boost::asio::error::would_block)
            return total;
    }
    if (engine_ && engine_->failure().category() == boost::system::system_category())
    {
        error = engine_->failure();  // of the channel below, which may tell it only once
        return 0;
    }
    // No more plaintext will come.
    raw_ = true;
    below_told_ = false;
    if (finish_due_)
    {
        finish();  // there will be no handshake
        flush();
    }
    error.clear();
    total = below_->discard(limit, error);
    if (engine_ && engine_->ended() && error == boost::asio::error::would_block)
        error.clear();  // the peer has finished: its FIN need not be waited for
    return total;
}

inline void tls_channel::shutdown_send(error_code& error) noexcept
{
    finish_due_ = true;
    if (!engine_)
        finish();
    look();
    error = send_error_;
    if (!error && fin_due_ && !wait_below())
        error = boost::asio::error::no_memory;
    if (gone_ && both_ended())
        take_turn_noexcept();
}

inline void tls_channel::reset() noexcept
{
    closed_ = true;
    below_->reset();
    take_turn_noexcept();
}

inline void tls_channel::close() noexcept
{
    closed_ = true;
    below_->close();
    take_turn_noexcept();
}

// ---- Questions ------------------------------------------------------------------------------------------------------

inline bool tls_channel::has_input() noexcept
{
    if (closed_)
        return false;
    dry_ = false;
    below_->readable_now();  // the channel in the reactor then knows
    bool const result = is_readable();
    if (result && reading_ != reading::nothing)
    {
        // The channel below will not tell of what was just taken from it.
        read_due_ = true;
        take_turn_noexcept();
    }
    return result;
}

inline bool tls_channel::has_hung_up() noexcept
{
    return below_->has_hung_up() || both_ended();
}

/// Both sides have said close_notify, and ours was sent: the channel below need not know.
inline bool tls_channel::both_ended() const noexcept
{
    return fin_sent_ && engine_ && engine_->ended();
}

inline std::size_t tls_channel::unacknowledged() noexcept
{
    return (engine_ ? engine_->unsent() : 0) + (fin_due_ || finish_due_ ? 1 : 0) + below_->unacknowledged();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
