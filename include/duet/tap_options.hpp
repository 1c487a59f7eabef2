// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TAP_OPTIONS_HPP
#define DUET_TAP_OPTIONS_HPP

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Connections whose segments a tap captures: those with `one` at one end and `other` at the other. An unspecified
/// address stands for any address, of IPv6, too, and port 0 for any port.
///
/// Before a client connects, one knows where to; of a server one knows where it listens. So usually only `one` is set.
struct tap_filter
{
    boost::asio::ip::tcp::endpoint one{};
    boost::asio::ip::tcp::endpoint other{};
};

struct tap_options
{
    /// A segment is captured if one of them wants it, or there is none. Some sixty are possible.
    std::vector<tap_filter> filters{};

    /// The name of the network interface, "eth0". Empty: all of them. A packet that passes several, as with a bridge,
    /// is then captured at each.
    std::string interface {
    };

    /// How many bytes of each packet are kept: 64 to 65,535. The headers need at most 120.
    std::size_t snap_length = 160;

    /// Memory of the kernel in bytes, for packets that were not fetched yet: 128 KiB to 1 GiB. Each takes snap_length
    /// and about a hundred bytes.
    std::size_t kernel_memory = std::size_t{4} << 20U;

    /// How many segments are kept until take() fetches them. Those that come then are counted as lost; so are those for
    /// which there is no memory.
    std::size_t limit = 100'000;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
