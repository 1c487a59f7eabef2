// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_PLAN_HPP
#define DUET_DETAIL_CONNECT_CONNECT_PLAN_HPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

#include <duet/connect_error.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The order in which addresses are tried. It is the resolver's order (RFC 6724), but the address families alternate,
/// beginning with the family of the first address, so that an unreachable family costs only one attempt (RFC 8305 4).
/// Duplicate addresses are tried once.
template <class Endpoint>
std::vector<Endpoint> plan_attempts(std::vector<Endpoint> const& addresses)
{
    std::vector<Endpoint> first;  // addresses of the first address's family
    std::vector<Endpoint> other;
    for (auto const& address : addresses)
    {
        auto& family = address.protocol() == addresses.front().protocol() ? first : other;
        if (std::find(family.begin(), family.end(), address) == family.end())
            family.push_back(address);
    }
    std::vector<Endpoint> plan;
    plan.reserve(first.size() + other.size());
    for (std::size_t turn = 0; turn < std::max(first.size(), other.size()); ++turn)
    {
        if (turn < first.size())
            plan.push_back(first[turn]);
        if (turn < other.size())
            plan.push_back(other[turn]);
    }
    return plan;
}

/// True for an error that concerns this host and not the peer: this host has no such address family, no route or no
/// suitable local address. A host with a single family gets it for every address of the other family.
inline bool is_of_missing_route(error_code const& error) noexcept
{
    return error == boost::asio::error::address_family_not_supported ||
           error == boost::asio::error::network_unreachable || error == boost::asio::error::host_unreachable ||
           error == boost::system::errc::address_not_available;
}

/// The error that represents attempts which all failed: the first one that is not about a missing route, or else the
/// first one.
template <class Protocol>
error_code most_telling_error(std::vector<connect_attempt<Protocol>> const& attempts) noexcept
{
    for (auto const& attempt : attempts)
        if (!is_of_missing_route(attempt.error))
            return attempt.error;
    return attempts.empty() ? error_code{errc::no_address} : attempts.front().error;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
