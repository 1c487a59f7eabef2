// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORDING_IPP
#define DUET_DETAIL_RECORDING_RECORDING_IPP

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>

#include <duet/detail/recording/recording.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL recording::recording(trace_options options) : options_{std::move(options)}
{
    auto const& file = options_.file;
    if (file.empty())
        return;
    output_ = std::make_unique<output>();
    errno = 0;
    output_->file.open(file, std::ios::binary | std::ios::trunc);
    if (!output_->file)
        throw system_error{error_code{errno == 0 ? EIO : errno, boost::system::system_category()}, "trace " + file};
    output_->writer.emplace(output_->file, options_.program, began_at_);
}

DUET_DECL std::uint32_t recording::add(trace_session described)
{
    std::lock_guard const lock{mutex_};
    if (last_session_ == std::numeric_limits<std::uint32_t>::max() ||
        (!output_ && sessions_.size() >= options_.most_events))
    {
        ++lost_;
        return 0;
    }
    described.number = ++last_session_;
    if (output_)
        output_->writer->write(described);
    else
        sessions_.push_back(std::move(described));
    return last_session_;
}

/// Null: it is not known. They are in the order of their numbers.
inline trace_session* recording::find(std::uint32_t session) noexcept
{
    auto const known = std::lower_bound(sessions_.begin(), sessions_.end(), session,
        [](trace_session const& each, std::uint32_t number) { return each.number < number; });
    return known != sessions_.end() && known->number == session ? &*known : nullptr;
}

DUET_DECL void recording::update(trace_session const& described)
{
    std::lock_guard const lock{mutex_};
    if (output_)
        return output_->writer->write(described);
    if (auto* const known = find(described.number))
        *known = described;
}

DUET_DECL std::optional<trace_session> recording::forget(std::uint32_t session) noexcept
{
    std::lock_guard const lock{mutex_};
    auto* const known = find(session);
    if (!known)
        return {};
    std::optional<trace_session> result{std::move(*known)};
    sessions_.erase(sessions_.begin() + (known - sessions_.data()));
    return result;
}

DUET_DECL std::uint64_t recording::put(
    trace_record record, tcp_snapshot const* kernel, std::string const* text) noexcept
{
    if (ended())
        return 0;
    std::uint64_t number = 0;
    try
    {
        number = keep(record, kernel, text);
    }
    catch (std::exception const&)  // no memory
    {
        ++lost_;
    }
    if (number != 0 && options_.on_event && !output_)
        options_.on_event();
    return number;
}

inline std::uint64_t recording::keep(trace_record record, tcp_snapshot const* kernel, std::string const* text)
{
    std::lock_guard const lock{mutex_};
    if (output_)
    {
        auto event = record.event(began_);
        event.number = ++last_number_;
        if (kernel)
            event.kernel = *kernel;
        if (text)
            event.text = *text;
        output_->writer->write(event);
        if (record.kind == trace_kind::end || record.time - output_->flushed > std::chrono::milliseconds{20})
        {
            output_->flushed = record.time;
            output_->file.flush();
        }
        if (!output_->file)  // the disk is full, for instance
        {
            ++lost_;
            return 0;
        }
        ++recorded_;
        return last_number_;
    }
    if (records_.size() >= options_.most_events)
    {
        ++lost_;
        return 0;
    }
    if (kernel)
    {
        samples_.push_back(*kernel);
        record.sample = static_cast<std::uint32_t>(samples_.size());
    }
    if (text && !text->empty())
    {
        texts_.push_back(*text);
        record.text = static_cast<std::uint32_t>(texts_.size());
    }
    records_.push_back(record);
    ++recorded_;
    return ++last_number_;
}

inline trace_event recording::event_of(trace_record const& record, std::uint64_t number) const
{
    auto result = record.event(began_);
    result.number = number;
    if (record.sample != 0)
        result.kernel = samples_[record.sample - 1];
    if (record.text != 0)
        result.text = texts_[record.text - 1];
    return result;
}

DUET_DECL trace_log recording::empty_log() const
{
    trace_log result;
    result.program = options_.program;
    result.began = began_at_;
    return result;
}

DUET_DECL trace_log recording::log(std::uint64_t after) const
{
    auto result = empty_log();
    std::lock_guard const lock{mutex_};
    result.sessions = sessions_;
    result.lost = lost_;
    auto number = std::min<std::uint64_t>(after, records_.size());
    result.events.reserve(records_.size() - number);
    for (; number != records_.size(); ++number)
        result.events.push_back(event_of(records_[number], number + 1));
    // Threads read the clock before they come here, and the session of a test has a clock of its own.
    std::stable_sort(result.events.begin(), result.events.end(),
        [](trace_event const& a, trace_event const& b) { return a.time < b.time; });
    return result;
}

/// At most kernel_queries in a second, evenly spread after a burst of as many.
DUET_DECL bool recording::may_ask_kernel(time_point now) noexcept
{
    if (options_.kernel_queries == 0)
        return false;
    constexpr std::int64_t second = 1'000'000'000;
    auto const time = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
    auto const step = second / options_.kernel_queries;
    auto next = next_query_.load(std::memory_order_relaxed);
    do
    {
        if (next > time + second - step)
            return false;
    }
    while (!next_query_.compare_exchange_weak(next, std::max(next, time) + step, std::memory_order_relaxed));
    return true;
}

DUET_DECL void recording::end() noexcept
{
    ended_ = true;
    std::lock_guard const lock{mutex_};
    if (!output_)
        return;
    if (lost_ != 0)
        output_->writer->write_lost(lost_);
    output_->file.close();
}

DUET_DECL std::uint64_t recording::put_now(trace_kind kind, char const* name, std::string const& text,
    std::uint32_t session, std::uint64_t call, error_code const& error) noexcept
{
    trace_record record;
    record.time = std::chrono::steady_clock::now();
    record.call = call;
    record.name = name;
    record.error = error;
    record.session = session;
    record.kind = kind;
    return put(record, nullptr, &text);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
