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
inline namespace v0 {
namespace detail {

/// The order in which addresses are tried: as the resolver sorted them (RFC 6724), but the families take turns,
/// beginning with the first address's, so that a family which leads nowhere costs one attempt (RFC 8305 4). An address
/// that is there twice is tried once.
template <class Endpoint>
std::vector<Endpoint> plan_attempts(std::vector<Endpoint> const& addresses)
{
    std::vector<Endpoint> first;  // of the first address's family
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

/// An error that tells of this host, not of the peer: there is no such family, route or address here. Every host that
/// has one family only meets it for the addresses of the other.
inline bool is_of_missing_route(error_code const& error) noexcept
{
    return error == boost::asio::error::address_family_not_supported ||
           error == boost::asio::error::network_unreachable || error == boost::asio::error::host_unreachable ||
           error == boost::system::errc::address_not_available;
}

/// The one error for attempts that all failed: theirs if they agree, else the first that tells something of the peer.
template <class Protocol>
error_code most_telling_error(std::vector<connect_attempt<Protocol>> const& attempts) noexcept
{
    for (auto const& attempt : attempts)
        if (!is_of_missing_route(attempt.error))
            return attempt.error;
    return attempts.empty() ? error_code{errc::no_address} : attempts.front().error;
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
