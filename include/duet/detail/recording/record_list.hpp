// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORD_LIST_HPP
#define DUET_DETAIL_RECORDING_RECORD_LIST_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include <duet/detail/recording/trace_record.hpp>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Records one after the other, in pieces of memory that are taken as they fill, and never moved.
class record_list
{
public:
    /// Throws std::bad_alloc, and the list is as before.
    void push_back(trace_record const& one)
    {
        if (next_ == end_)
            grow();
        ::new (static_cast<void*>(next_)) trace_record{one};
        ++next_;
    }

    /// Call `visit` with the last records, in their order: with as many as `wanted` is true of, from the last one on.
    template <class Wanted, class Visit>
    void visit_last(Wanted wanted, Visit visit) const
    {
        auto place = pieces_.size();
        trace_record const* first = nullptr;
        for (bool enough = false; place != 0 && !enough;)
        {
            --place;
            for (first = end_of(place); first != pieces_[place].begin() && !enough;)
            {
                enough = !wanted(first[-1]);
                first -= enough ? 0 : 1;
            }
        }
        for (; place != pieces_.size(); ++place)
        {
            std::for_each(first, end_of(place), visit);
            if (place + 1 != pieces_.size())
                first = pieces_[place + 1].begin();
        }
    }

private:
    // The system takes longer to give a page that nobody has used than all records of the page. So all pieces but the
    // first, which is small, are of the size of a large page.
    static constexpr std::size_t small = std::size_t{1} << 16;
    static constexpr std::size_t large = std::size_t{1} << 21;

    static_assert(std::is_trivially_destructible_v<trace_record>);

    struct free_aligned
    {
        std::align_val_t alignment;

        void operator()(std::byte* memory) const noexcept { ::operator delete(memory, alignment); }
    };

    class piece
    {
    public:
        explicit piece(std::size_t size)
            : memory_{static_cast<std::byte*>(::operator new (size, std::align_val_t{size})),
                  free_aligned{std::align_val_t{size}}},
              records_{size / sizeof(trace_record)}
        {
#if defined(__linux__)
            if (size == large)
                ::madvise(memory_.get(), size, MADV_HUGEPAGE);  // small pages are right, too
#endif
        }

        trace_record* begin() const noexcept
        {
            return reinterpret_cast<trace_record*>(memory_.get());
        }

        trace_record* end() const noexcept
        {
            return begin() + records_;
        }

    private:
        std::unique_ptr<std::byte, free_aligned> memory_;
        std::size_t records_;
    };

    trace_record const* end_of(std::size_t number) const noexcept
    {
        return number + 1 == pieces_.size() ? next_ : pieces_[number].end();
    }

    [[gnu::cold]] void grow()
    {
        auto const& next = pieces_.emplace_back(pieces_.empty() ? small : large);
        next_ = next.begin();
        end_ = next.end();
    }

    std::vector<piece> pieces_;
    trace_record* next_ = nullptr;
    trace_record* end_ = nullptr;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
