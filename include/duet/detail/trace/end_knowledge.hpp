// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_END_KNOWLEDGE_HPP
#define DUET_DETAIL_TRACE_END_KNOWLEDGE_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <duet/detail/trace/trace_facts.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What is asked for each segment, in an order to search in.
struct end_knowledge
{
    using time = std::chrono::nanoseconds;

    struct arrival
    {
        std::uint64_t bytes;  // in all
        time when;
        std::uint64_t told;
    };

    explicit end_knowledge(std::vector<trace_fact> const& facts)
    {
        for (auto const& fact : facts)
        {
            if (fact.kind == fact_kind::received)
                arrivals.push_back(
                    {arrivals.empty() ? fact.bytes : arrivals.back().bytes + fact.bytes, fact.time, fact.told});
            if (fact.kind == fact_kind::acknowledged)
                acknowledged.push_back(fact.time);
            if (fact.kind == fact_kind::received || fact.kind == fact_kind::peer_finished ||
                fact.kind == fact_kind::peer_reset || fact.kind == fact_kind::fin_arrived)
                sign_of_life = std::max(sign_of_life, fact.time);
            if (fact.kind == fact_kind::fin_arrived && !fin_arrived)
                fin_arrived = fact.time;
            if (fact.kind == fact_kind::closed && !closed)
                closed = fact.time;
        }
    }

    std::vector<arrival> arrivals{};
    std::vector<time> acknowledged{};
    time sign_of_life = time::min();
    std::optional<time> fin_arrived{};
    std::optional<time> closed{};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
