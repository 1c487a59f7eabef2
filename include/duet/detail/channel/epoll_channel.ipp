// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_IPP
#define DUET_DETAIL_CHANNEL_EPOLL_CHANNEL_IPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <duet/detail/channel/epoll_channel.hpp>
#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/stream_traits.hpp>

#include <sys/socket.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL epoll_channel::~epoll_channel()
{
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

DUET_DECL bool epoll_channel::enter(reactor& home, int descriptor) noexcept
{
    if (!home.add(*this, descriptor))
        return false;
    reactor_ = &home;
    descriptor_ = descriptor;
    return true;
}

DUET_DECL int epoll_channel::leave() noexcept
{
    reactor_->remove(*this, descriptor_);
    reading_ = reading::nothing;
    writing_ = gone_ = gone_due_ = false;
    int const descriptor = std::exchange(descriptor_, -1);
    settle();
    return descriptor;
}

DUET_DECL int epoll_channel::give_away() noexcept
{
    reactor_->remove(*this, descriptor_);
    return std::exchange(descriptor_, -1);
}

// ---- Operations that never block ------------------------------------------------------------------------------------

DUET_DECL std::size_t epoll_channel::read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    auto const size = receive_some(descriptor_, buffer, error);
    if (size > 0)
        set_may_read(uncertain_ || size == buffer.size());
    else if (error == boost::asio::error::would_block)
        set_may_read(false);
    return size;
}

DUET_DECL std::size_t epoll_channel::take_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    if (may_read())
        return read_some(buffer, error);
    error = boost::asio::error::would_block;
    return 0;
}

DUET_DECL bool epoll_channel::readable_now() noexcept
{
    set_may_read(has_input());
    return may_read();
}

DUET_DECL std::size_t epoll_channel::write_some(boost::asio::const_buffer buffer, error_code& error) noexcept
{
    before_write();
    return send_some(descriptor_, buffer, error, fin_follows_ ? MSG_MORE : 0);
}

DUET_DECL std::size_t epoll_channel::write_some(
    std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept
{
    before_write();
    return send_some(descriptor_, buffers, error);
}

DUET_DECL std::size_t epoll_channel::write_some(piped_bytes const& bytes, error_code& error) noexcept
{
    before_write();
    return bytes.pipe->give(descriptor_, bytes.size, error);
}

DUET_DECL std::size_t epoll_channel::take_into(splice_pipe& pipe, error_code& error) noexcept
{
    if (!may_read())
        return 0;
    auto const size = pipe.take(descriptor_, error);
    if (error == boost::asio::error::would_block)
    {
        error.clear();
        set_may_read(uncertain_);  // splice(2) stops before an urgent byte; a read skips it
    }
    return size;
}

DUET_DECL std::size_t epoll_channel::discard(std::size_t limit, error_code& error) noexcept
{
    auto const size = discard_input(descriptor_, limit, error);
    set_may_read(error != boost::asio::error::would_block);
    return size;
}

DUET_DECL void epoll_channel::shutdown_send(error_code& error) noexcept
{
    if (::shutdown(descriptor_, SHUT_WR) != 0)
        error.assign(errno, boost::system::system_category());
}

DUET_DECL void epoll_channel::reset() noexcept
{
    if (made_here())
        reset_at_close(descriptor_);
    close();
}

DUET_DECL void epoll_channel::close() noexcept
{
    reactor_->remove(*this);
    if (descriptor_ >= 0)
        ::close(std::exchange(descriptor_, -1));
    // No more events will arrive, so pending waits end at the next turn.
    set_may_read(false);
    writing_ = false;
    if (reading_ != reading::nothing)
        cancel_read();
    if (gone_)
    {
        gone_due_ = true;
        take_turn();
    }
    settle();
}

// ---- Questions ------------------------------------------------------------------------------------------------------

DUET_DECL duet::tcp_snapshot epoll_channel::info(error_code& error) noexcept
{
    return query_tcp_info(descriptor_, error);
}

// ---- Waits ----------------------------------------------------------------------------------------------------------

DUET_DECL void epoll_channel::read(boost::asio::mutable_buffer buffer)
{
    into_ = buffer.data();
    room_ = static_cast<std::uint32_t>(std::min<std::size_t>(buffer.size(), std::numeric_limits<std::uint32_t>::max()));
    begin_read(reading::bytes);
}

DUET_DECL void epoll_channel::wait_readable(wake how)
{
    begin_read(how == wake::certain ? reading::certain : reading::likely);
}

inline void epoll_channel::begin_read(reading what) noexcept
{
    reading_ = what;
    read_cancelled_ = false;
    if (may_read())
        take_turn();
    else if (!waits())
        settle();
}

DUET_DECL void epoll_channel::wait_writable()
{
    writing_ = true;
    reactor_->ask(*this, true);
    settle();
}

DUET_DECL void epoll_channel::wait_gone()
{
    gone_ = true;
    gone_cancelled_ = false;
    if (std::exchange(gone_reported_, false))
        reactor_->ask(*this, false);
    settle();
}

DUET_DECL void epoll_channel::turn()
{
    user_turn_ = true;
    take_turn();
}

DUET_DECL void epoll_channel::cancel_read() noexcept
{
    read_cancelled_ = true;
    take_turn();
}

DUET_DECL void epoll_channel::cancel_gone() noexcept
{
    gone_due_ = gone_cancelled_ = true;
    take_turn();
}

inline void epoll_channel::take_turn() noexcept
{
    if (turn_)
        return;
    turn_ = true;
    reactor_->turn(*this);
    settle();
}

/// Pending waits are the new user's from now on, and so is the reference that they hold.
DUET_DECL void epoll_channel::set_user(channel_user& next) noexcept
{
    auto* const last = std::exchange(user_, &next);
    if (!waits())
        return;
    next.add_reference();
    last->remove_reference();
}

/// Keep the context busy and the user alive while anything waits for an event or a turn; release both otherwise.
inline void epoll_channel::settle() noexcept
{
    bool const busy = turn_ || writing_ || gone_ || reading_ != reading::nothing;
    if (busy == waits())
        return;
    if (busy)
    {
        user_->add_reference();
        reactor_->begin(*this);
    }
    else
    {
        reactor_->end(*this);
        user_->remove_reference();  // may be the last reference, and destroy this channel
    }
}

// ---- Callbacks of the reactor ---------------------------------------------------------------------------------------

/// RAII: on leaving a function that the reactor called, also by an exception from a handler, tell the reactor whether
/// there is still something to wait for. Keeps the user, and so the channel, alive until then.
struct epoll_channel::leave_event
{
    [[gnu::always_inline]] ~leave_event()
    {
        channel.reactor_->time().forget();
        if (channel.reading_ == reading::nothing || !channel.waits())
            channel.settle();
    }

    epoll_channel& channel;
    owner_ref<channel_user> keep;
};

DUET_DECL void epoll_channel::on_events(std::uint32_t events)
{
    bool const input = (events | EPOLLOUT) == (EPOLLIN | EPOLLOUT);
    if (reading_ != reading::likely || !input || writing_ || read_cancelled_)
        return on_more(events);
    set_may_read(true);
    // Nothing is called that could end a session, unless the read ends.
    if (error_code error; !user_->on_input(error, reactor_->time()))
        end_input(error);
}

/// A wait_readable(wake::likely) ends.
inline void epoll_channel::end_input(error_code const& error)
{
    leave_event const leave{*this, owner_ref{user_}};
    tell_read(error, 0);
}

/// Anything but input that may be taken in place.
[[gnu::noinline]] inline void epoll_channel::on_more(std::uint32_t events)
{
    leave_event const leave{*this, owner_ref{user_}};
    note(events);
    if (writing_ && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
    {
        writing_ = false;
        user_->on_writable({});
    }
    bool const gone = gone_ && (events & (EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0;
    if (reading_ == reading::nothing || !may_read())
        return gone ? tell_gone({}) : void();
    if (gone)
    {
        // Defer on_gone() to a turn: this function may call only one handler, and the read comes first.
        gone_due_ = true;
        take_turn();
    }
    if (!read_cancelled_)
        read_now();
}

DUET_DECL void epoll_channel::on_turn()
{
    leave_event const leave{*this, owner_ref{user_}};
    turn_ = false;
    // Call only one handler per turn; the rest gets the next turn. The user's turn and the others alternate
    // (user_waits_), so that neither keeps the other from running.
    bool const reads = reading_ != reading::nothing;
    bool const waits_end = gone_due_ && gone_;
    bool const others_first = user_waits_;
    user_waits_ = false;
    if (user_turn_ && !others_first)
    {
        user_turn_ = false;
        user_waits_ = reads || waits_end;
        if (user_waits_)
            take_turn();
        return user_->on_turn();
    }
    if (std::exchange(gone_due_, false) && gone_)
    {
        if (reads || user_turn_)
            take_turn();
        bool const ended = gone_cancelled_ || descriptor_ < 0;
        return tell_gone(ended ? error_code{boost::asio::error::operation_aborted} : error_code{});
    }
    if (user_turn_)
        take_turn();
    if (!reads)
        return;
    if (read_cancelled_)
        tell_read(boost::asio::error::operation_aborted, 0);
    else
        read_now();
}

/// Complete the pending read, unless it would block.
inline void epoll_channel::read_now()
{
    error_code error;
    if (reading_ == reading::likely)
        return user_->on_input(error, reactor_->time()) ? void() : tell_read(error, 0);
    if (reading_ == reading::certain)
        return readable_now() ? tell_read({}, 0) : void();  // the bytes may have been read since the event
    auto const size = read_some({into_, room_}, error);
    if (size > 0 || error != boost::asio::error::would_block)
        tell_read(error, size);
}

inline void epoll_channel::tell_read(error_code const& error, std::size_t size)
{
    reading_ = reading::nothing;
    user_->on_read(error, size);
}

inline void epoll_channel::tell_gone(error_code error)
{
    gone_ = false;
    user_->on_gone(error);
}

DUET_DECL void epoll_channel::on_near(unsigned distance) noexcept
{
    distance == 3 ? prefetch(user_, 64) : user_->on_near(distance);  // it knows how much of it is needed
}

DUET_DECL void epoll_channel::on_shutdown() noexcept
{
    owner_ref<channel_user> const keep{user_};
    user_->remove_reference();  // the reference that settle() took
    turn_ = user_turn_ = writing_ = gone_ = gone_due_ = false;
    reading_ = reading::nothing;
    user_->abandon();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
