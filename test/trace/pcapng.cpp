// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A pcapng file has what a trace, or a capture, says: read block by block. trace.tshark holds it against tshark.

#define BOOST_TEST_MODULE trace.pcapng
#include <duet/captured_segment.hpp>
#include <duet/pcapng.hpp>

#include <boost/test/unit_test.hpp>

#include "trace/conversation_log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::tcp_flags;

namespace {

struct read_packet
{
    std::uint64_t stamp = 0;
    std::uint32_t length = 0;
    std::vector<std::byte> bytes;
    std::string comment;

    duet::captured_segment segment() const { return duet::parse_segment(bytes, length).value(); }
};

// Reads a file, and fails where a block contradicts itself.
class read_file
{
public:
    explicit read_file(std::string const& text) : text_{text}
    {
        std::size_t at = 0;
        while (at < text_.size())
        {
            auto const size = u32(at + 4);
            BOOST_TEST_REQUIRE(size % 4 == 0U);
            BOOST_TEST_REQUIRE((size >= 12 && size <= text_.size() - at));
            BOOST_TEST_REQUIRE(u32(at + size - 4) == size);
            take(u32(at), at + 8, at + size - 4);
            at += size;
        }
    }

    std::string comment;
    std::string origin;
    std::vector<read_packet> packets;

private:
    std::uint32_t u32(std::size_t at) const
    {
        std::uint32_t value = 0;
        std::memcpy(&value, text_.substr(at, 4).data(), 4);
        return value;
    }

    void take(std::uint32_t type, std::size_t at, std::size_t end)
    {
        if (type == 0x0a0d0d0a)
        {
            BOOST_TEST(at == 8U);
            BOOST_TEST(u32(at) == 0x1a2b3c4dU);
            comment = option(1, at + 16, end);
        }
        else if (type == 1)
        {
            BOOST_TEST((u32(at) & 0xffffU) == 101U);
            BOOST_TEST(option(9, at + 8, end) == "\x09");
            origin = option(3, at + 8, end);
        }
        else
        {
            BOOST_TEST(type == 6U);
            auto const size = u32(at + 12);
            auto const data = text_.substr(at + 20, size);
            auto const* const bytes = reinterpret_cast<std::byte const*>(data.data());
            packets.push_back({std::uint64_t{u32(at + 4)} << 32U | u32(at + 8), u32(at + 16), {bytes, bytes + size},
                option(1, at + 20 + (size + 3) / 4 * 4, end)});
        }
    }

    // The last one has to be the end of options, and in its place.
    std::string option(std::uint32_t code, std::size_t at, std::size_t end) const
    {
        std::string found;
        while (at < end)
        {
            auto const size = u32(at) >> 16U;
            auto const which = u32(at) & 0xffffU;
            if (which == 0)
                BOOST_TEST(at + 4 == end);
            if (which == code)
                found = text_.substr(at + 4, size);
            at += 4 + (size + 3) / 4 * 4;
        }
        BOOST_TEST(at == end);
        return found;
    }

    std::string text_;
};

read_file made(conversation_log const& of, duet::pcapng_options const& options = {})
{
    std::ostringstream out;
    duet::write_pcapng(out, of.log, of.session(), of.segments, options);
    return read_file{out.str()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_packets_are_those_of_the_segments)
{
    conversation_log const talk;
    auto const file = made(talk);
    std::string text;
    for (auto const& each : file.packets)
    {
        auto const got = each.segment();
        BOOST_TEST((got.from.port() == 40000 || got.to.port() == 40000));
        text += (got.from.port() == 40000 ? "c " : "s ") + to_string(got.flags) + ' ' + std::to_string(got.sequence) +
                ' ' + std::to_string(got.acknowledgement) + ' ' + std::to_string(got.bytes) + '\n';
    }
    // A segment that does not fit one packet is several.
    BOOST_TEST(text == "c SYN 0 0 0\n"
                       "s SYN, ACK 0 1 0\n"
                       "c ACK 1 1 0\n"
                       "c ACK 1 1 65467\n"
                       "c ACK 65468 1 65467\n"
                       "c ACK 130935 1 65467\n"
                       "c PSH, ACK 196402 1 3599\n"
                       "s ACK 1 200001 0\n"
                       "c FIN, ACK 200001 1 0\n"
                       "s PSH, ACK 1 200002 5\n"
                       "s FIN, ACK 6 200002 0\n"
                       "c ACK 200002 7 0\n");
    BOOST_TEST(file.packets[0].stamp == 1764400000000000000U);
    BOOST_TEST(file.packets[1].stamp == 1764400000000001001U);
    BOOST_TEST(file.packets.back().stamp == 1764400000000008008U);
}

BOOST_AUTO_TEST_CASE(a_window_is_scaled_unless_it_is_unknown)
{
    conversation_log talk;
    auto const file = made(talk);
    BOOST_TEST(int{file.packets[0].segment().window_scale.value()} == 2);
    BOOST_TEST(int{file.packets[1].segment().window_scale.value()} == 2);
    BOOST_TEST(file.packets[1].segment().window == 65535);  // a SYN's is not scaled
    BOOST_TEST(file.packets[2].segment().window == 65535);
    BOOST_TEST(file.packets[2].comment.find("window is not known") != std::string::npos);
    BOOST_TEST(file.packets[3].segment().window == 131072 >> 2);
    BOOST_TEST(file.packets[7].segment().window == 0);  // closed, and known to be so
    BOOST_TEST(file.packets[7].comment.find("window is not known") == std::string::npos);

    talk.segments[3].window = 40000;
    auto const small = made(talk);
    BOOST_TEST(!small.packets[0].segment().window_scale.has_value());
    BOOST_TEST(small.packets[3].segment().window == 40000);
    talk.segments[3].window = std::numeric_limits<std::uint32_t>::max();
    BOOST_TEST(int{made(talk).packets[0].segment().window_scale.value()} == 14);
}

BOOST_AUTO_TEST_CASE(the_file_and_each_packet_say_that_they_are_made)
{
    conversation_log talk;
    talk.log.events[1].kind = duet::trace_kind::result;
    talk.segments[7].lost = true;
    talk.segments[6].evidence = duet::evidence::observed;
    auto const file = made(talk);
    BOOST_TEST(file.comment ==
               "Made by duet from a trace: the packets of this file were not captured. Payload is zeros.\n"
               "Session 1, asker, of test");
    BOOST_TEST(file.origin == "made from a trace by duet");
    std::string const begin = "Made by duet: this packet was not captured.";
    std::string const unknown = " Its window is not known.";
    BOOST_TEST(file.packets[0].comment == begin + unknown + "\nCaused by event 1: connect(), session 1");
    BOOST_TEST(file.packets[1].comment == begin + "\nTold by event 2: connect() returned, session 1");
    BOOST_TEST(file.packets[2].comment ==
               begin + unknown + "\nNo call caused it, and no return told of it, as far as the trace knows.");
    BOOST_TEST(file.packets[6].comment == begin + "\nCaused by event 3: write() of 200000 bytes, session 1");
    BOOST_TEST(file.packets[9].comment == "Made by duet: its headers are those of a captured packet." + unknown +
                                              "\nTold by event 5: read_some() returned 5 bytes, session 1");
    BOOST_TEST(file.packets[10].comment == begin + unknown + "\nIt was lost: it never arrived." +
                                               "\nTold by event 6: read_some() returned, session 1");
}

BOOST_AUTO_TEST_CASE(a_comment_names_what_failed_and_what_is_not_in_the_trace)
{
    conversation_log talk;
    talk.log.events[5].error = {"system", 104, "Connection reset by peer"};
    talk.log.events[2].error = {"system", 32, "Broken pipe"};
    talk.segments[7].cause = 99;
    // The events of a part of a trace are not at their places.
    talk.log.events.erase(talk.log.events.begin());
    auto const file = made(talk);
    BOOST_TEST(file.packets[0].comment.ends_with("\nCaused by event 1"));
    BOOST_TEST(file.packets[6].comment.ends_with(
        "\nCaused by event 3: write() failed: Broken pipe, after 200000 bytes, session 1"));
    BOOST_TEST(file.packets[10].comment.ends_with(
        "\nCaused by event 99\nTold by event 6: read_some() failed: Connection reset by peer, session 1"));
}

BOOST_AUTO_TEST_CASE(payload_is_cut_and_its_length_told)
{
    conversation_log const talk;
    auto const file = made(talk, {100});
    BOOST_TEST(file.packets[3].bytes.size() == 100U);
    BOOST_TEST(file.packets[3].length == 65467U + 40U);
    BOOST_TEST(file.packets[9].bytes.size() == 45U);
    BOOST_TEST(made(talk, {0}).packets[9].bytes.size() == 40U);
    BOOST_TEST(made(talk, {SIZE_MAX}).packets[3].bytes.size() == 65467U + 40U);
}

BOOST_AUTO_TEST_CASE(a_session_has_its_addresses_or_made_up_ones)
{
    auto const first = [](std::string const& local, std::string const& remote)
    {
        conversation_log const talk{local, remote};
        auto const file = made(talk);
        BOOST_TEST((file.comment.find("made up") != std::string::npos) ==
                   (file.packets[0].segment().from.address().to_string() == "192.0.2.1"));
        std::ostringstream text;
        text << file.packets[0].segment().from << " > " << file.packets[0].segment().to;
        return text.str();
    };
    BOOST_TEST(first("[::1]:40000", "[2001:db8::2]:80") == "[::1]:40000 > [2001:db8::2]:80");
    std::string const made_up = "192.0.2.1:1 > 192.0.2.2:2";
    BOOST_TEST(first("/run/server", "") == made_up);
    BOOST_TEST(first("", "") == made_up);
    BOOST_TEST(first("[::1]:1", "127.0.0.1:2") == made_up);
    BOOST_TEST(first("127.0.0.1", "127.0.0.1:2") == made_up);
    BOOST_TEST(first("127.0.0.1:", "127.0.0.1:2") == made_up);

    conversation_log server;
    server.log.sessions[0].client = false;
    BOOST_TEST(made(server).packets[0].segment().from.port() == 7777);
}

BOOST_AUTO_TEST_CASE(segments_come_in_the_order_of_their_times)
{
    conversation_log talk;
    talk.segments[0].sent.reset();
    talk.segments[0].received = 1h;
    talk.segments[1].sent = 2h;
    talk.segments[2].sent.reset();  // and not received: it comes first
    auto const file = made(talk);
    BOOST_TEST((file.packets.front().segment().flags == tcp_flags::ack));
    BOOST_TEST((file.packets.back().segment().flags == (tcp_flags::syn | tcp_flags::ack)));
    BOOST_TEST((file.packets[file.packets.size() - 2].segment().flags == tcp_flags::syn));
}

// However large a segment claims to be. 4 GiB are 65,606 packets.
BOOST_AUTO_TEST_CASE(a_segment_is_at_most_4_gib)
{
    conversation_log talk;
    talk.segments.resize(1);
    talk.segments[0].bytes = std::numeric_limits<std::uint64_t>::max();
    BOOST_TEST(made(talk, {0}).packets.size() == 65606U);
}

BOOST_AUTO_TEST_CASE(a_comment_that_is_no_utf8_or_too_long_is_mended)
{
    conversation_log talk;
    talk.log.program = "a\xff" + std::string(70000, 'b');
    auto const file = made(talk);
    BOOST_TEST(file.comment.size() == 65535U);
    BOOST_TEST(file.comment.find("of a\xef\xbf\xbd"
                                 "b") != std::string::npos);
    std::string euros;
    while (euros.size() < 70000)
        euros += "€";
    talk.log.program = euros;
    auto const size = made(talk).comment.size();
    BOOST_TEST((size <= 65535 && size > 65532));
}

// In a part of a trace, the number of an event is not its place.
BOOST_AUTO_TEST_CASE(an_event_is_found_by_its_number)
{
    conversation_log talk;
    talk.log.events.erase(talk.log.events.begin());
    auto const packets = made(talk).packets;
    BOOST_TEST(packets[0].comment.find("Caused by event 1") != std::string::npos);
    BOOST_TEST(packets[0].comment.find("connect()") == std::string::npos);
    BOOST_TEST(packets[3].comment.find("Caused by event 3: write() of 200000 bytes") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(captured_packets_are_kept_byte_for_byte)
{
    conversation_log talk;
    auto const packets = made(talk).packets;
    std::vector<duet::captured_segment> captured;
    for (auto const& each : packets)
    {
        captured.push_back(each.segment());
        captured.back().packet.push_back(std::byte{0x5a});  // a trailer, or whatever else there is
        captured.back().wall_time = talk.log.began + 7ns * captured.size();
    }
    auto const cause = talk.log.events[2].number;
    captured[3].event = talk.event(duet::trace_kind::segment, "");
    talk.log.events.back().segment = talk.segments[3];
    captured[4].event = cause;  // has no segment
    std::ostringstream out;
    duet::write_pcapng(out, talk.log, captured);
    read_file const file{out.str()};
    BOOST_TEST(file.comment == "Captured by duet, with the trace of test.");
    BOOST_TEST_REQUIRE(file.packets.size() == captured.size());
    for (std::size_t each = 0; each < captured.size(); ++each)
    {
        BOOST_TEST((file.packets[each].bytes == captured[each].packet));
        BOOST_TEST(file.packets[each].length == captured[each].length);
        BOOST_TEST(file.packets[each].stamp == 1764400000000000000U + 7 * (each + 1));
    }
    BOOST_TEST(file.packets[3].comment == "Captured.\nCaused by event 3: write() of 200000 bytes, session 1");
    BOOST_TEST(file.packets[4].comment == "");
}
