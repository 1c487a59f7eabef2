// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_HPP
#define DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/channel/reactor.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// A TCP socket in the reactor of its context: no operations of Asio's, but attempts, and events that tell when to try
/// again.
///
/// The reactor tells of changes alone. So the channel remembers what is true: a read that gets less than it has room
/// for has emptied the socket, and the next event tells when there is more. That saves the read which finds nothing.
class epoll_channel final : public channel, private watched
{
public:
    explicit epoll_channel(channel_user& user) noexcept : channel{{true, true, true}, &user} {}

    DUET_DECL ~epoll_channel();

    /// Put a connected socket, non-blocking, into the reactor. The descriptor is the channel's from then on, unless
    /// this fails (false: no memory).
    DUET_DECL bool enter(reactor& home, int descriptor) noexcept;

    /// Take the socket out of the reactor: what is under way ends without a word, and the user begins it again on
    /// another channel.
    DUET_DECL int leave() noexcept;

    /// -1 where it has no socket, or no longer.
    int descriptor() const noexcept { return descriptor_; }

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
    bool has_failed() noexcept override;
    bool has_hung_up() noexcept override;
    error_code take_failure() noexcept override;
    std::size_t unacknowledged() noexcept override;
    void set_dead_peer_timeout(deadlines::duration timeout) noexcept override;
    duet::tcp_info info(error_code& error) noexcept override;

    void read(boost::asio::mutable_buffer buffer) override;
    void wait_readable(wake how) override;
    void wait_writable() override;
    void wait_gone() override;
    void turn() override;
    void cancel_read() noexcept override;
    void cancel_gone() noexcept override;

    void set_user(channel_user& next) noexcept override;

private:
    struct leave_event;

    /// What on_read() is to tell.
    enum class reading : std::uint8_t
    {
        nothing,
        bytes,    ///< read()
        certain,  ///< wait_readable()
        likely,
    };

    void on_events(std::uint32_t events) override;
    void on_turn() override;
    void on_shutdown() noexcept override;

    void begin_read(reading what) noexcept;
    void read_now();
    void tell_read(error_code const& error, std::size_t size);
    void tell_gone(error_code error);
    void take_turn() noexcept;
    void settle() noexcept;

    reactor* reactor_ = nullptr;
    boost::asio::mutable_buffer buffer_;  // of the read under way
    int descriptor_ = -1;
    reading reading_ = reading::nothing;
    bool read_cancelled_ = false;
    bool writing_ = false;   // a wait for writability is under way
    bool gone_ = false;      // a wait for the hang-up is under way
    bool gone_due_ = false;  // on_gone() is to be told at the next turn
    bool gone_cancelled_ = false;
    bool turn_ = false;        // a turn of the reactor is to come
    bool user_turn_ = false;   // ... which the user has asked for
    bool user_waits_ = false;  // ... and which others go before
    bool uncertain_ = false;   // a read that got less than it had room for may not have emptied the socket
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/channel/epoll_channel.ipp>
#endif

#endif
