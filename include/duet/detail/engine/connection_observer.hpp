// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_OBSERVER_HPP
#define DUET_DETAIL_ENGINE_CONNECTION_OBSERVER_HPP

#include <cstddef>
#include <cstdint>

#include <duet/error.hpp>
#include <duet/lifecycle.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a connection does to its channel.
enum class channel_call : std::uint8_t
{
    read_some,
    write_some,
    take_into,
    discard,
    shutdown_send,
    reset,
    close,
    cancel_read,
    cancel_gone,
};

/// What a connection waits for at its channel.
enum class channel_wait : std::uint8_t
{
    read,
    readable,
    writable,
    gone,
    turn,
};

/// Receives what the program does with a session, what passes between its connection and its channel, and the changes
/// of state that follow: see connection::observe(). Its functions are called on the connection's executor, from within
/// the connection, and must not use the session.
class connection_observer
{
public:
    connection_observer() = default;
    connection_observer(connection_observer const&) = delete;
    connection_observer& operator=(connection_observer const&) = delete;
    virtual ~connection_observer() = default;

    /// The program has called an operation, with a buffer of `size` bytes. Returns what stands for the operation until
    /// it has completed: `name`, or a name of the observer's own that stays valid as long as the observer.
    virtual char const* on_operation(char const* name, std::size_t size) noexcept = 0;

    /// The operation for which `name` stands has completed, with the result that the program is told. False: `name` is
    /// none of this observer's. True: `name` is the operation's again.
    virtual bool on_result(char const*& name, error_code const& error, std::size_t size) noexcept = 0;

    /// An operation of the channel was tried. would_block is a result like any other.
    virtual void on_call(channel_call what, error_code const& result, std::size_t size) noexcept = 0;

    virtual void on_wait_begun(channel_wait what) noexcept = 0;
    virtual void on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept = 0;

    /// The state has changed. `error` is the first terminal error, if there is one. A change is reported with the next
    /// call or the next end of a wait, at the latest with the close or the reset of the channel.
    virtual void on_state(lifecycle const& now, error_code const& error) noexcept = 0;

    /// What was told last stands by itself: the program goes on, or may. Not called between an operation, the write to
    /// the channel that it makes at once, and its result.
    virtual void on_leave() noexcept {}

    /// A call of another function of these is near: the observer's first lines are in the cache, it may prefetch more.
    virtual void on_near() noexcept {}
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
