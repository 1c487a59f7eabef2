// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_CHANNEL_HPP
#define DUET_DETAIL_TLS_TLS_CHANNEL_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/tls/tls_engine.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// TLS on another channel. For a connection it is the channel, and for the channel below it is the user.
///
/// Reads and writes drive the handshake. It sends by itself what the channel below has not taken at once, and the FIN
/// behind that. unacknowledged() counts both.
///
/// A wait for this channel is a wait for the one below, or a turn of it. While one is under way, this object keeps its
/// user alive, which owns it.
class tls_channel final : public channel, private channel_user, private tls_source
{
public:
    /// Use an engine before the first operation. Without one every operation fails.
    explicit tls_channel(channel_user& user) noexcept : channel{{}, &user} { set_may_read(true); }

    /// For the channel below.
    channel_user& as_user() noexcept { return *this; }

    void use(std::unique_ptr<tls_engine> engine) noexcept { engine_ = std::move(engine); }

    /// For another channel. This one is closed.
    std::unique_ptr<tls_engine> give_engine() noexcept { return std::move(engine_); }

    void use(channel& below) noexcept
    {
        below_ = &below;
        able_as(below);
    }

    /// The connection moves to another channel below. The last one has forgotten its waits, and so does this one: the
    /// connection starts them again.
    void move_to(channel& below) noexcept;

    /// While this is wanted, wait_readable() ends when the handshake has ended, whether well or not: failure() tells.
    void await_handshake(bool wanted) noexcept { awaits_handshake_ = wanted; }

    /// While this is wanted, reads are of what the channel below has: of something in the clear before the handshake.
    void read_in_the_clear(bool wanted) noexcept { clear_ = wanted; }

    /// Before the handshake: send these bytes in front of it, in the clear. Throws std::bad_alloc.
    void say_first(std::string_view bytes)
    {
        if (engine_)
            engine_->say_first(bytes);
    }

    tls_engine const* engine() const noexcept { return engine_.get(); }

    /// Why the handshake has failed.
    error_code failure() const noexcept { return engine_ ? engine_->failure() : error_code{tls_errc::no_context}; }

    std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;
    bool readable_now() noexcept override;
    std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept override;
    std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept override;
    std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept override;
    std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept override;
    std::size_t discard(std::size_t limit, error_code& error) noexcept override;
    void shutdown_send(error_code& error) noexcept override;
    void reset() noexcept override;
    void close() noexcept override;

    bool has_input() noexcept override;
    bool has_failed() noexcept override { return below_->has_failed(); }
    bool has_hung_up() noexcept override;
    error_code take_failure() noexcept override { return below_->take_failure(); }
    std::size_t unacknowledged() noexcept override;
    void set_dead_peer_timeout(deadlines::duration timeout) noexcept override
    {
        below_->set_dead_peer_timeout(timeout);
    }
    void set_no_delay_late() noexcept override { below_->set_no_delay_late(); }
    void set_no_delay_now() noexcept override { below_->set_no_delay_now(); }
    duet::tcp_snapshot info(error_code& error) noexcept override { return below_->info(error); }

    void read(boost::asio::mutable_buffer buffer) override;
    void wait_readable(wake how) override;
    void wait_writable() override;
    void wait_gone() override;
    void turn() override;
    void cancel_read() noexcept override;
    void cancel_gone() noexcept override;

    void set_user(channel_user& next) noexcept override;

private:
    enum class reading : std::uint8_t
    {
        nothing,
        bytes,  ///< read()
        input,  ///< wait_readable()
    };

    // What the channel below tells
    void on_read(error_code const& error, std::size_t size) override;
    void on_writable(error_code error) override;
    void on_gone(error_code error) override;
    void on_turn() override;
    void abandon() noexcept override;
    void dispose() noexcept override;

    // What the engine asks
    std::size_t take(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;

    template <class Begin>
    void begin(Begin wait);
    void take_turn();
    bool take_turn_noexcept() noexcept;
    bool is_due() noexcept;
    bool both_ended() const noexcept;
    bool go_on() noexcept;
    bool wait_below() noexcept;
    void flush() noexcept;
    bool is_readable() noexcept;
    bool is_writable() const noexcept;
    void look() noexcept;
    void finish() noexcept;
    bool tell_read();
    bool tell_writable();
    bool tell_gone();
    void tell_one();
    void tell_no_memory();
    void tell_ended_read(error_code const& error, std::size_t size);

    std::unique_ptr<tls_engine> engine_;
    channel* below_ = nullptr;
    boost::asio::mutable_buffer buffer_;  // of the pending read
    error_code send_error_;               // of the channel below
    reading reading_ = reading::nothing;
    bool read_cancelled_ = false;
    bool read_due_ = false;  // try the pending read at the next turn
    bool writing_ = false;   // a wait for writability is under way
    bool gone_ = false;      // a wait for the hang-up is under way
    bool gone_cancelled_ = false;
    bool user_waits_ = false;     // others go first at the next turn: the user's own was served last time
    bool user_turn_ = false;      // the user has requested it
    bool turn_ = false;           // a turn of the channel below is requested
    bool below_reading_ = false;  // waits for the channel below
    bool below_writing_ = false;
    bool below_gone_ = false;
    bool dry_ = false;         // the channel below had nothing when it was asked last, and has told nothing since
    bool below_told_ = false;  // it has told something since
    bool below_cancelled_ = false;
    bool raw_ = false;         // no plaintext is wanted any more
    bool finish_due_ = false;  // say close_notify when the handshake has ended
    bool fin_due_ = false;     // send FIN when all output was sent
    bool fin_sent_ = false;
    bool closed_ = false;
    bool held_ = false;  // this object holds a reference to its user
    bool awaits_handshake_ = false;
    bool clear_ = false;  // nothing of TLS has begun
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/tls/tls_channel.ipp>
#include <duet/detail/tls/tls_channel_waits.ipp>

#endif
