// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_CHANNEL_HPP
#define DUET_DETAIL_CHANNEL_CHANNEL_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/detail/time/coarse_clock.hpp>
#include <duet/detail/time/turn_time.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The callbacks from a channel to its user, the connection. A channel never calls one from within one of its own
/// functions, and it keeps its user alive until the callback returns. Each callback may end or destroy sessions.
class channel_user : public operation_owner
{
public:
    /// read() or wait_readable() has ended. `size` bytes are in the buffer; after wait_readable() it is 0. Errors: eof
    /// means the peer's FIN; operation_aborted means that the operation was cancelled or the channel was closed.
    virtual void on_read(error_code const& error, std::size_t size) = 0;

    /// There may be input, for a wait_readable(wake::likely). True: what there was has been taken, and the wait goes
    /// on. False: it ends, and on_read() with this error is next. A user that returns true has called no handler.
    virtual bool on_input([[maybe_unused]] error_code& error, [[maybe_unused]] turn_time& time) noexcept
    {
        return false;
    }

    /// wait_writable() has ended: a write may now accept bytes, or fails at once.
    virtual void on_writable(error_code error) = 0;

    /// wait_gone() has ended: the connection may have hung up. Ask has_hung_up(), because it need not have.
    virtual void on_gone(error_code error) = 0;

    /// The turn that turn() requested.
    virtual void on_turn() = 0;

    /// A call of another function of these is near: 2, then 1. See watched::on_near().
    virtual void on_near([[maybe_unused]] unsigned distance) noexcept {}

protected:
    ~channel_user() = default;
};

/// The access of a connection to its socket, or to whatever replaces a socket. The connection tries operations, which
/// never block, and the channel notifies it when to try again.
///
/// A wait (read, wait_readable, wait_writable, wait_gone) ends with exactly one call of the user's function, later and
/// from the execution context. At most one wait of each kind may be under way; read() and wait_readable() are the same
/// kind. If starting a wait throws, for lack of memory, the wait has not begun. While a wait is under way, the context
/// has work and the user stays alive. When the channel is closed or reset, reads and waits for the hang-up end with
/// operation_aborted; a wait for writability may or may not end.
///
/// All functions are used on the connection's executor. test/channel/channel.cpp tests each channel against this
/// description.
class channel
{
public:
    /// The capabilities of this channel.
    struct features
    {
        bool half_close = true;     ///< shutdown_send() ends one direction only
        bool counts_fin = false;    ///< unacknowledged() counts the FIN, too
        bool tells_hang_up = true;  ///< wait_gone() ends when the connection hangs up, without polling
        bool has_info = false;      ///< info() tells when the peer was last heard of
        bool takes = false;         ///< take_some() reads what wait_readable() has told of
    };

    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;

    features const& able() const noexcept { return able_; }

    /// Call another user from now on. Waits that are pending may still call the old one.
    virtual void set_user(channel_user& next) noexcept { user_ = &next; }

    /// The channel that a user of this channel has to use when it changes to `next`.
    virtual channel& followed_by(channel& next) noexcept { return next; }

    /// False in a child that fork() made after the channel. The parent then has the same connection: the child may give
    /// up its copy of the descriptor, and nothing else.
    bool made_here() const noexcept { return maker_ == fork_watch::get().process(); }

    /// True if a read that is tried now may find something, as far as the channel knows. Check this before calling
    /// read_some() or readable_now(). Always false for Asio's channel, because Asio tries reads itself.
    bool may_read() const noexcept { return may_read_; }

    /// True if the peer's FIN has come, behind whatever can still be read: no read blocks any more.
    bool input_ends() const noexcept { return input_ends_; }

    // ---- Operations that never block. -------------------------------------------------------------------------------

    /// Read the bytes that are available. would_block: there are none. 0 and eof: the peer's FIN. The buffer must not
    /// be empty.
    virtual std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept = 0;

    /// As read_some(), for a channel on top of this one: try it even where Asio would. A channel that knows that there
    /// is nothing says would_block.
    virtual std::size_t take_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
    {
        return read_some(buffer, error);
    }

    /// True if a read would not block. False: it may block.
    virtual bool readable_now() noexcept = 0;

    /// Write as many bytes as the channel accepts. would_block or try_again: it accepted none.
    virtual std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept = 0;
    virtual std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept = 0;
    virtual std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept = 0;

    /// Move the available bytes into a pipe. If it returns 0 without an error, an ordinary read finds out why.
    virtual std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept = 0;

    /// Read and throw away up to `limit` bytes. 0 without an error is the peer's FIN; would_block: nothing was there.
    virtual std::size_t discard(std::size_t limit, error_code& error) noexcept = 0;

    /// True: shutdown_send() follows the next writes at once, so the system may send the FIN with their last bytes.
    virtual void set_fin_follows(bool) noexcept {}

    /// End our direction: send FIN.
    virtual void shutdown_send(error_code& error) noexcept = 0;

    /// End both directions at once, with RST where the transport has one. As close() unless made_here().
    virtual void reset() noexcept = 0;

    /// Close the descriptor as close(2) does. Other processes that share the socket keep their connection.
    virtual void close() noexcept = 0;

    // ---- Questions. ------------------------------------------------------------------------------------------------

    /// True if a read would not block. Unlike readable_now(), this always asks the system.
    virtual bool has_input() noexcept = 0;

    /// True if the connection has failed. Does not consume the pending error.
    virtual bool has_failed() noexcept = 0;

    /// True if neither direction can carry any more bytes.
    virtual bool has_hung_up() noexcept = 0;

    /// The error of a failed connection. The system may report it only once.
    virtual error_code take_failure() noexcept = 0;

    /// Bytes sent that the peer has not acknowledged. 0 if the system cannot tell.
    virtual std::size_t unacknowledged() noexcept = 0;

    virtual void set_dead_peer_timeout(deadlines::duration timeout) noexcept = 0;

    /// The socket does not have TCP_NODELAY yet: set it before the second write. It makes no difference to the first:
    /// Nagle's algorithm holds a small segment back only while another one is unacknowledged.
    virtual void set_no_delay_late() noexcept { writes_until_no_delay_ = 2; }

    /// Set it now, if it is still to come.
    virtual void set_no_delay_now() noexcept {}

    virtual duet::tcp_snapshot info(error_code& error) noexcept = 0;

    // ---- Waits. ----------------------------------------------------------------------------------------------------

    /// Read at least one byte into `buffer`, which must stay valid until on_read().
    virtual void read(boost::asio::mutable_buffer buffer) = 0;

    enum class wake : std::uint8_t
    {
        certain,  ///< on_read() means that a read will not block
        likely,   ///< a read may still block: for a user that tries it at once anyway
    };

    /// Calls on_read() when a read does not block.
    virtual void wait_readable(wake how) = 0;
    virtual void wait_writable() = 0;
    virtual void wait_gone() = 0;

    /// Request a call of on_turn() soon, after the notifications that are already queued. Several requests before that
    /// call result in one call.
    virtual void turn() = 0;

    /// End read() or wait_readable() with operation_aborted. Some channels can cancel only all waits at once: the other
    /// waits then end with operation_aborted, too, and the user restarts them.
    virtual void cancel_read() noexcept = 0;

    /// As cancel_read(), but for wait_gone().
    virtual void cancel_gone() noexcept = 0;

protected:
    explicit channel(features const& able, channel_user* user = nullptr) noexcept
        : user_{user}, able_{able}, maker_{fork_watch::get().process()}
    {
    }

    ~channel() = default;

    void able_as(channel const& other) noexcept { able_ = other.able_; }

    void set_may_read(bool may) noexcept
    {
        may_read_ = may;
        if (above_)
            above_->may_read_ = may;
    }

    void set_input_ends(bool ends) noexcept
    {
        input_ends_ = ends;
        if (above_)
            above_->input_ends_ = ends;
    }

    /// This channel passes on what `other` reads, so their may_read() and input_ends() are the same from now on.
    void reads_from(channel& other) noexcept
    {
        other.above_ = this;
        may_read_ = other.may_read_;
        input_ends_ = other.input_ends_;
    }

    /// Call this before each write. True: TCP_NODELAY is to be set now.
    [[gnu::always_inline]] bool no_delay_is_due() noexcept
    {
        return writes_until_no_delay_ != 0 && --writes_until_no_delay_ == 0;
    }

    /// True if it was still to come.
    bool take_no_delay() noexcept { return std::exchange(writes_until_no_delay_, std::uint8_t{0}) != 0; }

    channel_user* user_;

private:
    channel* above_ = nullptr;
    bool may_read_ = false;
    bool input_ends_ = false;
    std::uint8_t writes_until_no_delay_ = 0;
    features able_;
    ::pid_t maker_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
