// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORDING_WATCHER_HPP
#define DUET_DETAIL_RECORDING_RECORDING_WATCHER_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/session_watcher.hpp>
#include <duet/detail/recording/recording.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Record this connection from now on. `how` it came to be known: the name of the first event. Call it on the
/// connection's executor. Throws std::bad_alloc.
DUET_DECL void record(
    std::shared_ptr<recording> const& into, connection& one, char const* how, trace_session described);

/// Has the sessions of acceptors and connectors recorded, and the attempts to connect.
class recording_watcher final : public session_watcher
{
public:
    explicit recording_watcher(std::shared_ptr<recording> into) noexcept : into_{std::move(into)} {}

    DUET_DECL void on_accepted(connection& made) noexcept override;
    DUET_DECL void on_adopted(connection& made) noexcept override;
    DUET_DECL std::uint64_t on_call(char const* name, std::string const& target) noexcept override;
    DUET_DECL void on_result(
        std::uint64_t call, char const* name, std::string const& target, error_code const& error) noexcept override;
    DUET_DECL std::uint32_t on_attempt(std::string const& remote) noexcept override;
    DUET_DECL void on_attempt_from(
        std::uint32_t session, std::string const& local, std::string const& remote) noexcept override;
    DUET_DECL void on_attempt_failed(std::uint32_t session, error_code const& error) noexcept override;
    DUET_DECL void on_connected(std::uint32_t session, connection& made) noexcept override;

private:
    void record_as(char const* how, connection& made) noexcept;

    std::shared_ptr<recording> into_;
};

/// The environment variable DUET_TRACE names a file: then every acceptor and every connector of this program is watched
/// from its beginning, and so is every session that it makes of a socket; the trace is written to that file. Null if
/// the variable is not set, or the file cannot be written; then a line on standard error says so.
DUET_DECL std::shared_ptr<session_watcher> const& program_watcher() noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/recording/recording_watcher.ipp>
#endif

#endif
