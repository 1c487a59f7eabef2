// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "lifecycle_kernel.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include <duet/format.hpp>
#include <duet/tcp_info.hpp>

namespace example {
namespace {

using boost::asio::ip::tcp;

/// As the kernel's tables have it: words in the host's order of bytes, and the port.
template <class Bytes>
std::string key(Bytes const& address, unsigned port)
{
    std::string result;
    for (std::size_t i = 0; i < address.size(); i += sizeof(std::uint32_t))
    {
        std::uint32_t word = 0;
        std::memcpy(&word, address.data() + i, sizeof(word));
        fmt::format_to(std::back_inserter(result), "{:08X}", word);
    }
    return fmt::format("{}:{:04X}", result, port);
}

/// An IPv4 connection stands in either table: a server that listens for both families has it in the second. Empty: it
/// cannot stand in this one.
std::string key(tcp::endpoint const& endpoint, bool six)
{
    namespace ip = boost::asio::ip;
    auto const address = endpoint.address();
    if (six)
        return key((address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4())).to_bytes(),
            endpoint.port());
    return address.is_v4() ? key(address.to_v4().to_bytes(), endpoint.port()) : std::string{};
}

}  // namespace

std::string kernel_entry(tcp::endpoint const& local, tcp::endpoint const& remote)
{
    bool known = false;
    for (bool const six : {false, true})
    {
        std::string const name = six ? "/proc/net/tcp6" : "/proc/net/tcp";
        std::ifstream file{name};
        known = known || file.is_open();
        std::string ends = key(local, six);
        if (ends.empty())
            continue;
        ends = fmt::format("{} {} ", ends, key(remote, six));
        for (std::string line; std::getline(file, line);)
            if (auto const at = line.find(ends); at != line.npos)
            {
                auto const state = std::stoul(line.substr(at + ends.size(), 2), nullptr, 16);
                return fmt::format("{} in {}", static_cast<duet::tcp_state>(state), name);
            }
    }
    return known ? "nothing left of it" : "not known here";
}

}  // namespace example
