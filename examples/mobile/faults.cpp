// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "faults.hpp"

#include <fmt/format.h>

#include <random>

namespace example {

fault_plan fault_source::plan_next()
{
    std::seed_seq mixed{seed_, plans_++};
    std::mt19937 random{mixed};
    auto const below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
    auto const kind = static_cast<fault>(below(fault_names.size()));
    bool const to_server = below(2) == 0;
    // One of eight meets it in its first frame: the begin of a connection has no lesser claim to go wrong.
    std::size_t const after = below(8) == 0 ? below(50) : below(2 * mean_bytes_ + 1);
    unsigned const pause = 1 + below(12);
    return {kind, to_server, after, pause, static_cast<std::uint32_t>(random())};
}

bool fault_source::strike(fault kind)
{
    if (all_struck())
        return false;
    ++struck_;
    ++by_kind_[static_cast<std::size_t>(kind)];
    return true;
}

std::string fault_source::report() const
{
    std::string result = fmt::format("{} faults:", struck_);
    for (std::size_t kind = 0; kind < fault_names.size(); ++kind)
        result += fmt::format(" {} {}", fault_names[kind], by_kind_[kind]);
    return result;
}

std::string garbage(std::uint32_t seed)
{
    std::mt19937 random{seed};
    std::string result(1 + random() % 64, '\0');
    for (char& byte : result)
        byte = static_cast<char>(random() & 0xff);
    return result;
}

}  // namespace example
