// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The endpoints of a connection are what they were, however little memory they take.

#define BOOST_TEST_MODULE engine.kept_ends
#include <duet/detail/engine/kept_ends.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>

namespace asio = boost::asio;
using endpoint = asio::ip::tcp::endpoint;
using ends = duet::detail::kept_ends<endpoint>;

namespace {

endpoint at(char const* address, std::uint16_t port)
{
    return {asio::ip::make_address(address), port};
}

void check_kept(endpoint const& local, endpoint const& remote)
{
    ends const kept{local, remote};
    BOOST_TEST(kept.local() == local);
    BOOST_TEST(kept.remote() == remote);
}

}  // namespace

BOOST_AUTO_TEST_CASE(those_of_each_family_are_kept)
{
    static_assert(sizeof(ends) <= 16);
    check_kept(at("192.0.2.1", 80), at("198.51.100.2", 65535));
    check_kept(at("0.0.0.0", 80), at("198.51.100.2", 1));
    check_kept(at("2001:db8::1", 443), at("2001:db8::2%7", 40000));
    check_kept(at("::", 443), at("2001:db8::2", 40000));
    check_kept(at("::", 443), at("198.51.100.2", 40000));
    check_kept(at("2001:db8::1", 443), at("198.51.100.2", 40000));
    check_kept(endpoint{}, endpoint{});
}

BOOST_AUTO_TEST_CASE(the_local_one_may_be_learned_later)
{
    for (auto const& listener : {at("0.0.0.0", 80), at("::", 80)})
    {
        ends kept{listener, at("198.51.100.2", 5)};
        kept.set_local(at("192.0.2.1", 81));
        BOOST_TEST(kept.local() == at("192.0.2.1", 81));
        BOOST_TEST(kept.remote() == at("198.51.100.2", 5));
    }
    ends kept{at("::", 80), at("2001:db8::2", 5)};
    kept.set_local(at("2001:db8::1", 80));
    BOOST_TEST(kept.local() == at("2001:db8::1", 80));
    BOOST_TEST(kept.remote() == at("2001:db8::2", 5));
}
