// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// PROXY headers that are sent, and whom one believes.

#define BOOST_TEST_MODULE proxy.encode
#include <duet/proxy_header.hpp>
#include <duet/proxy_options.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/headers.hpp"

using namespace duet_test;
using namespace std::string_literals;
using boost::asio::ip::tcp;
using boost::asio::local::stream_protocol;
using duet::proxy_errc;
using duet::proxy_tlv_type;
using duet::proxy_version;

namespace {

tcp::endpoint at(char const* address, unsigned short port)
{
    return {boost::asio::ip::make_address(address), port};
}

duet::proxy_header from_to(
    duet::any_endpoint const& source, duet::any_endpoint const& destination, proxy_version version = proxy_version::v2)
{
    duet::proxy_header result;
    result.version = version;
    result.ends = duet::proxy_ends{source, destination};
    return result;
}

duet::proxy_header parsed(std::string const& bytes)
{
    return duet::parse_proxy_header(bytes, 65551).header.value_or(duet::proxy_header{});
}

template <class Function>
duet::error_code code_of(Function function)
{
    try
    {
        function();
    }
    catch (duet::session_error const& error)
    {
        return error.code();
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_line_is_as_in_the_specification)
{
    auto const v1 = proxy_version::v1;
    BOOST_TEST(encode(from_to(at("192.0.2.1", 56324), at("198.51.100.7", 443), v1)) ==
               "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    BOOST_TEST(encode(from_to(at("2001:db8::1", 0), at("::1", 65535), v1)) == "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    BOOST_TEST(encode(from_to(at("192.0.2.1", 1), at("::1", 2), v1)) == "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    BOOST_TEST(encode(from_to(at("::ffff:192.0.2.1", 1), at("::ffff:192.0.2.2", 2), v1)) ==
               "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    BOOST_TEST(encode(from_to(at("fe80::1%1", 1), at("::1", 2), v1)) == "PROXY TCP6 fe80::1 ::1 1 2\r\n");
    BOOST_TEST(
        encode(from_to(stream_protocol::endpoint{"/a"}, stream_protocol::endpoint{"/b"}, v1)) == "PROXY UNKNOWN\r\n");
    duet::proxy_header nothing;
    nothing.version = v1;
    BOOST_TEST(encode(nothing) == "PROXY UNKNOWN\r\n");
    auto datagram = from_to(at("192.0.2.1", 1), at("192.0.2.2", 2), v1);
    datagram.datagram = true;
    BOOST_TEST(encode(datagram) == "PROXY UNKNOWN\r\n");
    auto local = from_to(at("192.0.2.1", 1), at("192.0.2.2", 2), v1);
    local.local = true;  // a health check is nobody's client
    BOOST_TEST(encode(local) == "PROXY UNKNOWN\r\n");
}

BOOST_AUTO_TEST_CASE(version_2_is_as_in_the_specification)
{
    BOOST_TEST(encode(from_to(at("192.0.2.1", 1027), at("198.51.100.7", 443))) == binary(0x21, 0x11, four_ends));
    BOOST_TEST(encode(from_to(at("2001:db8::1", 1027), at("::1", 443))) == binary(0x21, 0x21, six_ends));
    stream_protocol::endpoint const client{"/run/client"};
    stream_protocol::endpoint const server{"/run/server"};
    BOOST_TEST(encode(from_to(client, server)) == binary(0x21, 0x31, unix_ends));
    BOOST_TEST(encode(from_to(client, at("::1", 443))) == binary(0x21, 0x00, ""));
    BOOST_TEST(encode(duet::proxy_header{}) == binary(0x21, 0x00, ""));
    duet::proxy_header local;
    local.local = true;
    BOOST_TEST(encode(local) == binary(0x20, 0x00, ""));
    auto datagram = from_to(at("192.0.2.1", 1027), at("198.51.100.7", 443));
    datagram.datagram = true;
    datagram.tlvs.add(proxy_tlv_type::authority, "example.com");
    BOOST_TEST(encode(datagram) == binary(0x21, 0x12, four_ends + tlv(2, "example.com")));
}

BOOST_AUTO_TEST_CASE(what_is_parsed_can_be_written_again)
{
    for (auto const& bytes : whole_headers())
    {
        auto const header = parsed(bytes);
        if (header.local || bytes.starts_with("PROXY UNKNOWN ") || bytes.find(":0:0:") != bytes.npos)
            continue;  // what is told there is not kept, or may be written shorter
        auto const again = encode(header);
        BOOST_TEST_CONTEXT(printable(bytes))
        {
            if (bytes.find("::") == bytes.npos)
                BOOST_TEST(again == bytes);
            BOOST_TEST(encode(parsed(again)) == again);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_checksum_is_behind_all_else_and_right)
{
    auto header = from_to(at("192.0.2.1", 1027), at("198.51.100.7", 443));
    header.tlvs.add(proxy_tlv_type::authority, "a.example");
    header.checksum = true;
    auto const bytes = encode(header);
    // Computed by an independent program.
    BOOST_TEST(
        bytes == binary(0x21, 0x11, four_ends + tlv(2, "a.example") + tlv(3, bytes_of({0x62, 0xaf, 0xa8, 0x2f}))));
    BOOST_TEST(parsed(bytes).checksum);
}

BOOST_AUTO_TEST_CASE(what_the_length_cannot_say_is_refused)
{
    duet::proxy_header header;
    BOOST_TEST(
        code_of([&] { header.tlvs.add(proxy_tlv_type::noop, std::string(65536, 'x')); }) == proxy_errc::too_large);
    header.tlvs.add(proxy_tlv_type::noop, std::string(65532, 'x'));
    BOOST_TEST(encode(header).size() == 65551U);
    header.checksum = true;
    BOOST_TEST(code_of([&] { encode(header); }) == proxy_errc::too_large);
}

BOOST_AUTO_TEST_CASE(an_error_says_what_is_wrong)
{
    duet::error_code const late = proxy_errc::timed_out;
    BOOST_TEST((late == duet::condition::timed_out));
    BOOST_TEST(late.message() == "no whole PROXY header in time");
    for (int value = 1; value <= static_cast<int>(proxy_errc::timed_out); ++value)
    {
        duet::error_code const code{value, duet::proxy_category()};
        BOOST_TEST(code.message() != duet::error_code(0, duet::proxy_category()).message());
        BOOST_TEST((code == duet::condition::timed_out) == (code == late));
    }
}

// ---- Networks
// --------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_network_has_the_addresses_that_begin_with_its_prefix)
{
    duet::proxy_networks const trusted{"10.0.0.0/8", "192.0.2.128/25", "198.51.100.7", "2001:db8::/33", "::1"};
    for (auto const* const address : {"10.0.0.0", "10.255.255.255", "192.0.2.128", "192.0.2.255", "198.51.100.7",
             "::ffff:10.1.1.1", "2001:db8::1", "2001:db8:7fff::", "::1"})
    {
        BOOST_TEST_INFO(address);
        BOOST_TEST(trusted.contains(at(address, 1)));
    }
    for (auto const* const address : {"9.255.255.255", "11.0.0.0", "192.0.2.127", "192.0.3.128", "198.51.100.6",
             "198.51.100.8", "2001:db8:8000::", "2001:db9::", "::2", "::ffff:11.1.1.1", "::a00:1"})
    {
        BOOST_TEST_INFO(address);
        BOOST_TEST(!trusted.contains(at(address, 1)));
    }
    BOOST_TEST(!trusted.contains(stream_protocol::endpoint{"/a"}));
    BOOST_TEST(!trusted.empty());
}

BOOST_AUTO_TEST_CASE(all_of_one_family_is_nothing_of_the_other)
{
    duet::proxy_networks const four{"0.0.0.0/0"};
    duet::proxy_networks const six{"::/0"};
    BOOST_TEST(four.contains(at("192.0.2.1", 1)));
    BOOST_TEST(four.contains(at("::ffff:192.0.2.1", 1)));
    BOOST_TEST(!four.contains(at("::1", 1)));
    BOOST_TEST(six.contains(at("2001:db8::1", 1)));
    BOOST_TEST(!six.contains(at("192.0.2.1", 1)));
    BOOST_TEST(!six.contains(at("::ffff:192.0.2.1", 1)));
}

BOOST_AUTO_TEST_CASE(unix_is_every_peer_of_a_unix_domain_socket)
{
    duet::proxy_networks const trusted{"unix"};
    BOOST_TEST(trusted.contains(stream_protocol::endpoint{}));
    BOOST_TEST(!trusted.contains(at("127.0.0.1", 1)));
    BOOST_TEST(!trusted.empty());
    BOOST_TEST(duet::proxy_networks{}.empty());
    BOOST_TEST(!duet::proxy_networks{}.contains(at("127.0.0.1", 1)));
}

BOOST_AUTO_TEST_CASE(what_is_no_network_is_refused)
{
    for (std::string const text :
        {"", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "10.0.0.1/8",
            "2001:db8::1/64", "::/129", "fe80::1%1", "[::1]", "/8", "unix/8", "10.0.0.0/08/1"})
    {
        std::vector<std::string> const networks{"127.0.0.1", text};
        BOOST_TEST_CONTEXT(text)
        {
            BOOST_TEST(
                code_of([&] { duet::proxy_networks const made{networks}; }) == boost::asio::error::invalid_argument);
        }
    }
}
