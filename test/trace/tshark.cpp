// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What duet writes as pcapng, as tshark reads it: without complaint.

#define BOOST_TEST_MODULE trace.tshark
#include <duet/captured_segment.hpp>
#include <duet/detail/wire/packet_plan.hpp>
#include <duet/pcapng.hpp>

#include <boost/test/unit_test.hpp>

#include "support/process.hpp"
#include "trace/conversation_log.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace duet_test;

namespace {

std::string output_of(std::vector<std::string> const& command, child_errors errors = child_errors::inherited)
{
    child_process process{command, errors};
    process.close_input();
    auto const text = process.read_rest();
    BOOST_TEST_INFO(text);
    BOOST_TEST(process.wait().success());
    return text;
}

// Without it, nothing here can be told. CTest counts 77 as skipped.
void skip_without_tshark()
{
    child_process look{{"sh", "-c", "command -v tshark"}};
    look.close_input();
    look.read_rest();
    if (look.wait().success())
        return;
    std::printf("SKIPPED: there is no tshark\n");
    std::fflush(stdout);
    std::_Exit(77);
}

// A capture in a file of its own.
class capture_file
{
public:
    explicit capture_file(std::string const& content)
    {
        descriptor const file{checked(::mkstemp(name_.data()), "mkstemp")};
        std::ofstream{name_, std::ios::binary} << content;
    }

    ~capture_file() { std::filesystem::remove(name_); }

    capture_file(capture_file const&) = delete;
    capture_file& operator=(capture_file const&) = delete;

    // A line for each packet, with the fields separated by '|'.
    std::string fields(std::vector<std::string> const& names, child_errors errors = child_errors::inherited) const
    {
        std::vector<std::string> command{"tshark", "-n", "-r", name_, "-o", "ip.check_checksum:TRUE", "-o",
            "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"};
        for (auto const& each : names)
            command.insert(command.end(), {"-e", each});
        return output_of(command, errors);
    }

private:
    std::string name_ = (std::filesystem::temp_directory_path() / "duet-tshark-XXXXXX").string();
};

std::string made(conversation_log const& talk, std::size_t snap_length)
{
    std::ostringstream out;
    duet::write_pcapng(out, talk.log, talk.session(), talk.segments, {snap_length});
    return out.str();
}

std::string captured(conversation_log const& talk)
{
    std::vector<duet::captured_segment> all;
    for (auto const& each : talk.segments)
    {
        duet::detail::packet_plan plan;
        plan.from = {boost::asio::ip::make_address("::1"), static_cast<std::uint16_t>(each.from_client ? 1 : 2)};
        plan.to = {plan.from.address(), static_cast<std::uint16_t>(each.from_client ? 2 : 1)};
        plan.flags = each.flags;
        auto const packet = duet::detail::packet_maker{plan}.make(65535);
        all.push_back(*duet::parse_segment(packet, static_cast<std::uint32_t>(packet.size())));
        all.back().wall_time = talk.log.began + std::chrono::duration_cast<std::chrono::nanoseconds>(*each.sent);
    }
    std::ostringstream out;
    duet::write_pcapng(out, talk.log, all);
    return out.str();
}

struct tshark_is_there
{
    tshark_is_there() { skip_without_tshark(); }
};

// Nothing about a file itself, nothing malformed, no expert's warning or error.
void check_without_complaint(capture_file const& file, std::size_t packets)
{
    auto said = file.fields({"frame.number", "_ws.malformed"}, child_errors::merged);
    auto const root = said.find("Running as user");
    if (root != std::string::npos)
        said.erase(root, said.find('\n', root) + 1 - root);
    std::string expected;
    for (std::size_t number = 1; number <= packets; ++number)
        expected += std::to_string(number) + "|\n";
    BOOST_TEST(said == expected);

    // A note says that a FIN begins the end, for example. Warnings and errors are above.
    constexpr unsigned long note = 0x00400000;
    std::istringstream severities{file.fields({"_ws.expert.severity"})};
    for (std::string line; std::getline(severities, line);)
    {
        std::istringstream values{line};
        for (std::string value; std::getline(values, value, ',');)
        {
            BOOST_TEST_INFO(line);
            BOOST_TEST(std::stoul(value) <= note);
        }
    }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(read_by_tshark, tshark_is_there)

BOOST_AUTO_TEST_CASE(a_made_capture_is_read_without_complaint)
{
    for (auto const* const address : {"127.0.0.1", "[::1]"})
    {
        std::string const local = address;
        conversation_log talk{local + ":40000", local + ":7777"};
        talk.segments[4].window = 65536;  // a closed window is worth a warning of its own
        capture_file const file{made(talk, 512)};
        check_without_complaint(file, 12);
        // Whole packets have checksums that tshark checks: 1 is good.
        capture_file const whole{made(talk, 1U << 20U)};
        check_without_complaint(whole, 12);
        auto const good = whole.fields({"tcp.checksum.status"});
        BOOST_TEST(good == "1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n");
    }
}

BOOST_AUTO_TEST_CASE(tshark_sees_what_the_trace_says)
{
    conversation_log const talk;
    capture_file const file{made(talk, 512)};
    BOOST_TEST(file.fields({"frame.time_epoch", "ip.checksum.status", "tcp.srcport", "tcp.flags", "tcp.seq", "tcp.ack",
                   "tcp.len", "tcp.window_size"}) == "1764400000.000000000|1|40000|0x0002|0|0|0|65535\n"
                                                     "1764400000.000001001|1|7777|0x0012|0|1|0|65535\n"
                                                     "1764400000.000002002|1|40000|0x0010|1|1|0|262140\n"
                                                     "1764400000.000003003|1|40000|0x0010|1|1|65467|131072\n"
                                                     "1764400000.000003003|1|40000|0x0010|65468|1|65467|131072\n"
                                                     "1764400000.000003003|1|40000|0x0010|130935|1|65467|131072\n"
                                                     "1764400000.000003003|1|40000|0x0018|196402|1|3599|131072\n"
                                                     "1764400000.000004004|1|7777|0x0010|1|200001|0|0\n"
                                                     "1764400000.000005005|1|40000|0x0011|200001|1|0|262140\n"
                                                     "1764400000.000006006|1|7777|0x0018|1|200002|5|262140\n"
                                                     "1764400000.000007007|1|7777|0x0011|6|200002|0|262140\n"
                                                     "1764400000.000008008|1|40000|0x0010|200002|7|0|262140\n");
    auto const comments = file.fields({"frame.comment"});
    BOOST_TEST(comments.starts_with("Made by duet: this packet was not captured. Its window is not known."));
    BOOST_TEST(comments.find("Caused by event 1: connect(), session 1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_real_capture_is_read_without_complaint)
{
    conversation_log const talk;
    capture_file const file{captured(talk)};
    auto said = file.fields({"tcp.flags", "_ws.malformed"}, child_errors::merged);
    BOOST_TEST(said.ends_with("0x0002|\n0x0012|\n0x0010|\n0x0018|\n0x0010|\n0x0011|\n0x0018|\n0x0011|\n0x0010|\n"));
}

BOOST_AUTO_TEST_SUITE_END()
