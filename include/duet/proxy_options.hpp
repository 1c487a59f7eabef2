// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_PROXY_OPTIONS_HPP
#define DUET_PROXY_OPTIONS_HPP

#include <boost/asio/ip/address_v6.hpp>

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/endpoint.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The peers that may say who the client is. The header of anybody else is worth nothing.
class proxy_networks
{
public:
    /// Nobody.
    proxy_networks() noexcept = default;

    /// Each is a network ("10.0.0.0/8", "fd00::/8"), an address ("192.0.2.7", "::1"), or "unix": every peer of a
    /// Unix-domain socket. An IPv4 peer of an IPv6 listener is its IPv4 address. Throws session_error
    /// (invalid_argument) for anything else, also for a network with bits set behind its prefix.
    proxy_networks(std::initializer_list<std::string_view> networks) { add_all(networks); }

    explicit proxy_networks(std::vector<std::string> const& networks) { add_all(networks); }

    DUET_DECL bool contains(any_endpoint const& peer) const noexcept;

    bool empty() const noexcept { return networks_.empty() && !unix_; }

private:
    /// An IPv4 network is the part of IPv6 that it is mapped to. A larger part of IPv6 has no IPv4 addresses.
    struct network
    {
        boost::asio::ip::address_v6::bytes_type bytes;
        unsigned prefix;
    };

    template <class Networks>
    void add_all(Networks const& networks)
    {
        for (std::string_view const each : networks)
            add(each);
    }

    DUET_DECL void add(std::string_view text);

    std::vector<network> networks_;
    bool unix_ = false;
};

/// What becomes of a peer that is not trusted.
enum class proxy_strangers
{
    refuse,  ///< reset at once
    serve,   ///< served without a header: its first bytes are its own, even if they look like one
};

/// How a server accepts the PROXY protocol. A trusted peer must send a header before anything else; of everybody else
/// no header is read. Nothing is guessed from the bytes.
///
/// It has members with destructors: name it before you pass it inside a co_await expression (g++ 12 destroys such a
/// temporary twice).
struct proxy_options
{
    /// Who may send a header, and has to. Without one, strangers must be served: a server that would refuse everybody
    /// is not made (invalid_argument).
    proxy_networks trusted{};
    proxy_strangers strangers = proxy_strangers::refuse;

    /// From the call, which a server makes as soon as it has accepted, to the last byte of the header. Zero: no limit
    /// of its own. The deadlines of the session count besides; deadlines::first_message begins with the connection.
    std::chrono::steady_clock::duration timeout = std::chrono::seconds{5};

    /// The largest header of version 2 that is accepted, in bytes: as much memory a peer can take before it is known.
    /// At most 65,551 are possible.
    std::size_t limit = 4096;
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/proxy/networks.ipp>
#endif

#endif
