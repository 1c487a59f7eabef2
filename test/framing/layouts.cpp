// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What each framing finds at the begin of bytes, and what it writes around a message.

#define BOOST_TEST_MODULE framing.layouts
#include <duet/frame_layout.hpp>

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using duet::frame_layout;
using duet::line_end;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

/// Its tail would be gone before it is written.
struct tail_by_value : duet::lines
{
    std::string tail() const { return "\n"; }
};

/// Its tail is there as long as the framing.
struct tail_of_its_own : duet::lines
{
    std::string const& tail() const { return text; }

    std::string text = "\n";
};

static_assert(!duet::framing<tail_by_value>);
static_assert(duet::framing<tail_of_its_own> && duet::framing<duet::lines> && duet::framing<duet::delimiter>);

template <class Framing>
std::string frame_of(Framing const& framing, std::string_view body)
{
    BOOST_REQUIRE(framing.accepts(body));
    return std::string{std::string_view{framing.head(body)}} + std::string{body} + std::string{framing.tail()};
}

/// What is read back is what was written, however much of it is there; until it is whole, its size is told as more than
/// is there, and never as more than it is.
template <class Framing>
void goes_around(Framing const& framing, std::vector<std::string> const& bodies)
{
    for (auto const& body : bodies)
    {
        auto const frame = frame_of(framing, body);
        BOOST_TEST_CONTEXT("a frame of " << frame.size() << " bytes")
        {
            for (std::size_t there = 1; there <= frame.size() + 3; ++there)
                for (std::size_t const seen : {std::size_t{0}, there / 2, there - 1})
                {
                    if (seen >= frame.size())
                        continue;
                    auto const all = frame + "\n\r\n";
                    auto const found = framing.layout(std::string_view{all}.substr(0, there), seen);
                    BOOST_TEST(!found.malformed);
                    if (there < frame.size())
                    {
                        BOOST_TEST(found.total() > there);
                        BOOST_TEST(found.total() <= frame.size());
                        continue;
                    }
                    BOOST_TEST(found.total() == frame.size());
                    BOOST_TEST(found.body == body.size());
                    BOOST_TEST(found.head == std::string_view{framing.head(body)}.size());
                }
        }
    }
}

std::vector<std::string> const with_empty{"", "a", "hello", std::string(200, 'y')};

}  // namespace

BOOST_AUTO_TEST_CASE(a_length_prefix_of_every_kind)
{
    for (unsigned bytes = 1; bytes <= 8; ++bytes)
        for (auto const order : {std::endian::big, std::endian::little})
            for (bool const itself : {false, true})
                BOOST_TEST_CONTEXT(bytes << " bytes, itself " << itself)
                {
                    duet::length_prefix const framing{bytes, order, itself};
                    goes_around(framing, with_empty);
                }
    duet::length_prefix const big{.bytes = 2};
    BOOST_TEST(frame_of(big, "abc") == "\0\3abc"s);
    duet::length_prefix const little{.bytes = 3, .order = std::endian::little};
    BOOST_TEST(frame_of(little, "abc") == "\3\0\0abc"s);
    duet::length_prefix const itself{.bytes = 4, .includes_itself = true};
    BOOST_TEST(frame_of(itself, "abc") == "\0\0\0\7abc"s);
}

BOOST_AUTO_TEST_CASE(a_length_prefix_carries_only_what_its_number_can_tell)
{
    duet::length_prefix const one{.bytes = 1};
    BOOST_TEST(one.accepts(std::string(255, 'x')));
    BOOST_TEST(!one.accepts(std::string(256, 'x')));
    duet::length_prefix const itself{.bytes = 1, .includes_itself = true};
    BOOST_TEST(itself.accepts(std::string(254, 'x')));
    BOOST_TEST(!itself.accepts(std::string(255, 'x')));
    for (unsigned const bytes : {0U, 9U})
    {
        duet::length_prefix const none{.bytes = bytes};
        BOOST_TEST(!none.accepts("x"));
        BOOST_TEST(none.layout("\0\0\0\0\0\0\0\0\0\0"sv, 0).malformed);
    }
}

BOOST_AUTO_TEST_CASE(a_length_less_than_its_own_bytes_is_malformed)
{
    duet::length_prefix const itself{.bytes = 4, .includes_itself = true};
    BOOST_TEST(itself.layout("\0\0\0\3"sv, 0).malformed);
    BOOST_TEST(!itself.layout("\0\0\0\4"sv, 0).malformed);
}

BOOST_AUTO_TEST_CASE(the_largest_length_does_not_overflow)
{
    duet::length_prefix const eight{.bytes = 8};
    auto const all = eight.layout("\xff\xff\xff\xff\xff\xff\xff\xff"sv, 0);
    BOOST_TEST(all.total() == std::numeric_limits<std::uint64_t>::max());
    auto const varint = duet::varint_prefix::layout("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv, 0);
    BOOST_TEST(varint.body == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(varint.total() == std::numeric_limits<std::uint64_t>::max());
    duet::frame_layout const around{.head = std::numeric_limits<std::uint64_t>::max(), .body = 1, .tail = 2};
    BOOST_TEST(around.total() == std::numeric_limits<std::uint64_t>::max());
}

BOOST_AUTO_TEST_CASE(a_varint_prefix)
{
    duet::varint_prefix const framing;
    goes_around(framing, with_empty);
    goes_around(framing, {std::string(127, 'a'), std::string(128, 'b'), std::string(16384, 'c')});
    BOOST_TEST(frame_of(framing, std::string(300, 'x')).substr(0, 3) == "\xac\x02x");
    BOOST_TEST(framing.layout("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"sv, 0).malformed);
    BOOST_TEST(framing.layout("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"sv, 0).malformed);
    BOOST_TEST(framing.layout("\x80\x00"sv, 0).head == 2U);
}

BOOST_AUTO_TEST_CASE(a_delimiter)
{
    for (std::string const text : {"\n", "\r\n\r\n", "aab", "::"})
    {
        duet::delimiter const framing{text};
        goes_around(framing, {"", "x", "hello", "a-b", "bb a", std::string(300, 'z')});
        BOOST_TEST(!framing.accepts("x" + text + "y"));
    }
    duet::delimiter const none{""};
    BOOST_TEST(!none.accepts("x"));
    BOOST_TEST(none.layout("x", 0).malformed);
}

// "aa" behind "xa" would be found one byte too early.
BOOST_AUTO_TEST_CASE(a_message_whose_end_begins_the_delimiter_is_refused_where_it_would_end_early)
{
    duet::delimiter const twice{"aa"};
    BOOST_TEST(!twice.accepts("xa"));
    BOOST_TEST(twice.accepts("ax"));
    duet::delimiter const aba{"aba"};
    BOOST_TEST(!aba.accepts("xab"));
    BOOST_TEST(aba.accepts("xa"));  // "xaaba": at 2
    goes_around(aba, {"xa", "b", "aa"});
}

BOOST_AUTO_TEST_CASE(lines_of_each_kind)
{
    goes_around(duet::lines{line_end::either}, {"", "one", "a\rb", std::string(300, 'l')});
    goes_around(duet::lines{line_end::lf}, {"", "one", "a\r", "\r\r"});
    goes_around(duet::lines{line_end::crlf}, {"", "one", "a\nb", "a\rb", "a\r", "\n"});
    BOOST_TEST(frame_of(duet::lines{}, "a") == "a\n");
    BOOST_TEST(frame_of(duet::lines{line_end::crlf}, "a") == "a\r\n");
    auto const both = duet::lines{}.layout("ab\r\nc", 0);
    BOOST_TEST(both.body == 2U);
    BOOST_TEST(both.tail == 2U);
    BOOST_TEST(!duet::lines{}.accepts("a\r"));
    BOOST_TEST(!duet::lines{}.accepts("a\nb"));
    BOOST_TEST(!duet::lines{line_end::lf}.accepts("a\nb"));
    BOOST_TEST(!duet::lines{line_end::crlf}.accepts("a\r\nb"));
}

BOOST_AUTO_TEST_CASE(a_fixed_size)
{
    goes_around(duet::fixed_size{5}, {"hello", "world"});
    BOOST_TEST(!duet::fixed_size{5}.accepts("four"));
    BOOST_TEST(!duet::fixed_size{}.accepts(""));
    BOOST_TEST(duet::fixed_size{}.layout("x", 0).malformed);
}
