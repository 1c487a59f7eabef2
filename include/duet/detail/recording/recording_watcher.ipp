// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORDING_WATCHER_IPP
#define DUET_DETAIL_RECORDING_RECORDING_WATCHER_IPP

#include <cstdio>
#include <cstdlib>
#include <exception>

#include <duet/detail/recording/recording_watcher.hpp>
#include <duet/detail/recording/session_recorder.hpp>

#if defined(__linux__)
#include <errno.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL void record(std::shared_ptr<recording> const& into, connection& one, char const* how, trace_session described)
{
    if (into->ended())
        return;
    described.client = one.is_client();
    described.local = one.describe_local();
    described.remote = one.describe_peer();
    auto number = described.number;
    if (number == 0)
        number = into->add(std::move(described));
    else
        into->update(described);
    if (number == 0)
        return;
    auto const recorder = session_recorder::make(into, one, number);
    one.observe(recorder);
    recorder->begin(how);
}

DUET_DECL void recording_watcher::on_accepted(connection& made) noexcept
{
    record_as("accept", made);
}

DUET_DECL void recording_watcher::on_adopted(connection& made) noexcept
{
    record_as("attach", made);
}

inline void recording_watcher::record_as(char const* how, connection& made) noexcept
try
{
    record(into_, made, how, {});
}
catch (std::exception const&)
{
    into_->lose();
}

DUET_DECL std::uint64_t recording_watcher::on_call(char const* name, std::string const& target) noexcept
try
{
    return into_->put_now(trace_kind::call, name, target);
}
catch (std::exception const&)
{
    into_->lose();
    return 0;
}

DUET_DECL void recording_watcher::on_result(
    std::uint64_t call, char const* name, std::string const& target, error_code const& error) noexcept
try
{
    into_->put_now(trace_kind::result, name, target, 0, call, error);
}
catch (std::exception const&)
{
    into_->lose();
}

DUET_DECL std::uint32_t recording_watcher::on_attempt(std::string const& remote) noexcept
try
{
    if (into_->ended())
        return 0;
    auto const number = into_->add({0, true, {}, remote, {}});
    if (number != 0)
        into_->put_now(trace_kind::call, "connect", {}, number);
    return number;
}
catch (std::exception const&)
{
    into_->lose();
    return 0;
}

DUET_DECL void recording_watcher::on_attempt_from(
    std::uint32_t session, std::string const& local, std::string const& remote) noexcept
try
{
    if (session != 0)
        into_->update({session, true, local, remote, {}});
}
catch (std::exception const&)
{
    into_->lose();
}

DUET_DECL void recording_watcher::on_attempt_failed(std::uint32_t session, error_code const& error) noexcept
{
    if (session != 0)
        into_->put_now(trace_kind::result, "connect", {}, session, 0, error);
}

DUET_DECL void recording_watcher::on_connected(std::uint32_t session, connection& made) noexcept
try
{
    if (session == 0)
        return;
    into_->put_now(trace_kind::result, "connect", {}, session);
    trace_session described;
    described.number = session;
    record(into_, made, "connect", std::move(described));
}
catch (std::exception const&)
{
    into_->lose();
}

DUET_DECL std::shared_ptr<session_watcher> const& program_watcher() noexcept
{
    static std::shared_ptr<session_watcher> const result = []() -> std::shared_ptr<session_watcher>
    {
        auto const* const file = std::getenv("DUET_TRACE");
        if (file == nullptr || *file == '\0')
            return {};
        try
        {
            trace_options options;
            options.file = file;
#if defined(__GLIBC__)
            options.program = program_invocation_short_name;
#endif
            // Nobody else holds it for as long as the program runs: its file is complete when this object goes.
            struct closed_at_exit
            {
                std::shared_ptr<recording> held;
                ~closed_at_exit() { held->end(); }
            };
            static closed_at_exit const kept{std::make_shared<recording>(std::move(options))};
            return std::make_shared<recording_watcher>(kept.held);
        }
        catch (std::exception const& error)
        {
            std::fprintf(stderr, "duet: DUET_TRACE: %s\n", error.what());
            return {};
        }
    }();
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
