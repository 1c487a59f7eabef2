// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_WATCHER_HPP
#define DUET_DETAIL_ENGINE_SESSION_WATCHER_HPP

#include <cstdint>
#include <string>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class connection;

/// Is told of the sessions that acceptors and connectors make, and the program itself, and of how connecting goes.
/// Called on the executor of the acceptor or the connector, or where the program makes the session; several of them may
/// share one watcher, on several threads.
class session_watcher
{
public:
    session_watcher() = default;
    session_watcher(session_watcher const&) = delete;
    session_watcher& operator=(session_watcher const&) = delete;
    virtual ~session_watcher() = default;

    /// An acceptor hands out this session.
    virtual void on_accepted(connection& made) noexcept = 0;

    /// The program has made this session of a socket of its own.
    virtual void on_adopted(connection& made) noexcept = 0;

    /// An operation that belongs to no session begins: "connect" or "resolve", and for what. Returns its number.
    virtual std::uint64_t on_call(char const* name, std::string const& target) noexcept = 0;

    /// It has ended. Without a call: 0.
    virtual void on_result(
        std::uint64_t call, char const* name, std::string const& target, error_code const& error) noexcept = 0;

    /// An attempt to connect begins. Returns the number of the session that it may become.
    virtual std::uint32_t on_attempt(std::string const& remote) noexcept = 0;

    /// Its socket has a port.
    virtual void on_attempt_from(
        std::uint32_t session, std::string const& local, std::string const& remote) noexcept = 0;

    virtual void on_attempt_failed(std::uint32_t session, error_code const& error) noexcept = 0;
    virtual void on_connected(std::uint32_t session, connection& made) noexcept = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
