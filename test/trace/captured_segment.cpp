// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Packets that are made are right, and are read again, whatever part of them was captured.

#define BOOST_TEST_MODULE trace.captured_segment
#include <duet/captured_segment.hpp>
#include <duet/detail/wire/packet_plan.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

using boost::asio::ip::make_address;
using boost::asio::ip::tcp;
using duet::captured_segment;
using duet::tcp_flags;
namespace inside = duet::detail;

namespace {

using packet = std::vector<std::byte>;

packet bytes(std::initializer_list<unsigned> values)
{
    packet result;
    for (auto const each : values)
        result.push_back(static_cast<std::byte>(each));
    return result;
}

// A SYN as Linux sends it on lo: options of MSS, SACK, timestamps, padding and a window scale of 7.
packet const syn_of_linux = bytes({0x45, 0x00, 0x00, 0x3c, 0x5f, 0x9f, 0x40, 0x00, 0x40, 0x06, 0xdd, 0x1a,  //
    127, 0, 0, 1, 127, 0, 0, 1, 0x9c, 0x40, 0x1e, 0x61,                                                     //
    0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xff, 0xd7, 0xfe, 0x30, 0x00, 0x00,         //
    0x02, 0x04, 0xff, 0xd7, 0x04, 0x02, 0x08, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03,
    0x07});

std::optional<captured_segment> parsed(std::span<std::byte const> one, std::size_t length)
{
    return duet::parse_segment(one, static_cast<std::uint32_t>(length));
}

inside::packet_plan plan(char const* from = "192.0.2.1", char const* to = "192.0.2.2")
{
    inside::packet_plan result;
    result.from = {make_address(from), 40000};
    result.to = {make_address(to), 7777};
    result.sequence = 0xfffffff0;
    result.acknowledgement = 0x01020304;
    result.flags = tcp_flags::psh | tcp_flags::ack | tcp_flags::cwr;
    result.window = 0xabcd;
    result.payload = 5;
    return result;
}

packet made(inside::packet_plan const& of, std::size_t most = 65535)
{
    return inside::packet_maker{of}.make(most);
}

// As a receiver checks it: the sum over what the checksum covers, itself included, is all ones.
bool sums_are_right(packet const& all)
{
    std::span const whole{all};
    bool const v4 = std::to_integer<unsigned>(all[0]) >> 4U == 4;
    std::size_t const header = v4 ? 20 : 40;
    auto const addresses = v4 ? whole.subspan(12, 8) : whole.subspan(8, 32);
    auto const tcp = whole.subspan(header);
    auto const begin = static_cast<std::uint32_t>(6 + tcp.size());
    bool const tcp_right = inside::internet_sum(tcp, inside::internet_sum(addresses, begin)) == 0xffff;
    return tcp_right && (!v4 || inside::internet_sum(whole.first(header)) == 0xffff);
}

void check_comes_back(inside::packet_plan const& of)
{
    auto const all = made(of);
    BOOST_TEST(all.size() == of.size());
    BOOST_TEST(sums_are_right(all));
    auto const got = parsed(all, all.size());
    BOOST_TEST_REQUIRE(got.has_value());
    BOOST_TEST(got->from == of.from);
    BOOST_TEST(got->to == of.to);
    BOOST_TEST((got->flags == of.flags));
    BOOST_TEST(got->sequence == of.sequence);
    BOOST_TEST(got->acknowledgement == of.acknowledgement);
    BOOST_TEST(got->bytes == of.payload);
    BOOST_TEST(got->window == of.window);
    BOOST_TEST((got->window_scale == of.window_scale));
    BOOST_TEST(got->length == all.size());
    BOOST_TEST((got->packet == all));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_packet_of_linux_is_read)
{
    auto const got = parsed(syn_of_linux, syn_of_linux.size());
    BOOST_TEST_REQUIRE(got.has_value());
    BOOST_TEST(got->from == tcp::endpoint(make_address("127.0.0.1"), 40000));
    BOOST_TEST(got->to == tcp::endpoint(make_address("127.0.0.1"), 7777));
    BOOST_TEST((got->flags == tcp_flags::syn));
    BOOST_TEST(got->sequence == 0x01020304U);
    BOOST_TEST(got->acknowledgement == 0U);
    BOOST_TEST(got->bytes == 0U);
    BOOST_TEST(got->window == 0xffd7);
    BOOST_TEST(int{got->window_scale.value()} == 7);
}

BOOST_AUTO_TEST_CASE(what_is_made_comes_back)
{
    for (auto const* const address : {"192.0.2.1", "2001:db8::1"})
    {
        auto one = plan(address, address);
        check_comes_back(one);
        one.payload = 0;
        check_comes_back(one);
        one.payload = 5999;  // odd
        check_comes_back(one);
        one.payload = inside::most_payload;
        check_comes_back(one);
        one.flags = tcp_flags::syn | tcp_flags::ack;
        check_comes_back(one);
        one.window_scale = 14;
        check_comes_back(one);
        one.window_scale = 0;
        check_comes_back(one);
    }
}

BOOST_AUTO_TEST_CASE(a_part_of_a_packet_has_its_headers_and_its_length)
{
    auto const one = plan();
    BOOST_TEST(made(one, 0).size() == 40U);
    BOOST_TEST(made(one, 43).size() == 43U);
    auto const got = parsed(made(one, 0), one.size());
    BOOST_TEST_REQUIRE(got.has_value());
    BOOST_TEST(got->bytes == 5U);
    BOOST_TEST(got->length == 45U);
}

// However little was captured: read it, or do not, but never beyond its end (the sanitizers see that).
BOOST_AUTO_TEST_CASE(every_part_of_a_packet_is_read_or_not)
{
    auto six = plan("2001:db8::1", "2001:db8::2");
    six.flags = tcp_flags::syn;
    six.window_scale = 3;
    six.acknowledgement = 0;
    six.payload = 0;
    for (auto const& [whole, headers] : {std::pair{syn_of_linux, 40U}, std::pair{made(six), 60U}})
    {
        auto const all = parsed(whole, whole.size());
        for (std::size_t size = 0; size <= whole.size(); ++size)
        {
            packet const part{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
            auto const got = parsed(part, whole.size());
            BOOST_TEST_INFO(size);
            BOOST_TEST(got.has_value() == (size >= headers));
            if (got)
                BOOST_TEST((got->bytes == all->bytes && got->from == all->from && got->sequence == all->sequence));
        }
        // The option is the last of these headers.
        BOOST_TEST(all->window_scale.has_value());
        BOOST_TEST(!parsed(packet{whole.begin(), whole.end() - 1}, whole.size())->window_scale.has_value());
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_segment_is_none)
{
    auto const changed = [](packet one, std::size_t at, unsigned value)
    {
        one[at] = static_cast<std::byte>(value);
        return parsed(one, one.size()).has_value();
    };
    auto const four = made(plan());
    auto const six = made(plan("::1", "::1"));
    BOOST_TEST(changed(four, 1, 0xff));   // the class of traffic says nothing
    BOOST_TEST(!changed(four, 0, 0x55));  // a version that is none
    BOOST_TEST(!changed(four, 0, 0x44));  // a header that is too short
    BOOST_TEST(!changed(four, 9, 17));    // UDP
    BOOST_TEST(!changed(six, 6, 17));
    BOOST_TEST(!changed(six, 6, 0));       // an extension
    BOOST_TEST(!changed(four, 6, 0x20));   // the first fragment
    BOOST_TEST(!changed(four, 7, 1));      // a later one
    BOOST_TEST(!changed(four, 32, 0x40));  // a TCP header that is too short
    BOOST_TEST(!changed(four, 3, 39));     // a packet that is shorter than its headers
    BOOST_TEST(!changed(six, 5, 19));
}

// Segmentation was left to the hardware, and the length does not fit 16 bits.
BOOST_AUTO_TEST_CASE(a_packet_that_is_too_large_to_say_so_has_the_length_that_was_captured)
{
    auto four = made(plan());
    four[2] = four[3] = std::byte{0};
    BOOST_TEST(parsed(four, 100040)->bytes == 100000U);
    BOOST_TEST(!parsed(four, 39).has_value());
    auto six = made(plan("::1", "::1"));
    six[4] = six[5] = std::byte{0};
    BOOST_TEST(parsed(six, 100060)->bytes == 100000U);
}

BOOST_AUTO_TEST_CASE(options_that_contradict_their_header_end_the_search)
{
    auto const with = [](std::initializer_list<unsigned> options)
    {
        auto one = syn_of_linux;
        std::size_t at = 40;
        for (auto const each : options)
            one[at++] = static_cast<std::byte>(each);
        auto const got = parsed(one, one.size());
        BOOST_TEST_REQUIRE(got.has_value());
        return got->window_scale ? int{*got->window_scale} : -1;
    };
    BOOST_TEST(with({}) == 7);
    BOOST_TEST(with({3, 3, 9}) == 9);
    BOOST_TEST(with({1, 1, 3, 3, 200}) == 14);  // RFC 7323 2.3
    BOOST_TEST(with({0, 3, 3, 9}) == -1);
    BOOST_TEST(with({2, 0}) == -1);
    BOOST_TEST(with({2, 1, 3, 3, 9}) == -1);
    BOOST_TEST(with({2, 255}) == -1);
    BOOST_TEST(with({3, 2, 3, 3, 4}) == 4);
}

BOOST_AUTO_TEST_CASE(only_a_syn_has_a_window_scale)
{
    auto one = syn_of_linux;
    one[33] = std::byte{0x10};
    auto const got = parsed(one, one.size());
    BOOST_TEST_REQUIRE(got.has_value());
    BOOST_TEST(!got->window_scale.has_value());
}
