// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_SESSION_RECORDER_IPP
#define DUET_DETAIL_RECORDING_SESSION_RECORDER_IPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/recording/recording.hpp>
#include <duet/detail/recording/session_recorder.hpp>
#include <duet/post_mortem.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL session_recorder::session_recorder(std::shared_ptr<recording> to, connection& of, std::uint32_t number)
    : to_{to.get()}, connection_{&of}, clock_{of.executor()}, ring_{to->options().last_events}, number_{number},
      recording_{std::move(to)}
{
}

DUET_DECL std::shared_ptr<session_recorder> session_recorder::make(
    std::shared_ptr<recording> to, connection& of, std::uint32_t number)
{
    auto result = std::make_shared<session_recorder>(std::move(to), of, number);
    result->self_ = result;
    return result;
}

inline std::int64_t session_recorder::now() const noexcept
{
    return to_->time_of(clock_.now());
}

/// Of now.
inline trace_record session_recorder::event(trace_kind kind, char const* name, std::uint64_t bytes) const noexcept
{
    trace_record result;
    result.time = now();
    result.name = name;
    result.bytes = bytes;
    result.session = number_;
    result.states = packed_states{connection_->life()};
    result.kind = kind;
    return result;
}

inline std::uint64_t session_recorder::keep(trace_record const& one, std::uint64_t call) noexcept
{
    return ring_ ? ring_.put(one, call, nullptr) : to_->put(one, call);
}

/// `call`: what it is the call of, or null.
inline void session_recorder::hold(trace_record const& one, pending_call* call) noexcept
{
    if (to_->ended())
        return;
    held_ = one;
    held_call_ = call;
}

/// What was held has no successor.
DUET_DECL void session_recorder::release_held() noexcept
{
    auto const number = keep(held_, 0);
    held_.more = nothing;
    if (held_call_)
        held_call_->number = number;
}

/// Let an event that has transferred so many bytes follow what is held, if it may. Without: keep what is held by
/// itself.
inline bool session_recorder::follows(bool is_next, std::size_t size) noexcept
{
    if (is_next && held_.bytes == size && held_.states == packed_states{connection_->life()} &&
        !to_->kernel_may_be_asked(held_.time)) [[likely]]
    {
        ++held_.more;
        return true;
    }
    release();
    return false;
}

/// An event by itself, with what the kernel says.
DUET_DECL std::uint64_t session_recorder::put(trace_kind kind, char const* name, std::uint64_t bytes,
    error_code const& error, std::uint64_t call, std::string const* text) noexcept
try
{
    release();
    if (to_->ended())
        return 0;
    auto record = event(kind, name, bytes);
    record.error = to_->place_of(error);
    std::optional<tcp_snapshot> kernel;
    if (!ended_ && to_->may_ask_kernel(record.time))
    {
        error_code unknown;
        kernel = connection_->info(unknown);
        if (unknown)
            kernel.reset();
    }
    auto const* const known = kernel ? &*kernel : nullptr;
    return ring_ ? ring_.put(record, call, known) : to_->put(record, call, known, text);
}
catch (std::exception const&)  // no memory for the error
{
    to_->lose();
    return 0;
}

/// Null: there is no memory for it.
DUET_DECL session_recorder::pending_call* session_recorder::another_place() noexcept
try
{
    for (auto& each : more_calls_)
        if (each.name == nullptr)
            return &each;
    return &more_calls_.emplace_back();
}
catch (std::exception const&)
{
    return nullptr;
}

/// Null: it is not ours.
DUET_DECL session_recorder::pending_call* session_recorder::find_another(char const* tag) noexcept
{
    for (auto& each : more_calls_)
        if (each.tag() == tag)
            return &each;
    return nullptr;
}

DUET_DECL char const* session_recorder::on_operation(char const* name, std::size_t size) noexcept
{
    release();
    auto* const place = call_.name == nullptr ? &call_ : another_place();
    auto const record = event(trace_kind::call, name, size);
    if (!place || to_->kernel_may_be_asked(record.time)) [[unlikely]]
    {
        auto const number = put(trace_kind::call, name, size);
        if (!place)
            return name;  // its result will not be told
        place->number = number;
    }
    else
        hold(record, place);
    place->name = name;
    return place->tag();
}

DUET_DECL bool session_recorder::on_result(char const*& name, error_code const& error, std::size_t size) noexcept
{
    auto* const call = call_.tag() == name ? &call_ : find_another(name);
    if (call == nullptr || call->name == nullptr) [[unlikely]]
    {
        release();
        return false;
    }
    name = std::exchange(call->name, nullptr);
    bool const at_once = held_call_ == call && held_.more == 1;
    bool const of_read = held_call_ == nullptr && held_.more == 0;
    if (!error && follows(at_once || of_read, size)) [[likely]]
    {
        held_.name = name;
        held_.of_result = of_read;
        held_.back = at_once ? 2 : 0;
        keep(held_, at_once ? 0 : call->number);
        held_.more = nothing;
    }
    else
        put(trace_kind::result, name, size, error, call->number);
    return true;
}

/// A read of the socket has returned.
inline void session_recorder::received(error_code const& result, std::size_t size) noexcept
{
    if (size > 0) [[likely]]
    {
        release();
        auto const record = event(trace_kind::transfer, "receive", size);
        if (to_->kernel_may_be_asked(record.time)) [[unlikely]]
            put(trace_kind::transfer, "receive", size);
        else
            hold(record, nullptr);
    }
    if (result) [[unlikely]]
        put_failed_read(result);
}

DUET_DECL void session_recorder::put_failed_read(error_code const& result) noexcept
{
    if (result == boost::asio::error::eof)
        put(trace_kind::transfer, "peer_fin");
    else if (result != boost::asio::error::would_block && result != boost::asio::error::operation_aborted)
        put(trace_kind::transfer, "receive", 0, result);
}

DUET_DECL void session_recorder::on_call(channel_call what, error_code const& result, std::size_t size) noexcept
{
    if (what == channel_call::write_some && !result) [[likely]]
    {
        if (size > 0 && !follows(held_call_ != nullptr && held_.more == 0, size))
            put(trace_kind::transfer, "send", size);
    }
    else if (what == channel_call::read_some || what == channel_call::take_into)
        received(result, size);
    else
        put_call(what, result, size);
}

DUET_DECL void session_recorder::put_call(channel_call what, error_code const& result, std::size_t size) noexcept
{
    bool const failed = result && result != boost::asio::error::would_block && result != boost::asio::error::try_again;
    switch (what)
    {
    case channel_call::read_some:
    case channel_call::take_into:
        break;
    case channel_call::write_some:
        release();
        if (size > 0 || failed)
            put(trace_kind::transfer, "send", size, failed ? result : error_code{});
        break;
    case channel_call::discard:
        if (size > 0)
            put(trace_kind::transfer, "discard", size);
        else if (!result)
            put(trace_kind::transfer, "peer_fin");
        else if (failed)
            put(trace_kind::transfer, "discard", 0, result);
        break;
    case channel_call::shutdown_send:
        put(trace_kind::transfer, "fin", 0, result);
        break;
    case channel_call::reset:
        ended_ = true;
        put(trace_kind::transfer, "reset");
        break;
    case channel_call::close:
        ended_ = true;
        put(trace_kind::transfer, "close");
        break;
    case channel_call::cancel_read:
    case channel_call::cancel_gone:
        break;
    }
}

DUET_DECL void session_recorder::on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept
{
    if (what == channel_wait::read)
        received(result, size);
}

DUET_DECL void session_recorder::on_state(lifecycle const& now, error_code const& error) noexcept
{
    put(trace_kind::state, "", 0, error);
    if (!now.released())
        return;
    std::string text;
    try
    {
        text = to_string(connection_->post_mortem());
    }
    catch (std::exception const&)
    {
        // No memory for the text: the event tells the reason.
    }
    put(trace_kind::end, "", 0, error, 0, &text);
    if (ring_)
        tell_end(std::move(text));
}

/// What a flight recorder is there for. The operations that the end completes are told after this function, and their
/// results belong to the log.
inline void session_recorder::tell_end(std::string text) noexcept
try
{
    to_->count(ring_.kept(), ring_.lost());
    auto session = to_->forget(number_);
    if (!session || !to_->options().on_unclean_end || connection_->report().clean())
        return;
    auto const executor = connection_->executor();
    auto tell = [self = self_.lock(), session = std::move(*session), text = std::move(text)]
    {
        auto const& to = *self->to_;
        if (to.ended())
            return;
        auto log = to.empty_log();
        log.sessions.push_back(session);
        log.lost = self->ring_.lost();
        self->ring_.each(
            [&](trace_event event, trace_record const& record, tcp_snapshot const* kernel)
            {
                event.error = to.error_at(record.error);
                if (kernel)
                    event.kernel = *kernel;
                if (event.kind == trace_kind::end)
                    event.text = text;
                log.events.push_back(std::move(event));
            });
        to.options().on_unclean_end(log);
    };
    // What the end completes is posted, too, but behind this: so post once more.
    try_post(executor, [executor, tell = std::move(tell)]() mutable { try_post(executor, std::move(tell)); });
}
catch (std::exception const&)
{
    // No memory to tell it.
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
