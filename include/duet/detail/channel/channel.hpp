// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_CHANNEL_HPP
#define DUET_DETAIL_CHANNEL_CHANNEL_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// What a channel tells its user, the connection. None of these is called from within a function of the channel, and
/// the channel keeps its user alive until they return. Each may end or destroy sessions.
class channel_user : public operation_owner
{
public:
    /// The end of read() or wait_readable(). `size` bytes are in the buffer, and it is 0 for wait_readable(). An error:
    /// eof is the peer's FIN; operation_aborted: cancelled, or the channel was closed.
    virtual void on_read(error_code const& error, std::size_t size) = 0;

    /// The end of wait_writable(): a write may take something, or fails now.
    virtual void on_writable(error_code error) = 0;

    /// The end of wait_gone(): the connection may have hung up. It need not have: ask has_hung_up().
    virtual void on_gone(error_code error) = 0;

    /// The turn that turn() asked for.
    virtual void on_turn() = 0;

protected:
    ~channel_user() = default;
};

/// How a connection reaches its socket, or what is in the place of one: it tries operations, which never wait, and is
/// told when to try again.
///
/// A wait (read, wait_readable, wait_writable, wait_gone) ends by exactly one call of its user's function, later and
/// from the execution context. There is one of each kind at a time, and read() and wait_readable() are one kind. It
/// may throw where there is no memory for it; then it has not begun. While one is under way, the context has work and
/// the user stays alive. When the channel is closed or reset, reads and waits for the hang-up end with
/// operation_aborted; the wait for writability then may end or not.
///
/// Everything happens on the executor of the connection. test/channel/channel.cpp tests each channel against this text.
class channel
{
public:
    /// What this channel is able to do.
    struct features
    {
        bool half_close = true;   ///< shutdown_send() ends one direction alone
        bool counts_fin = false;  ///< the FIN is among what unacknowledged() counts
        bool tells_hang_up =
            true;  ///< wait_gone() ends when the connection hangs up, and need not be helped by polling
    };

    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;

    features const& able() const noexcept { return able_; }

    /// A read may find something at once, as far as the channel knows: ask before read_some() and readable_now().
    bool may_read() const noexcept { return may_read_; }

    // ---- Operations that are tried. --------------------------------------------------------------------------------

    /// Read what is there. would_block: nothing is. 0 and eof is the peer's FIN. The buffer is not empty.
    virtual std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept = 0;

    /// A read would not wait. False: it may have to.
    virtual bool readable_now() noexcept = 0;

    /// Write as much as goes. would_block or try_again: nothing.
    virtual std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept = 0;
    virtual std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept = 0;
    virtual std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept = 0;

    /// Move what is there into a pipe. 0 without an error: a read tells what there is.
    virtual std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept = 0;

    /// Read and throw away up to `limit` bytes. 0 without an error is the peer's FIN; would_block: nothing was there.
    virtual std::size_t discard(std::size_t limit, error_code& error) noexcept = 0;

    /// End our direction: FIN.
    virtual void shutdown_send(error_code& error) noexcept = 0;

    /// End both at once: RST where there is such a thing.
    virtual void reset() noexcept = 0;

    /// The kernel's plain close. It ends this process's part alone.
    virtual void close() noexcept = 0;

    // ---- Questions. ------------------------------------------------------------------------------------------------

    /// A read would not wait. Unlike readable_now() it asks the system.
    virtual bool has_input() noexcept = 0;

    /// The connection is broken. Consumes nothing.
    virtual bool has_failed() noexcept = 0;

    /// Nothing will come or go any more.
    virtual bool has_hung_up() noexcept = 0;

    /// The error of a broken connection. It may be told once only.
    virtual error_code take_failure() noexcept = 0;

    /// Bytes sent that the peer has not acknowledged. 0 where that is not known.
    virtual std::size_t unacknowledged() noexcept = 0;

    virtual void set_dead_peer_timeout(deadlines::duration timeout) noexcept = 0;

    virtual duet::tcp_info info(error_code& error) noexcept = 0;

    // ---- Waits. ----------------------------------------------------------------------------------------------------

    /// Read at least one byte into `buffer`, which stays until on_read().
    virtual void read(boost::asio::mutable_buffer buffer) = 0;

    enum class wake : std::uint8_t
    {
        certain,  ///< a read will not wait then
        likely,   ///< it may have to: the user tries it at once anyway
    };

    /// Told by on_read() when a read does not wait.
    virtual void wait_readable(wake how) = 0;
    virtual void wait_writable() = 0;
    virtual void wait_gone() = 0;

    /// on_turn() soon, behind what is already to be told. Asked for several times, it is told once.
    virtual void turn() = 0;

    /// End read() or wait_readable() with operation_aborted. Where all waits are cancelled at once, the others are told
    /// the same, and are begun again by the user.
    virtual void cancel_read() noexcept = 0;

    /// The same for wait_gone().
    virtual void cancel_gone() noexcept = 0;

protected:
    explicit channel(features const& able) noexcept : able_{able} {}

    ~channel() = default;

    bool may_read_ = false;

private:
    features able_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
