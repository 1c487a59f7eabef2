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

DUET_DECL recording::recording(trace_options options)
    : options_{std::move(options)}, query_step_{options_.kernel_queries == 0 ? second
                                                                             : second / options_.kernel_queries},
      query_room_{options_.kernel_queries == 0 ? std::numeric_limits<std::int64_t>::min() / 2 : second - query_step_}
{
    auto const& file = options_.file;
    if (file.empty())
        return;
    output_ = std::make_unique<output>();
    errno = 0;
    output_->file.open(file, std::ios::binary | std::ios::trunc);
    if (!output_->file)
        throw system_error{error_code{errno == 0 ? EIO : errno, boost::system::system_category()}, "trace " + file};
    output_->writer.emplace(output_->file, options_.program, began_.wall);
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
    trace_record record, std::uint64_t call, tcp_snapshot const* kernel, std::string const* text) noexcept
{
    if (ended())
        return 0;
    std::uint64_t number = 0;
    try
    {
        number = keep(record, call, kernel, text);
    }
    catch (std::exception const&)  // no memory
    {
        lost_ += record.events();
    }
    if (number != 0 && options_.on_event && !output_)
        options_.on_event();
    return number;
}

inline std::uint64_t recording::keep(
    trace_record record, std::uint64_t call, tcp_snapshot const* kernel, std::string const* text)
{
    std::lock_guard const lock{mutex_};
    auto const first = last_number_ + 1;
    record.set_call(call, last_number_ + record.events());
    if (output_) [[unlikely]]
        return write(record, kernel, text);
    auto const room = options_.most_events - last_number_;
    if (room < record.events()) [[unlikely]]
    {
        lost_ += record.events() - room;
        if (room == 0)
            return 0;
        // The first of its events. Without the last of them it has no result.
        record.more = static_cast<std::uint8_t>(room - 1) & 3U;
    }
    if (kernel)
    {
        samples_.push_back(*kernel);
        record.sample = static_cast<std::uint32_t>(samples_.size());
    }
    else if (text && !text->empty())
    {
        texts_.push_back(*text);
        record.sample = static_cast<std::uint32_t>(texts_.size());
        record.sample_is_text = true;
    }
    records_.push_back(record);
    last_number_ += record.events();
    recorded_ += record.events();
    return first;
}

/// To the file.
inline std::uint64_t recording::write(trace_record const& record, tcp_snapshot const* kernel, std::string const* text)
{
    auto const first = last_number_ + 1;
    for (std::uint32_t place = 0; place < record.events(); ++place)
    {
        auto event = record.event(place, last_number_ + 1);
        event.error = error_of(record.error);
        if (kernel)
            event.kernel = *kernel;
        if (text)
            event.text = *text;
        output_->writer->write(event);
        ++last_number_;
    }
    constexpr std::int64_t flush_after = 20'000'000;
    if (record.kind == trace_kind::end || record.time - output_->flushed > flush_after)
    {
        output_->flushed = record.time;
        output_->file.flush();
    }
    auto& count = output_->file ? recorded_ : lost_;  // the disk is full, for instance
    count += record.events();
    return output_->file ? first : 0;
}

DUET_DECL std::uint16_t recording::place_of(error_code const& error)
{
    if (!error)
        return 0;
    std::lock_guard const lock{mutex_};
    auto const known = std::find(errors_.begin(), errors_.end(), error);
    auto const place = known - errors_.begin() + 1;
    if (place > std::numeric_limits<std::uint16_t>::max())
        throw std::bad_alloc{};
    if (known == errors_.end())
        errors_.push_back(error);
    return static_cast<std::uint16_t>(place);
}

DUET_DECL trace_error recording::error_at(std::uint16_t place) const
{
    std::lock_guard const lock{mutex_};
    return error_of(place);
}

DUET_DECL trace_log recording::empty_log() const
{
    trace_log result;
    result.program = options_.program;
    result.began = began_.wall;
    return result;
}

DUET_DECL trace_log recording::log(std::uint64_t after) const
{
    auto result = empty_log();
    std::lock_guard const lock{mutex_};
    result.sessions = sessions_;
    result.lost = lost_;
    result.events.reserve(last_number_ - std::min(after, last_number_));
    // Who follows a trace asks often for a few: a whole pass each time would take time squared.
    auto number = last_number_;
    records_.visit_last(
        [&](trace_record const& record)
        {
            bool const wanted = number > after;
            number -= wanted ? record.events() : 0;
            return wanted;
        },
        [&](trace_record const& record)
        {
            for (std::uint32_t place = 0; place < record.events(); ++place)
            {
                if (++number <= after)
                    continue;
                auto& event = result.events.emplace_back(record.event(place, number));
                event.error = error_of(record.error);
                if (record.sample != 0 && record.sample_is_text)
                    event.text = texts_[record.sample - 1];
                else if (record.sample != 0)
                    event.kernel = samples_[record.sample - 1];
            }
        });
    // Threads read the clock before they come here, and the session of a test has a clock of its own.
    std::stable_sort(result.events.begin(), result.events.end(),
        [](trace_event const& a, trace_event const& b) { return a.time < b.time; });
    return result;
}

/// At most kernel_queries in a second, evenly spread after a burst of as many.
DUET_DECL bool recording::take_query(std::int64_t now) noexcept
{
    auto next = next_query_.load(std::memory_order_relaxed);
    do
    {
        if (next > now + query_room_)
            return false;
    }
    while (!next_query_.compare_exchange_weak(next, std::max(next, now) + query_step_, std::memory_order_relaxed));
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
try
{
    trace_record record;
    record.time = time_of(std::chrono::steady_clock::now());
    record.name = name;
    record.session = session;
    record.error = place_of(error);
    record.kind = kind;
    return put(record, call, nullptr, &text);
}
catch (std::exception const&)
{
    lose();
    return 0;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
