// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_EVENT_RING_HPP
#define DUET_DETAIL_RECORDING_EVENT_RING_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/recording/trace_record.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The last events of one session, and the last samples of the kernel that belong to them. It takes its memory at the
/// beginning. Of the size 0 it is none.
class event_ring
{
public:
    explicit event_ring(std::size_t size)
        : records_{size == 0 ? nullptr : std::make_unique<trace_record[]>(size)}, size_{static_cast<std::uint32_t>(
                                                                                      size)},
          most_samples_{std::min(size_, 16U)}, samples_{size == 0 ? nullptr
                                                                  : std::make_unique<tcp_snapshot[]>(most_samples_)}
    {
    }

    explicit operator bool() const noexcept { return records_ != nullptr; }

    /// `call`: see trace_record::set_call(). Returns the number of the record's first event, from 1 on.
    std::uint64_t put(trace_record const& record, std::uint64_t call, tcp_snapshot const* kernel) noexcept
    {
        auto& place = records_[next_];
        place = record;
        if (++next_ == size_)
            next_ = 0;
        auto const first = count_ + 1;
        count_ += record.events();
        place.set_call(call, count_);
        if (kernel)
        {
            samples_[sampled_ % most_samples_] = *kernel;
            place.sample = ++sampled_;
        }
        return first;
    }

    /// A few put() are near.
    void prefetch() const noexcept
    {
        if (records_)
            detail::prefetch(records_.get() + next_, few * sizeof(trace_record));
    }

    std::uint64_t lost() const noexcept { return count_ - kept(); }

    std::uint64_t kept() const noexcept { return std::min<std::uint64_t>(count_, size_); }

    /// Call `tell` with each event that is left, its record, and its sample or null.
    template <class Tell>
    void each(Tell tell) const
    {
        // Records that stand for several events have room for more than are told.
        std::uint64_t number = count_;
        std::size_t used = 0;
        while (number > lost())
            number -= record_before(++used).events();
        for (; used > 0; --used)
        {
            auto const& record = record_before(used);
            for (std::uint32_t place = 0; place < record.events(); ++place)
                if (++number > lost())
                    tell(record.event(place, number), record, sample_of(record));
        }
    }

private:
    /// 1: the last one.
    trace_record const& record_before(std::size_t distance) const noexcept
    {
        return records_[(next_ + std::size_t{size_} - distance) % size_];
    }

    tcp_snapshot const* sample_of(trace_record const& record) const noexcept
    {
        bool const left = record.sample != 0 && record.sample + most_samples_ > sampled_;
        return left ? &samples_[(record.sample - 1) % most_samples_] : nullptr;
    }

    static constexpr std::size_t few = 4;

    std::unique_ptr<trace_record[]> records_;
    std::uint32_t size_;
    std::uint32_t next_ = 0;
    std::uint64_t count_ = 0;
    std::uint32_t sampled_ = 0;
    std::uint32_t most_samples_;
    std::unique_ptr<tcp_snapshot[]> samples_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
