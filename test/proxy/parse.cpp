// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What is a PROXY header, what is none, and when that can be told.

#define BOOST_TEST_MODULE proxy.parse
#include <duet/proxy_header.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/headers.hpp"

using namespace duet_test;
using namespace std::string_literals;
using duet::proxy_errc;
using duet::proxy_tlv_type;
using duet::proxy_version;

namespace {

std::string source_of(duet::proxy_parsed const& parsed)
{
    return parsed.header && parsed.header->ends ? duet::to_string(parsed.header->ends->source) : "none";
}

std::string destination_of(duet::proxy_parsed const& parsed)
{
    return parsed.header && parsed.header->ends ? duet::to_string(parsed.header->ends->destination) : "none";
}

void refuses(std::string_view bytes, proxy_errc why)
{
    auto const parsed = duet::parse_proxy_header(bytes);
    BOOST_TEST(parsed.error == why);
    BOOST_TEST(parsed.size == 0U);
    BOOST_TEST(parsed.wanted == 0U);
    BOOST_TEST(!parsed.header.has_value());
}

}  // namespace

// ---- Any header
// ------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_bytes_behind_a_header_are_no_part_of_it)
{
    for (auto const& header : whole_headers())
    {
        BOOST_TEST_CONTEXT(printable(header))
        {
            for (std::string const behind : {"", "G", "\r", "\n", "PROXY TCP4 ", "\0\0\0"})
            {
                auto const parsed = duet::parse_proxy_header(header + behind);
                BOOST_TEST(!parsed.error);
                BOOST_TEST(parsed.size == header.size());
                BOOST_TEST(parsed.header.has_value());
            }
        }
    }
}

// A read of what is wanted takes no byte behind the header, whatever part of it has arrived.
BOOST_AUTO_TEST_CASE(no_part_of_a_header_is_whole_and_none_wants_more_than_its_rest)
{
    for (auto const& header : whole_headers())
    {
        for (std::size_t size = 0; size < header.size(); ++size)
        {
            BOOST_TEST_CONTEXT(size << " bytes of " << printable(header))
            {
                auto const parsed = duet::parse_proxy_header(header.substr(0, size));
                BOOST_TEST(!parsed.error);
                BOOST_TEST(parsed.size == 0U);
                BOOST_TEST(!parsed.header.has_value());
                BOOST_TEST(parsed.wanted > 0U);
                BOOST_TEST(parsed.wanted <= header.size() - size);
            }
        }
    }
}

// Each read is a system call.
BOOST_AUTO_TEST_CASE(few_reads_take_a_header)
{
    for (auto const& header : whole_headers())
    {
        std::size_t reads = 0;
        std::size_t have = 0;
        for (auto parsed = duet::parse_proxy_header({}); parsed.size == 0 && reads < 100; ++reads)
        {
            have += parsed.wanted;
            parsed = duet::parse_proxy_header(header.substr(0, have));
        }
        BOOST_TEST_CONTEXT(printable(header))
        {
            bool const unknown = header.starts_with("PROXY UNKNOWN ");
            bool const binary = header.starts_with('\r');
            BOOST_TEST(have == header.size());
            BOOST_TEST(reads <= (unknown ? 50U : binary ? 3U : 14U));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_header_is_known_at_its_first_wrong_byte)
{
    refuses("G", proxy_errc::no_header);
    refuses("GET / HTTP/1.1\r\n", proxy_errc::no_header);
    refuses("\x16\x03\x01", proxy_errc::no_header);
    refuses("\n", proxy_errc::no_header);
    refuses(" PROXY TCP4", proxy_errc::no_header);
    refuses("PROXX", proxy_errc::no_header);
    refuses("proxy ", proxy_errc::no_header);
    refuses("PROXY\t", proxy_errc::no_header);
    refuses("\r\n\r\n\0\r\nQUIX"s, proxy_errc::no_header);
    refuses("\r\n\r\n\r", proxy_errc::no_header);
}

// ---- Version 1
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_line_tells_the_ends)
{
    auto const four = duet::parse_proxy_header("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    BOOST_REQUIRE(four.header.has_value());
    BOOST_TEST((four.header->version == proxy_version::v1));
    BOOST_TEST(!four.header->local);
    BOOST_TEST(!four.header->datagram);
    BOOST_TEST(source_of(four) == "192.0.2.1:56324");
    BOOST_TEST(destination_of(four) == "198.51.100.7:443");

    auto const six = duet::parse_proxy_header("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    BOOST_TEST(source_of(six) == "[2001:db8::1]:0");
    BOOST_TEST(destination_of(six) == "[::1]:65535");
}

BOOST_AUTO_TEST_CASE(a_line_may_tell_no_ends)
{
    for (std::string const text : {"", " ", " ffff:f 1 x", " 1.2.3.4 1.2.3.4 1 2"})
    {
        auto const parsed = duet::parse_proxy_header("PROXY UNKNOWN" + text + "\r\n");
        BOOST_REQUIRE(parsed.header.has_value());
        BOOST_TEST(source_of(parsed) == "none");
        BOOST_TEST(!parsed.header->local);
    }
}

BOOST_AUTO_TEST_CASE(an_ipv6_address_has_upper_or_lower_case_digits_or_is_a_mapped_one)
{
    auto const cases = duet::parse_proxy_header("PROXY TCP6 2001:DB8::A 2001:db8::a 1 2\r\n");
    BOOST_TEST(source_of(cases) == "[2001:db8::a]:1");
    BOOST_TEST(destination_of(cases) == "[2001:db8::a]:2");
    for (std::string const mapped : {"::ffff:192.0.2.1", "::FFFF:C000:0201"})
    {
        auto const parsed = duet::parse_proxy_header("PROXY TCP6 " + mapped + " ::1 1 2\r\n");
        BOOST_TEST(source_of(parsed) == "192.0.2.1:1");
    }
}

BOOST_AUTO_TEST_CASE(the_words_of_a_line_are_exactly_those_of_the_specification)
{
    for (std::string const line : {"PROXY tcp4 1.1.1.1 1.1.1.1 1 1", "PROXY UDP4 1.1.1.1 1.1.1.1 1 1",
             "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 ",
             "PROXY TCP4 1.1.1.1 1.1.1.1 1  1", "PROXY TCP4 1.1.1.1 1.1.1.1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1",
             "PROXY TCP4", "PROXY TCP4 ", "PROXY TCP4\t1.1.1.1 1.1.1.1 1 1", "PROXY UNKNOWNX", "PROXY unknown",
             "PROXY TCP5 1.1.1.1 1.1.1.1 1 1", "PROXY "})
    {
        BOOST_TEST_CONTEXT(line)
        {
            refuses(line + "\r\n", proxy_errc::bad_line);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_addresses_of_a_line_are_of_its_family_and_canonical)
{
    for (std::string const address : {"01.1.1.1", "1.1.1.01", "1.1.1", "1.1.1.1.1", "256.1.1.1", "1.1.1.-1", "+1.1.1.1",
             "0x1.1.1.1", "1.1.1.1a", "a.1.1.1", "1..1.1", "::1", "1.1.1.1/8", ""})
    {
        BOOST_TEST_CONTEXT(address)
        {
            refuses("PROXY TCP4 " + address + " 1.1.1.1 1 1\r\n", proxy_errc::bad_line);
            refuses("PROXY TCP4 1.1.1.1 " + address + " 1 1\r\n", proxy_errc::bad_line);
        }
    }
    for (std::string const address :
        {"1.1.1.1", "::g", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", ":1", "12345::", "fe80::1%1", "[::1]",
            "::ffff:1.1.1.256", "::ffff:01.1.1.1", "", ":", "0000:0000:0000:0000:0000:0000:0000:0000:"})
    {
        BOOST_TEST_CONTEXT(address)
        {
            refuses("PROXY TCP6 " + address + " ::1 1 1\r\n", proxy_errc::bad_line);
            refuses("PROXY TCP6 ::1 " + address + " 1 1\r\n", proxy_errc::bad_line);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_ports_of_a_line_are_decimal_and_have_16_bits)
{
    for (std::string const port :
        {"65536", "99999", "655350", "4294967297", "01", "00", "-1", "+1", "1a", "0x1", "", " "})
    {
        BOOST_TEST_CONTEXT(port)
        {
            refuses("PROXY TCP4 1.1.1.1 1.1.1.1 " + port + " 1\r\n", proxy_errc::bad_line);
            refuses("PROXY TCP4 1.1.1.1 1.1.1.1 1 " + port + "\r\n", proxy_errc::bad_line);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_line_ends_with_both_cr_and_lf)
{
    std::string const line = "PROXY TCP4 1.1.1.1 1.1.1.1 1 1";
    refuses(line + "\n", proxy_errc::bad_line);
    refuses(line + "\rG", proxy_errc::bad_line);
    refuses(line + "\r\r\n", proxy_errc::bad_line);
    refuses(line + "\n\r\n", proxy_errc::bad_line);
    refuses("PROXY UNKNOWN\n", proxy_errc::bad_line);
    refuses("PROXY UNKNOWN a\rb\r\n", proxy_errc::bad_line);
    refuses("PROXY UNKNOWN a\nb\r\n", proxy_errc::bad_line);
    auto const half = duet::parse_proxy_header(line + "\r");
    BOOST_TEST(!half.error);
    BOOST_TEST(half.wanted == 1U);
}

BOOST_AUTO_TEST_CASE(a_line_has_at_most_107_bytes)
{
    std::string const start = "PROXY UNKNOWN ";
    auto const longest = start + std::string(105 - start.size(), 'x') + "\r\n";
    BOOST_REQUIRE(longest.size() == 107U);
    BOOST_TEST(duet::parse_proxy_header(longest).size == 107U);
    auto const longer = start + std::string(106 - start.size(), 'x') + "\r\n";
    BOOST_TEST(!duet::parse_proxy_header(longer.substr(0, 106)).error);
    refuses(longer.substr(0, 107), proxy_errc::line_too_long);
    refuses(longer, proxy_errc::line_too_long);
    refuses(start + std::string(1000, 'x'), proxy_errc::line_too_long);
    refuses("PROXY TCP4 " + std::string(1000, ' '), proxy_errc::line_too_long);
    // The limit of version 2 is none of a line's.
    BOOST_TEST(duet::parse_proxy_header(longest, 16).size == 107U);
}
