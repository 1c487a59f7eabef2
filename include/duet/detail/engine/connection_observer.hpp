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

/// Receives what passes between a connection and its channel, and the changes of state that follow: see
/// connection::observe(). Its functions are called on the connection's executor, from within the connection, and must
/// not use the session. It must outlive the connection, or be detached before.
class connection_observer
{
public:
    /// An operation was tried. would_block is a result like any other.
    virtual void on_call(channel_call what, error_code const& result, std::size_t size) noexcept = 0;

    virtual void on_wait_begun(channel_wait what) noexcept = 0;
    virtual void on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept = 0;

    /// The state has changed. `error` is the first terminal error, if there is one. A change is reported with the next
    /// call or the next end of a wait, at the latest with the close or the reset of the channel.
    virtual void on_state(lifecycle const& now, error_code const& error) noexcept = 0;

protected:
    ~connection_observer() = default;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
