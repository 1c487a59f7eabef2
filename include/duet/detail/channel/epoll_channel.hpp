// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_HPP
#define DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/channel/connecting_socket.hpp>
#include <duet/detail/channel/reactor.hpp>
#include <duet/detail/socket/socket_calls.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A TCP socket in the reactor of its context. Instead of Asio's operations it uses non-blocking system calls; the
/// reactor's events say when to try again.
///
/// The reactor reports changes only (edge-triggered), so the channel remembers the current state. A read that returns
/// fewer bytes than its buffer can hold has emptied the socket, and the next event reports when there is more. This
/// saves the extra read that would fail with EAGAIN.
class epoll_channel final : public channel, private watched
{
public:
    explicit epoll_channel(channel_user& user) noexcept : channel{{true, true, true, true, true}, &user} {}

    DUET_DECL ~epoll_channel();

    /// The session of this channel counts as one of this reactor's, of which there may be none (null), until
    /// leave_home(): whether or not the socket enters it.
    void set_home(reactor* home) noexcept
    {
        reactor_ = home;
        counted_ = home != nullptr;
        if (home)
            home->count(1);
    }

    void leave_home() noexcept
    {
        if (!counted_)
            return;
        counted_ = false;
        reactor_->count(-1);
    }

    /// Register a connected, non-blocking socket with the reactor. The channel then owns the descriptor. False: no
    /// memory; the caller still owns the descriptor.
    DUET_DECL bool enter(reactor& home, int descriptor) noexcept;

    /// Take over a socket that has connected, with its place in the reactor.
    void enter(connecting_socket& from) noexcept
    {
        reactor_ = &from.home();
        descriptor_ = from.hand_over(*this);
        note(from.events());
    }

    /// Remove the socket from the reactor and return its descriptor. Pending waits end without a callback; the user
    /// starts them again on another channel.
    DUET_DECL int leave() noexcept;

    /// As leave(), but pending waits end when the channel is closed, which must come next.
    DUET_DECL int give_away() noexcept;

    /// -1 if the channel has no socket, or no longer has one.
    int descriptor() const noexcept { return descriptor_; }

    std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;
    std::size_t take_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;
    bool readable_now() noexcept override;
    std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept override;
    std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept override;
    std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept override;
    std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept override;
    std::size_t discard(std::size_t limit, error_code& error) noexcept override;
    void set_fin_follows(bool follows) noexcept override { fin_follows_ = follows; }
    void shutdown_send(error_code& error) noexcept override;
    void reset() noexcept override;
    void close() noexcept override;

    bool has_input() noexcept override { return detail::has_input(descriptor_); }
    bool has_failed() noexcept override { return detail::has_failed(descriptor_); }
    bool has_hung_up() noexcept override { return detail::has_hung_up(descriptor_); }
    error_code take_failure() noexcept override { return detail::take_failure(descriptor_); }
    std::size_t unacknowledged() noexcept override { return detail::unacknowledged(descriptor_); }
    void set_dead_peer_timeout(deadlines::duration timeout) noexcept override
    {
        detail::set_dead_peer_timeout(descriptor_, timeout);
    }
    void set_no_delay_now() noexcept override
    {
        if (take_no_delay())
            set_no_delay(descriptor_);
    }
    duet::tcp_snapshot info(error_code& error) noexcept override;

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

    /// Which operation the next on_read() completes.
    enum class reading : std::uint8_t
    {
        nothing,
        bytes,    ///< read()
        certain,  ///< wait_readable()
        likely,
    };

    void on_events(std::uint32_t events) override;
    void on_turn() override;
    void on_near(unsigned distance) noexcept override;
    void on_shutdown() noexcept override;

    [[gnu::always_inline]] void before_write() noexcept
    {
        if (no_delay_is_due()) [[unlikely]]
            set_no_delay(descriptor_);
    }

    void begin_read(reading what) noexcept;
    void on_more(std::uint32_t events);
    [[gnu::cold]] void end_input(error_code const& error);
    void read_now();
    void tell_read(error_code const& error, std::size_t size);
    void tell_gone(error_code error);
    void take_turn() noexcept;
    void settle() noexcept;

    /// Events report changes. After a short read the socket holds no more bytes, but the peer's FIN may have arrived
    /// with them, or the read may have stopped before an urgent byte.
    void note(std::uint32_t events) noexcept
    {
        if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            set_may_read(true);
        if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0) [[likely]]
            return;
        uncertain_ = true;
        if ((events & (EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0)
            gone_reported_ = true;
        // A reset ends both directions, too, but what it overtakes must not wait for a FIN.
        if ((events & (EPOLLRDHUP | EPOLLERR)) != 0)
            set_input_ends((events & EPOLLERR) == 0);
    }

    reactor* reactor_ = nullptr;
    void* into_ = nullptr;    // the buffer of the pending read,
    std::uint32_t room_ = 0;  // and its size
    int descriptor_ = -1;
    reading reading_ = reading::nothing;
    bool writing_ = false;         // a wait for writability is under way
    bool gone_ = false;            // a wait for the hang-up is under way
    bool turn_ = false;            // the reactor has a turn queued for this channel
    bool gone_due_ = false;        // call on_gone() at the next turn
    bool gone_reported_ = false;   // what may end a wait for the hang-up was reported, and will not be again
    bool uncertain_ = false;       // a short read does not prove that the socket is empty
    bool user_turn_ : 1 = false;   // the user has requested it with turn()
    bool user_waits_ : 1 = false;  // others go first at the next turn: the user's own was served last time
    bool read_cancelled_ : 1 = false;
    bool gone_cancelled_ : 1 = false;
    bool fin_follows_ : 1 = false;
    bool counted_ : 1 = false;  // as a session of its reactor
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/channel/epoll_channel.ipp>
#endif

#endif
