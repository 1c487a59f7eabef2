// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_LINKS_IPP
#define DUET_DETAIL_TRACE_SEGMENT_LINKS_IPP

#include <algorithm>
#include <optional>
#include <utility>

#include <duet/detail/trace/segment_links.hpp>
#include <duet/detail/trace/segment_steps.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The bytes of one direction: where each transfer ends, and the event that goes with it.
class byte_ranges
{
public:
    byte_ranges(fact_list const& facts, fact_kind kind)
    {
        std::uint64_t end = 0;
        for (auto const& fact : facts)
            if (fact.kind == kind)
                ends_.emplace_back(end += fact.bytes, kind == fact_kind::sent ? fact.cause : fact.told);
    }

    /// The event whose transfer has the byte at `offset`, or 0.
    std::uint64_t event_of(std::uint64_t offset) const noexcept
    {
        auto const found = std::upper_bound(ends_.begin(), ends_.end(), offset,
            [](std::uint64_t value, auto const& range) { return value < range.first; });
        return found != ends_.end() ? found->second : 0;
    }

private:
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ends_;
};

/// One direction of a capture.
class direction_links
{
public:
    direction_links(facts_of_ends const& facts, bool from_client)
        : sender_(facts.of(from_client)), receiver_(facts.of(!from_client)), from_client_(from_client),
          sent_(sender_, fact_kind::sent), received_(receiver_, fact_kind::received)
    {
    }

    void link(trace_segment& segment)
    {
        bool const syn = contains(segment.flags, tcp_flags::syn);
        bool const rst = contains(segment.flags, tcp_flags::rst);
        std::uint64_t cause = 0;
        std::uint64_t told = 0;
        if (syn)
        {
            base_ = segment.sequence + 1;
            offset_ = 0;
            cause = from_client_ ? call_of({fact_kind::connected, fact_kind::refused, fact_kind::unanswered}) : 0;
            told = from_client_ ? 0 : told_of({fact_kind::connected});
        }
        else if (rst)
        {
            cause = call_of({fact_kind::reset});
            // RST without ACK answers what came to an end that is closed already. Who hears nothing more gives up.
            if (cause == 0 && contains(segment.flags, tcp_flags::ack) &&
                find_fact(sender_, fact_kind::vanished) == nullptr)
                cause = call_of({fact_kind::closed});
            told = told_of({fact_kind::refused, fact_kind::peer_reset});
        }
        else if (segment.bytes != 0 || contains(segment.flags, tcp_flags::fin))
        {
            auto const first = place_of(segment.sequence);
            if (segment.bytes != 0)
            {
                cause = sent_.event_of(first);
                told = received_.event_of(first + segment.bytes - 1);
            }
            if (contains(segment.flags, tcp_flags::fin))
            {
                cause = cause != 0 ? cause : call_of({fact_kind::finished, fact_kind::closed});
                auto const end = told_of({fact_kind::peer_finished});
                told = end != 0 ? end : told;
            }
        }
        else if (!acknowledged_ && from_client_)
        {
            acknowledged_ = true;
            told = told_of({fact_kind::accepted});
        }
        // What TCP repeats, and what it asks, it does on its own.
        bool const own = segment.label == segment_label::retransmission || is_probe(segment.label);
        segment.cause = segment.cause != 0 ? segment.cause : own ? 0 : cause;
        segment.told = segment.told != 0 ? segment.told : segment.lost || is_probe(segment.label) ? 0 : told;
        segment.evidence = evidence::observed;
    }

private:
    std::uint64_t call_of(std::initializer_list<fact_kind> kinds) const noexcept
    {
        for (auto const kind : kinds)
            if (auto const* const fact = find_fact(sender_, kind))
                return fact->cause;
        return 0;
    }

    std::uint64_t told_of(std::initializer_list<fact_kind> kinds) const noexcept
    {
        for (auto const kind : kinds)
            if (auto const* const fact = find_fact(receiver_, kind))
                return fact->told;
        return 0;
    }

    /// How many bytes of this direction are before that sequence number, which wraps around after 4 GiB.
    std::uint64_t place_of(std::uint32_t sequence)
    {
        if (!base_)
            base_ = sequence;
        auto const distance = static_cast<std::int32_t>(sequence - (*base_ + static_cast<std::uint32_t>(offset_)));
        auto const place = static_cast<std::int64_t>(offset_) + distance;
        if (place < 0)
            return 0;
        offset_ = std::max(offset_, static_cast<std::uint64_t>(place));
        return static_cast<std::uint64_t>(place);
    }

    fact_list const& sender_;
    fact_list const& receiver_;
    bool from_client_;
    byte_ranges sent_;
    byte_ranges received_;
    std::optional<std::uint32_t> base_;  // the sequence number of the first byte
    std::uint64_t offset_ = 0;           // of the latest segment's first byte
    bool acknowledged_ = false;          // the handshake is complete
};

DUET_DECL void link_segments(std::vector<trace_segment>& segments, facts_of_ends const& facts)
{
    direction_links from_client(facts, true);
    direction_links from_server(facts, false);
    for (auto& segment : segments)
        (segment.from_client ? from_client : from_server).link(segment);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
