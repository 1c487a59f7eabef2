// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Version 2 of the PROXY protocol: what it tells, and what is wrong with it.

#define BOOST_TEST_MODULE proxy.binary
#include <duet/proxy_header.hpp>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/headers.hpp"

using namespace duet_test;
using namespace std::string_literals;
using duet::proxy_errc;
using duet::proxy_tlv_type;
using duet::proxy_version;

namespace {

duet::proxy_header accepted(std::string const& bytes, std::size_t limit = 4096)
{
    auto const parsed = duet::parse_proxy_header(bytes, limit);
    BOOST_TEST(parsed.error.message() == duet::error_code{}.message());
    BOOST_TEST(parsed.size == bytes.size());
    return parsed.header.value_or(duet::proxy_header{});
}

void refuses(std::string_view bytes, proxy_errc why, std::size_t limit = 4096)
{
    auto const parsed = duet::parse_proxy_header(bytes, limit);
    BOOST_TEST(parsed.error == why);
    BOOST_TEST(!parsed.header.has_value());
}

std::string ends_of(duet::proxy_header const& header)
{
    return header.ends ? duet::to_string(header.ends->source) + " to " + duet::to_string(header.ends->destination)
                       : "none";
}

// A header with a checksum that an independent program has computed.
std::string const summed =
    binary(0x21, 0x11, four_ends + tlv(3, bytes_of({0x43, 0xe3, 0x4d, 0x25})) + tlv(2, "a.example"));

}  // namespace

BOOST_AUTO_TEST_CASE(it_tells_the_ends)
{
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x11, four_ends))) == "192.0.2.1:1027 to 198.51.100.7:443");
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x21, six_ends))) == "[2001:db8::1]:1027 to [::1]:443");
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x31, unix_ends))) == "unix:/run/client to unix:/run/server");
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x31, path("") + path("\0name"s)))) == "unix:(unnamed) to unix:@name");
    BOOST_TEST((accepted(binary(0x21, 0x11, four_ends)).version == proxy_version::v2));
    BOOST_TEST(!accepted(binary(0x21, 0x11, four_ends)).datagram);
    for (auto const& [family, ends] : {std::pair{0x12, four_ends}, {0x22, six_ends}, {0x32, unix_ends}})
    {
        auto const header = accepted(binary(0x21, family, ends));
        BOOST_TEST(header.datagram);
        BOOST_TEST(header.ends.has_value());
    }
}

BOOST_AUTO_TEST_CASE(local_tells_nothing_whatever_else_it_says)
{
    for (auto const& rest : {""s, four_ends, "no TLVs and no addresses"s, tlv(2, "example.com")})
        for (int const family : {0x00, 0x11, 0x21, 0xff})
        {
            auto const header = accepted(binary(0x20, family, rest));
            BOOST_TEST(header.local);
            BOOST_TEST(!header.ends.has_value());
            BOOST_TEST(header.tlvs.empty());
        }
}

BOOST_AUTO_TEST_CASE(without_a_family_or_a_transport_there_are_no_ends)
{
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x00, ""))) == "none");
    BOOST_TEST(ends_of(accepted(binary(0x21, 0x01, ""))) == "none");
    auto const header = accepted(binary(0x21, 0x10, four_ends + tlv(2, "example.com")));
    BOOST_TEST(ends_of(header) == "none");
    BOOST_TEST(header.authority().value() == "example.com");
    BOOST_TEST(!header.local);
}

BOOST_AUTO_TEST_CASE(other_versions_commands_families_and_transports_are_refused_as_soon_as_they_are_read)
{
    for (int const version : {0x01, 0x11, 0x31, 0xf1})
        refuses(binary(version, 0x11, four_ends).substr(0, 13), proxy_errc::bad_version);
    for (int const command : {0x22, 0x2f})
        refuses(binary(command, 0x11, four_ends).substr(0, 13), proxy_errc::bad_command);
    for (int const family : {0x41, 0xf1, 0x13, 0x1f, 0x03})
        refuses(binary(0x21, family, four_ends).substr(0, 14), proxy_errc::bad_family);
}

BOOST_AUTO_TEST_CASE(the_length_has_room_for_the_addresses)
{
    refuses(binary(0x21, 0x11, ""), proxy_errc::bad_length);
    refuses(binary(0x21, 0x11, four_ends.substr(1)), proxy_errc::bad_length);
    refuses(binary(0x21, 0x12, four_ends.substr(1)), proxy_errc::bad_length);
    refuses(binary(0x21, 0x21, six_ends.substr(1)), proxy_errc::bad_length);
    refuses(binary(0x21, 0x31, unix_ends.substr(1)), proxy_errc::bad_length);
}

BOOST_AUTO_TEST_CASE(a_header_beyond_the_limit_is_refused_before_it_is_read)
{
    auto const header = binary(0x21, 0x11, four_ends + tlv(4, std::string(72, 'x')));
    BOOST_REQUIRE(header.size() == 103U);
    accepted(header, 103);
    refuses(header, proxy_errc::too_large, 102);
    refuses(header.substr(0, 16), proxy_errc::too_large, 102);
    refuses(header.substr(0, 14), proxy_errc::too_large, 27);
    refuses(binary(0x20, 0x00, std::string(65535, 'x')).substr(0, 16), proxy_errc::too_large);
    accepted(binary(0x20, 0x00, std::string(65535, 'x')), 65551);
}

BOOST_AUTO_TEST_CASE(its_tlvs_are_kept_in_order)
{
    auto const rest = tlv(1, "h2") + tlv(2, "example.com") + tlv(5, "id\0id"s) + tlv(0xe0, "") + tlv(0xe0, "mine");
    auto const header = accepted(binary(0x21, 0x11, four_ends + rest));
    BOOST_TEST(header.alpn().value() == "h2");
    BOOST_TEST(header.authority().value() == "example.com");
    BOOST_TEST(header.unique_id().value() == "id\0id"s);
    BOOST_TEST(!header.ssl().has_value());
    BOOST_TEST(!header.tlvs.find(proxy_tlv_type::netns).has_value());
    BOOST_TEST(header.tlvs.bytes() == rest);
    std::vector<std::string> all;
    for (duet::proxy_tlv const each : header.tlvs)
        all.push_back(std::to_string(static_cast<int>(each.type)) + "=" + std::string{each.value});
    std::vector<std::string> const expected{"1=h2", "2=example.com", "5=id\0id"s, "224=", "224=mine"};
    BOOST_TEST(all == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_tlv_that_reaches_beyond_the_header_is_refused)
{
    auto const whole = tlv(1, "h2") + tlv(2, "example.com");
    for (std::size_t size = 1; size < whole.size(); ++size)
    {
        auto const part = whole.substr(0, size);
        if (size != tlv(1, "h2").size())
            refuses(binary(0x21, 0x11, four_ends + part), proxy_errc::bad_tlv);
    }
    refuses(binary(0x21, 0x00, "any"), proxy_errc::bad_tlv);
    // The bytes of the client that follow are none of it.
    refuses(binary(0x21, 0x11, four_ends + "\2\0\4abc"s) + "d", proxy_errc::bad_tlv);
}

BOOST_AUTO_TEST_CASE(it_tells_of_tls)
{
    auto const details = tlv(0x21, "TLSv1.3") + tlv(0x22, "client.example") + tlv(0x23, "TLS_AES_128_GCM_SHA256");
    auto const header = accepted(binary(0x21, 0x11, four_ends + tlv(0x20, "\3\0\0\0\0"s + details)));
    auto const ssl = header.ssl();
    BOOST_REQUIRE(ssl.has_value());
    BOOST_TEST(ssl->tls);
    BOOST_TEST(ssl->certificate);
    BOOST_TEST(!ssl->session_certificate);
    BOOST_TEST(ssl->verified);
    BOOST_TEST(ssl->details.find(proxy_tlv_type::ssl_version).value() == "TLSv1.3");
    BOOST_TEST(ssl->details.find(proxy_tlv_type::ssl_common_name).value() == "client.example");
    // Zero also where there was nothing to verify.
    auto const without = duet::proxy_ssl::from("\1\0\0\0\0"s);
    BOOST_TEST(without->tls);
    BOOST_TEST(!without->verified);
    auto const wrong = duet::proxy_ssl::from("\5\0\0\0\1"s);
    BOOST_TEST(wrong->session_certificate);
    BOOST_TEST(!wrong->certificate);
    BOOST_TEST(!wrong->verified);
}

BOOST_AUTO_TEST_CASE(what_it_tells_of_tls_is_whole)
{
    refuses(binary(0x21, 0x11, four_ends + tlv(0x20, "\1\0\0\0"s)), proxy_errc::bad_tlv);
    refuses(binary(0x21, 0x11, four_ends + tlv(0x20, "\1\0\0\0\0\x21\0\4abc"s)), proxy_errc::bad_tlv);
    BOOST_TEST(!duet::proxy_ssl::from("").has_value());
}

BOOST_AUTO_TEST_CASE(a_checksum_is_checked_and_is_no_tlv)
{
    auto const header = accepted(summed);
    BOOST_TEST(header.checksum);
    BOOST_TEST(header.tlvs.bytes() == tlv(2, "a.example"));
    BOOST_TEST(!accepted(binary(0x21, 0x11, four_ends)).checksum);
}

// Every bit of the header counts, and none behind it.
BOOST_AUTO_TEST_CASE(a_header_that_was_changed_on_its_way_is_refused)
{
    BOOST_TEST(duet::parse_proxy_header(summed + "GET").header.has_value());
    for (std::size_t at = 0; at < summed.size(); ++at)
        for (int bit = 0; bit < 8; ++bit)
        {
            auto changed = summed;
            changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
            auto const parsed = duet::parse_proxy_header(changed);
            BOOST_TEST_CONTEXT("bit " << bit << " of byte " << at)
            {
                // One bit makes it LOCAL, of which everything is ignored; others say that there is more, or no
                // checksum.
                bool const taken = parsed.header && parsed.header->checksum;
                BOOST_TEST(!taken);
                if (at >= 16 && at < 28)
                    BOOST_TEST(parsed.error == proxy_errc::bad_checksum);
            }
        }
}

BOOST_AUTO_TEST_CASE(a_checksum_comes_once_and_has_four_bytes)
{
    refuses(binary(0x21, 0x11, four_ends + tlv(3, "abc")), proxy_errc::bad_tlv);
    refuses(binary(0x21, 0x11, four_ends + tlv(3, "abcde")), proxy_errc::bad_tlv);
    refuses(binary(0x21, 0x11, four_ends + tlv(3, "abcd")), proxy_errc::bad_checksum);
    // The first is right for the header with the second in it.
    auto twice = duet::proxy_header{};
    twice.ends = accepted(binary(0x21, 0x11, four_ends)).ends;
    twice.tlvs.add(proxy_tlv_type::crc32c, "abcd");
    twice.checksum = true;
    refuses(encode(twice), proxy_errc::bad_checksum);
}
