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

DUET_DECL void event_ring::append_to(
    std::vector<trace_event>& events, std::chrono::steady_clock::time_point began) const
{
    for (auto number = lost() + 1; number <= count_; ++number)
    {
        auto const& record = records_[(number - 1) % records_.size()];
        auto& event = events.emplace_back(record.event(began));
        event.number = number;
        if (record.sample != 0 && record.sample + samples_.size() > sampled_)
            event.kernel = samples_[(record.sample - 1) % samples_.size()];
    }
}

DUET_DECL session_recorder::session_recorder(std::shared_ptr<recording> to, connection& of, std::uint32_t number)
    : recording_{std::move(to)}, connection_{&of}, clock_{of.executor()}, number_{number}
{
    if (auto const size = recording_->options().last_events; size > 0)
        ring_ = std::make_unique<event_ring>(size);
}

DUET_DECL std::uint64_t session_recorder::put(trace_kind kind, char const* name, std::uint64_t bytes,
    error_code const& error, std::uint64_t call, std::string const* text) noexcept
{
    if (recording_->ended())
        return 0;
    trace_record record;
    record.time = clock_.now();
    record.bytes = bytes;
    record.call = call;
    record.name = name;
    record.error = error;
    record.session = number_;
    record.kind = kind;
    auto const& life = connection_->life();
    record.receive = life.receive();
    record.send = life.send();
    record.reason = life.reason();
    std::optional<tcp_snapshot> kernel;
    if (!ended_ && recording_->may_ask_kernel(record.time))
    {
        error_code unknown;
        kernel = connection_->info(unknown);
        if (unknown)
            kernel.reset();
    }
    auto const* const known = kernel ? &*kernel : nullptr;
    return ring_ ? ring_->put(record, known) : recording_->put(record, known, text);
}

DUET_DECL char const* session_recorder::on_operation(char const* name, std::size_t size) noexcept
{
    auto const number = put(trace_kind::call, name, size);
    try
    {
        auto place =
            std::find_if(calls_.begin(), calls_.end(), [](pending_call const& each) { return each.name == nullptr; });
        if (place == calls_.end())
            place = calls_.insert(place, pending_call{});
        place->name = name;
        place->number = number;
        return &place->tag;
    }
    catch (std::exception const&)
    {
        return name;  // no memory: its result will not be told
    }
}

DUET_DECL bool session_recorder::on_result(char const*& name, error_code const& error, std::size_t size) noexcept
{
    auto const call = std::find_if(calls_.begin(), calls_.end(),
        [&](pending_call const& each) { return each.name != nullptr && &each.tag == name; });
    if (call == calls_.end())
        return false;
    name = std::exchange(call->name, nullptr);
    put(trace_kind::result, name, size, error, call->number);
    return true;
}

/// A read of the socket has returned.
inline void session_recorder::received(error_code const& result, std::size_t size) noexcept
{
    if (size > 0)
        put(trace_kind::transfer, "receive", size);
    if (!result)
        return;
    if (result == boost::asio::error::eof)
        put(trace_kind::transfer, "peer_fin");
    else if (result != boost::asio::error::would_block && result != boost::asio::error::operation_aborted)
        put(trace_kind::transfer, "receive", 0, result);
}

DUET_DECL void session_recorder::on_call(channel_call what, error_code const& result, std::size_t size) noexcept
{
    bool const failed = result && result != boost::asio::error::would_block && result != boost::asio::error::try_again;
    switch (what)
    {
    case channel_call::read_some:
    case channel_call::take_into:
        return received(result, size);
    case channel_call::write_some:
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
    recording_->count(ring_->kept(), ring_->lost());
    auto session = recording_->forget(number_);
    if (!session || !recording_->options().on_unclean_end || connection_->report().clean())
        return;
    auto const executor = connection_->executor();
    auto tell = [self = shared_from_this(), session = std::move(*session), text = std::move(text)]
    {
        auto const& to = *self->recording_;
        if (to.ended())
            return;
        auto log = to.empty_log();
        log.sessions.push_back(session);
        log.lost = self->ring_->lost();
        self->ring_->append_to(log.events, to.began());
        for (auto& event : log.events)
            if (event.kind == trace_kind::end)
                event.text = text;
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
