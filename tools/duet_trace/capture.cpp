// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "capture.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <duet/endpoint.hpp>
#include <duet/merge.hpp>

namespace tool {
namespace {

constexpr std::size_t most_kept = 200'000;

duet::tap_options options_for(std::vector<std::uint16_t> const& ports)
{
    duet::tap_options result;
    for (auto const port : ports)
        result.filters.push_back({{boost::asio::ip::address_v4::any(), port}, {}});
    result.kernel_memory = std::size_t{16} << 20U;
    result.limit = most_kept;
    return result;
}

/// An IPv4 address that is written as one of IPv6 is the same on the wire.
std::string on_the_wire(std::string_view endpoint)
{
    constexpr std::string_view mapped = "[::ffff:";
    auto const end = endpoint.find(']');
    if (!endpoint.starts_with(mapped) || endpoint.find('.') == endpoint.npos || end == endpoint.npos)
        return std::string{endpoint};
    return std::string{endpoint.substr(mapped.size(), end - mapped.size())} + std::string{endpoint.substr(end + 1)};
}

}  // namespace

capture::capture(std::vector<std::uint16_t> const& ports) : tap_{options_for(ports)} {}

void capture::fetch()
{
    auto more = tap_.take();
    lost_ += more.lost;
    auto const is_ours = [&](duet::captured_segment const& each)
    { return ports_.empty() || ports_.contains(each.from.port()) || ports_.contains(each.to.port()); };
    std::copy_if(std::move_iterator{more.segments.begin()}, std::move_iterator{more.segments.end()},
        std::back_inserter(kept_), is_ours);
    if (kept_.size() > most_kept)
    {
        auto const spare = kept_.size() - most_kept;
        kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(spare));
        lost_ += spare;
    }
}

void capture::merge_into(duet::trace_log& log)
{
    fetch();
    std::set<std::pair<std::string, std::string>> ends;
    for (auto const& each : log.sessions)
    {
        auto const local = on_the_wire(each.local);
        auto const remote = on_the_wire(each.remote);
        ends.emplace(local, remote);
        ends.emplace(remote, local);
    }
    auto const is_of_another = [&](duet::captured_segment const& each)
    { return !ends.contains({on_the_wire(duet::to_string(each.from)), on_the_wire(duet::to_string(each.to))}); };
    auto const own = std::stable_partition(kept_.begin(), kept_.end(), is_of_another);
    duet::tap_capture captured;
    captured.segments.assign(std::move_iterator{own}, std::move_iterator{kept_.end()});
    captured.lost = std::exchange(lost_, 0);
    kept_.erase(own, kept_.end());
    duet::merge(log, captured);
}

}  // namespace tool
