// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A trace as a file: what is written is read again, from a file that is cut off, newer, or broken, too.

#define BOOST_TEST_MODULE trace.trace_file
#include <duet/trace_file.hpp>
#include <duet/trace_reader.hpp>

#include <boost/test/unit_test.hpp>

#include "support/failing_allocations.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <new>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using duet::trace_event;
using duet::trace_kind;
using duet::trace_log;

namespace {

template <class Number>
constexpr Number most = std::numeric_limits<Number>::max();

std::string written(trace_log const& log)
{
    std::ostringstream out;
    duet::write_trace(out, log);
    return out.str();
}

trace_log read(std::string const& text, duet::trace_read_report* report = nullptr)
{
    std::istringstream in{text};
    return duet::read_trace(in, report);
}

// Every member is at an end of its range, or has another value than at the begin.
trace_event extreme_event(trace_kind kind)
{
    trace_event event;
    event.number = most<std::uint64_t>;
    event.time = std::chrono::nanoseconds::max();
    event.session = most<std::uint32_t>;
    event.kind = kind;
    event.evidence = duet::evidence::inferred;
    event.name = "read_some";
    event.call = most<std::uint64_t> - 1;
    event.bytes = most<std::uint64_t> - 2;
    event.error = {"system", std::numeric_limits<int>::min(), "Connection reset by peer"};
    event.receive = duet::receive_state::failed;
    event.send = duet::send_state::finishing;
    event.reason = duet::close_reason::left_to_kernel;
    event.text = "post-mortem";
    auto& kernel = event.kernel.emplace();
    kernel = {duet::tcp_state::fin_wait_2, 1us, 2us, 3, 4, 5, 6, 7, 8, 9, most<std::uint64_t>, 11, 12, 13ms};
    auto& segment = event.segment.emplace();
    segment.from_client = false;
    segment.flags = static_cast<duet::tcp_flags>(0xff);
    segment.sequence = most<std::uint32_t>;
    segment.acknowledgement = most<std::uint32_t> - 1;
    segment.bytes = most<std::uint64_t>;
    segment.window = 0;
    segment.sent = std::chrono::nanoseconds::min();
    segment.received = 0ns;
    segment.lost = true;
    segment.evidence = duet::evidence::observed;
    segment.cause = 21;
    segment.told = 22;
    return event;
}

trace_log small_log()
{
    trace_log log;
    log.program = "test";
    log.began = std::chrono::system_clock::time_point{1s};
    log.sessions = {{1, true, "127.0.0.1:40000", "127.0.0.1:80", ""}};
    for (auto const number : {1U, 2U})
    {
        trace_event event;
        event.number = number;
        event.session = 1;
        event.name = "read";
        event.kind = number == 1 ? trace_kind::call : trace_kind::result;
        log.events.push_back(event);
    }
    return log;
}

std::string const header = R"({"line":"duet_trace","version":1,"began_ns":0})"
                           "\n";

void check_refused(std::string const& text, std::size_t line, std::size_t column, std::string const& what)
{
    BOOST_TEST_INFO(text);
    BOOST_CHECK_EXCEPTION(read(text), duet::trace_format_error,
        [&](duet::trace_format_error const& error)
        {
            BOOST_TEST(error.line() == line);
            BOOST_TEST(error.column() == column);
            BOOST_TEST(
                error.what() == "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + what);
            return true;
        });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_reads_as_documented)
{
    auto log = small_log();
    log.lost = 3;
    log.events.pop_back();
    log.events[0].time = 1500ns;
    auto& segment = log.events[0].segment.emplace();
    segment.flags = duet::tcp_flags::syn | duet::tcp_flags::ack;
    segment.window = 65535;
    BOOST_TEST(written(log) ==
               R"({"line":"duet_trace","version":1,"program":"test","began_ns":1000000000})"
               "\n"
               R"({"line":"session","number":1,"client":true,"local":"127.0.0.1:40000","remote":"127.0.0.1:80"})"
               "\n"
               R"({"line":"event","number":1,"time_ns":1500,"session":1,"kind":"call","name":"read",)"
               R"("segment":{"flags":["SYN","ACK"],"window":65535}})"
               "\n"
               R"({"line":"lost","events":3})"
               "\n");
}

BOOST_AUTO_TEST_CASE(every_member_of_every_kind_comes_back)
{
    trace_log log;
    log.program = "a program";
    log.began = std::chrono::system_clock::time_point::max();
    log.lost = most<std::uint64_t>;
    log.sessions = {{0, false, "", "", ""}, {1, true, "[::1]:1", "/a/path", "name"}};
    for (auto kind : {trace_kind::begin, trace_kind::call, trace_kind::result, trace_kind::transfer, trace_kind::state,
             trace_kind::segment, trace_kind::end, trace_kind::lost, trace_kind::note})
    {
        log.events.push_back(extreme_event(kind));
        log.events.insert(log.events.begin(), trace_event{});
        log.events.front().kind = kind;
    }
    duet::trace_read_report report;
    BOOST_TEST((read(written(log), &report) == log));
    BOOST_TEST(!report.cut_off);
    BOOST_TEST(report.skipped == 0U);
}

// One member at a time is other than at the begin, so none hides behind another.
BOOST_AUTO_TEST_CASE(every_state_comes_back)
{
    auto log = small_log();
    for (unsigned number = 0; number < duet::close_reasons; ++number)
        log.events.emplace_back().reason = static_cast<duet::close_reason>(number);
    for (unsigned number = 0; number <= static_cast<unsigned>(duet::tcp_state::closing); ++number)
        log.events.emplace_back().kernel.emplace().state = static_cast<duet::tcp_state>(number);
    for (unsigned number = 0; number < 3; ++number)
        log.events.emplace_back().receive = static_cast<duet::receive_state>(number);
    for (unsigned number = 0; number < 4; ++number)
        log.events.emplace_back().send = static_cast<duet::send_state>(number);
    for (unsigned flags = 0; flags <= 0xff; ++flags)
        log.events.emplace_back().segment.emplace().flags = static_cast<duet::tcp_flags>(flags);
    log.events.emplace_back().error.value = 7;
    log.events.emplace_back().segment.emplace().sent = 0ns;
    BOOST_TEST((read(written(log)) == log));
}

BOOST_AUTO_TEST_CASE(any_bytes_of_a_text_come_back)
{
    std::string every;
    for (unsigned byte = 0; byte <= 0xff; ++byte)
        every += static_cast<char>(byte);
    std::vector<std::string> const texts{every, every.substr(0, 0x80), "\"\\\b\f\n\r\t/\x7f",
        "Grüße, 简体中文, \U0001F980", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xe4\xb8", "\xc3", "\x80", "\xf0\x8f\xbf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf",
        "\xe2\x80\xa8", std::string(1, '\0')};
    auto log = small_log();
    for (auto const& text : texts)
    {
        log.program = log.sessions[0].name = log.sessions[0].local = text;
        log.events[0].name = log.events[0].text = log.events[0].error.text = log.events[0].error.category = text;
        auto const file = written(log);
        BOOST_TEST((read(file) == log));
        BOOST_TEST(std::count(file.begin(), file.end(), '\n') == 4);
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_utf8_is_written_byte_for_byte)
{
    auto log = small_log();
    log.program = "a\"\xff\x80";
    BOOST_TEST(written(log).starts_with(
        "{\"line\":\"duet_trace\",\"version\":1,\"program\":{\"latin1\":\"a\\\"\u00ff\u0080\"},\"began_ns\":"));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_anywhere_is_read_up_to_there)
{
    auto log = small_log();
    log.sessions[0].name = "Grüße";
    log.events[1].text = "\xff";
    auto const whole = written(log);
    for (std::size_t size = 0; size <= whole.size(); ++size)
    {
        auto const part = whole.substr(0, size);
        duet::trace_read_report report;
        auto const got = read(part, &report);
        // A line without its newline is whole, too.
        auto lines = static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
        bool const whole_line = size < whole.size() ? whole[size] == '\n' : true;
        lines += size < whole.size() && whole_line ? 1 : 0;
        BOOST_TEST_INFO(part);
        BOOST_TEST(got.sessions.size() == (lines > 1 ? 1U : 0U));
        BOOST_TEST(got.events.size() == (lines > 2 ? lines - 2 : 0));
        BOOST_TEST(report.cut_off == !(whole_line || (size > 0 && part.back() == '\n')));
    }
}

BOOST_AUTO_TEST_CASE(what_a_newer_duet_writes_is_skipped)
{
    duet::trace_read_report report;
    auto const log =
        read(header + R"({"line":"session","number":1,"colour":["red",{"a":null}]})"
                      "\n"
                      R"({"line":"event","number":1,"kind":"call","mood":1.5e300,"kernel":{"state":"new","pace":1}})"
                      "\n"
                      R"({"line":"event","number":2,"kind":"rumour"})"
                      "\n"
                      R"({"line":"event","number":3,"kind":"call","receive":"half_open"})"
                      "\n"
                      R"({"line":"event","number":4,"kind":"segment","segment":{"flags":["AE"]}})"
                      "\n"
                      R"({"line":"weather","sun":true})"
                      "\n\r\n"
                      R"( { "line" : "event", "number": 5, "kind": "note" } )"
                      "\r\n",
            &report);
    BOOST_TEST(report.skipped == 5U);
    BOOST_TEST(!report.cut_off);
    BOOST_TEST(log.sessions.size() == 1U);
    BOOST_TEST_REQUIRE(log.events.size() == 1U);
    BOOST_TEST(log.events[0].number == 5U);
}

BOOST_AUTO_TEST_CASE(lines_may_come_in_any_order)
{
    std::ostringstream out;
    duet::trace_writer writer{out, "", {}};
    writer.write(duet::trace_session{2, false, "", "", ""});
    for (auto const time : {30ns, 10ns, 30ns})
    {
        trace_event event;
        event.number = static_cast<std::uint64_t>(out.tellp());
        event.time = time;
        writer.write(event);
    }
    writer.write(duet::trace_session{1, true, "", "", "unknown yet"});
    writer.write_lost(1);
    writer.write(duet::trace_session{1, true, "", "", "known"});
    writer.write_lost(4);
    auto const log = read(out.str());
    BOOST_TEST(log.lost == 4U);
    BOOST_TEST_REQUIRE(log.sessions.size() == 2U);
    BOOST_TEST(log.sessions[0].name == "known");
    BOOST_TEST(log.sessions[1].number == 2U);
    BOOST_TEST_REQUIRE(log.events.size() == 3U);
    BOOST_TEST((log.events[0].time == 10ns));
    BOOST_TEST(log.events[1].number < log.events[2].number);
}

BOOST_AUTO_TEST_CASE(what_is_no_trace_is_refused_with_its_place)
{
    check_refused("hello\n", 1, 1, "syntax error");
    check_refused("[]\n", 1, 1, "a line of a trace has to be an object");
    check_refused("{}\n", 1, 1, "line is missing");
    check_refused(R"({"line":"event","kind":"call"})"
                  "\n",
        1, 2, R"(line has to be "duet_trace" in the first line)");
    check_refused(R"({"line":"duet_trace"})"
                  "\n",
        1, 1, "version is missing");
    check_refused(R"({"line":"duet_trace","version":2})"
                  "\n",
        1, 22, "version is 2: a newer duet is needed to read this");
    check_refused(header + header, 2, 2, R"(line is "duet_trace" again: this file has a second trace)");
    check_refused(header + "\n{\"line\":\"event\",}\n", 3, 17, "syntax error");
    check_refused(header + "{\"line\":\n", 2, 9, "the line ends within a value");
    check_refused(header + "{} {}\n", 2, 4, "there is something behind the value");
    check_refused(header + R"({"line":"event"})"
                           "\n",
        2, 1, "kind is missing");
}

BOOST_AUTO_TEST_CASE(a_value_that_does_not_fit_is_refused_with_its_place)
{
    auto const event = [](std::string const& members)
    { return header + R"({"line":"event","kind":"call",)" + members + "}\n"; };
    auto const number = "has to be a whole number from ";
    check_refused(event(R"("session":4294967296)"), 2, 31, std::string{"session "} + number + "0 to 4294967295");
    check_refused(event(R"("session":-1)"), 2, 31, std::string{"session "} + number + "0 to 4294967295");
    check_refused(event(R"("number":18446744073709551616)"), 2, 31,
        std::string{"number "} + number + "0 to 18446744073709551615");
    check_refused(event(R"("name":"bytes","text":"\"bytes\":","bytes":1.5)"), 2, 66,
        std::string{"bytes "} + number + "0 to 18446744073709551615");
    check_refused(event(R"("bytes":"1")"), 2, 31, std::string{"bytes "} + number + "0 to 18446744073709551615");
    check_refused(
        event(R"("name":1)"), 2, 31, R"(name has to be a string, or {"latin1": ...} with characters up to U+00FF)");
    check_refused(event(R"("name":{"latin1":"Ā"})"), 2, 31,
        R"(name has to be a string, or {"latin1": ...} with characters up to U+00FF)");
    check_refused(event(R"("reason":1)"), 2, 31, "reason has to be a string");
    check_refused(event(R"("error":1)"), 2, 31, "error has to be an object");
    check_refused(event(R"("kernel":null)"), 2, 31, "kernel has to be an object");
    check_refused(event(R"("kernel" : {"state":1})"), 2, 43, "kernel.state has to be a string");
    check_refused(event(R"("segment":{"lost":0})"), 2, 42, "segment.lost has to be true or false");
    check_refused(event(R"("segment":{"flags":"SYN"})"), 2, 42, "segment.flags has to be a list of strings");
    check_refused(event(R"("segment":{"flags":[1]})"), 2, 42, "segment.flags has to be a list of strings");
}

// A stream that needs no memory of its own.
class room_for_a_file : public std::streambuf
{
public:
    room_for_a_file() { setp(bytes_.data(), bytes_.data() + bytes_.size()); }

    std::string_view text() const { return {pbase(), static_cast<std::size_t>(pptr() - pbase())}; }

private:
    std::array<char, 8192> bytes_;
};

// Wherever memory fails, the program hears of it, and the next line is whole. A text grows before its last brace for
// some lengths only.
BOOST_AUTO_TEST_CASE(without_memory_a_line_is_left_out)
{
    auto event = extreme_event(trace_kind::result);
    auto const whole = [&](long before, room_for_a_file& room)
    {
        std::ostream out{&room};
        duet::trace_writer writer{out, "test", {}};
        duet_test::allocations_before_failure = before;
        duet_test::allocations_to_fail = 1;
        try
        {
            writer.write(event);
        }
        catch (std::bad_alloc const&)
        {
        }
        bool const failed = duet_test::allocations_to_fail == 0;
        duet_test::allocations_to_fail = 0;
        writer.write(small_log().events[0]);
        return !failed;
    };
    for (std::size_t length = 0; length < 700; ++length)
    {
        event.text.assign(length, 'x');
        bool all = false;
        for (long before = 0; !all; ++before)
        {
            room_for_a_file room;
            all = whole(before, room);
            auto const events = read(std::string{room.text()}).events;
            BOOST_TEST(events.size() == (all ? 2U : 1U));
            BOOST_TEST(events.front().name == "read");
        }
    }
}
