// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_ENDS_HPP
#define DUET_DETAIL_ENGINE_KEPT_ENDS_HPP

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The two endpoints of a connection.
template <class Endpoint>
class kept_ends
{
public:
    using result = Endpoint const&;

    kept_ends(Endpoint const& local, Endpoint const& remote) : local_{local}, remote_{remote} {}

    result local() const noexcept { return local_; }

    result remote() const noexcept { return remote_; }

private:
    Endpoint local_;
    Endpoint remote_;
};

/// Those of a TCP connection, an IPv4 address always as such: they take 16 bytes instead of 56. Those of IPv6 take as
/// many and a block of memory.
template <>
class kept_ends<boost::asio::ip::tcp::endpoint>
{
    using tcp = boost::asio::ip::tcp;
    using address_v4 = boost::asio::ip::address_v4;
    using address_v6 = boost::asio::ip::address_v6;

public:
    using result = tcp::endpoint;

    /// Throws std::bad_alloc.
    kept_ends(tcp::endpoint const& local, tcp::endpoint const& remote) : kind_{kind_of(local, remote)}
    {
        if (kind_ == kind::others)
            others_ = new both{local, remote};
        else
        {
            v4_ = {0, remote.address().to_v4().to_uint()};
            remote_port_ = remote.port();
            local_port_ = local.port();
            if (kind_ == kind::v4)
                v4_.local = local.address().to_v4().to_uint();
        }
    }

    kept_ends(kept_ends const&) = delete;
    kept_ends& operator=(kept_ends const&) = delete;

    ~kept_ends()
    {
        if (kind_ == kind::others)
            delete others_;
    }

    result local() const noexcept
    {
        if (kind_ == kind::others)
            return others_->local;
        return kind_ == kind::v4 ? tcp::endpoint{address_v4{v4_.local}, local_port_}
                                 : tcp::endpoint{address_v6::any(), local_port_};
    }

    result remote() const noexcept
    {
        return kind_ == kind::others ? others_->remote : tcp::endpoint{address_v4{v4_.remote}, remote_port_};
    }

    /// The local one was unspecified: it is this, of the same kind as the remote one.
    void set_local(tcp::endpoint const& chosen) noexcept
    {
        if (kind_ == kind::others)
            others_->local = chosen;
        else if (chosen.address().is_v4())
        {
            kind_ = kind::v4;
            v4_.local = chosen.address().to_v4().to_uint();
            local_port_ = chosen.port();
        }
    }

private:
    enum class kind : std::uint8_t
    {
        v4,
        v4_at_any_v6,  // the peer has IPv4, and the listener is on all addresses of both
        others,
    };

    struct both
    {
        tcp::endpoint local;
        tcp::endpoint remote;
    };

    struct both_v4
    {
        std::uint32_t local;
        std::uint32_t remote;
    };

    static kind kind_of(tcp::endpoint const& local, tcp::endpoint const& remote) noexcept
    {
        if (!remote.address().is_v4())
            return kind::others;
        if (local.address().is_v4())
            return kind::v4;
        return local.address().to_v6() == address_v6::any() ? kind::v4_at_any_v6 : kind::others;
    }

    union
    {
        both_v4 v4_;
        both* others_;
    };
    std::uint16_t local_port_ = 0;
    std::uint16_t remote_port_ = 0;
    kind kind_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
