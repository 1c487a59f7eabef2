// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The lines of a connection while it goes on: each thing once, as soon as it is known, and in the columns of the
// picture.

#define BOOST_TEST_MODULE trace.live
#include <duet/live_diagram.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trace/stories.hpp"

using duet::live_diagram;
using duet::trace_kind;
using duet::trace_log;
using duet_test::trace::story;

namespace {

/// What the story has told since the event `seen`.
trace_log since(story const& it, std::uint64_t seen)
{
    auto result = it.log;
    std::erase_if(result.events, [&](auto const& event) { return event.number <= seen; });
    return result;
}

/// Gives a live diagram what the story has told since the last time.
class listener
{
public:
    explicit listener(std::uint32_t number, duet::live_diagram_options options = {80, false, false, ""})
        : live_{number, std::move(options)}
    {
    }

    std::string hear(story const& it)
    {
        auto const lines = live_.add(since(it, seen_));
        seen_ = it.log.events.size();
        return lines;
    }

    std::string verdict() const { return live_.verdict(); }

private:
    live_diagram live_;
    std::uint64_t seen_ = 0;
};

std::vector<std::string> lines_of(std::string_view text)
{
    std::vector<std::string> result;
    while (!text.empty())
    {
        result.emplace_back(text.substr(0, text.find('\n')));
        text.remove_prefix(result.back().size() + 1);
    }
    return result;
}

/// "SYN >", "PSH, ACK 6 bytes <": the arrows of these lines, which are 80 wide.
std::vector<std::string> arrows(std::string_view text)
{
    std::vector<std::string> result;
    for (auto const& line : lines_of(text))
    {
        auto const wire = line.substr(33, 25);
        auto const begin = wire.find_first_not_of("<- ");
        if (begin == wire.npos || wire.find('-') == wire.npos)
            continue;
        auto const end = wire.find_last_not_of(">- ");
        result.push_back(wire.substr(begin, end - begin + 1) + (wire.front() == '<' ? " <" : " >"));
    }
    return result;
}

/// The lines of what is told one event after the other.
std::string event_by_event(story const& whole, std::uint32_t number, std::string* verdict = nullptr)
{
    live_diagram live{number, {80, false, false, ""}};
    std::string result;
    auto more = whole.log;
    for (auto const& event : whole.log.events)
    {
        if (verdict != nullptr)
            BOOST_TEST(live.verdict() == "");
        more.events = {event};
        result += live.add(more);
    }
    if (verdict != nullptr)
        *verdict = live.verdict();
    return result;
}

void check_arrows(std::string const& text, std::vector<std::string> const& expected)
{
    BOOST_TEST_INFO(text);
    BOOST_TEST(arrows(text) == expected, boost::test_tools::per_element());
}

void check_has(std::string const& text, std::vector<std::string> const& words)
{
    std::size_t from = 0;
    for (auto const& each : words)
    {
        auto const at = text.find(each, from);
        BOOST_TEST_INFO("no '" << each << "' there in\n" << text);
        BOOST_TEST(at != text.npos);
        from = at == text.npos ? from : at + each.size();
    }
}

void check_lacks(std::string const& text, std::string_view words)
{
    BOOST_TEST_INFO(text);
    BOOST_TEST(text.find(words) == text.npos);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_has_happened_is_drawn_at_once_and_never_again)
{
    story it{false, true};
    listener live{story::server};
    BOOST_TEST(live.hear(it) == "");
    it.add(story::server, trace_kind::begin, "accept");
    auto const read = it.call(story::server, "read_some", 4096);
    auto lines = live.hear(it);
    check_arrows(lines, {"SYN >", "SYN, ACK <", "ACK >"});
    check_has(lines, {"client (SYN_SENT) |", "| accept\n"});
    BOOST_TEST(live.hear(it) == "");

    it.at(1'000'000).transfer(story::server, "receive", 6);
    it.result(story::server, "read_some", read, 6);
    BOOST_TEST(live.hear(it) == "  1.0000 s               client |--- PSH, ACK 6 bytes --->| read_some: 6 bytes\n");

    it.at(2'000'000).call(story::server, "write", 6);
    it.transfer(story::server, "send", 6);
    check_arrows(live.hear(it), {"PSH, ACK 6 bytes <"});
    it.result(story::server, "write", it.log.events.size() - 1, 6);
    check_arrows(live.hear(it), {});
    BOOST_TEST(live.verdict() == "");
}

BOOST_AUTO_TEST_CASE(one_event_at_a_time_makes_the_same_arrows_as_all_at_once)
{
    std::string verdict;
    auto const client = event_by_event(duet_test::trace::whole_flow(true, false), story::client, &verdict);
    BOOST_TEST(verdict == "both ends finished, the client first");
    std::vector<std::string> const flow{"SYN >", "SYN, ACK <", "ACK >", "PSH, ACK 5 bytes >", "FIN, ACK >", "ACK <",
        "PSH, ACK 12 bytes <", "FIN, ACK <", "ACK >"};
    check_arrows(client, flow);
    check_has(client, {"connect", "write 5 bytes", "shutdown_send", "read_some: 12 bytes", "close"});
    check_lacks(client, "write: 5 bytes");

    auto const server = event_by_event(duet_test::trace::whole_flow(false, true), story::server, &verdict);
    BOOST_TEST(verdict == "both ends finished, the client first");
    check_arrows(server, flow);
    live_diagram at_once{story::server, {80, false, false, ""}};
    auto const lines = at_once.add(duet_test::trace::whole_flow(false, true).log);
    check_lacks(lines, "write: 12 bytes");
    check_has(lines, {"accept", "read_some: 5 bytes", "read_some: end", "write 12 bytes", "close"});
}

BOOST_AUTO_TEST_CASE(a_reset_is_drawn_once_and_says_who)
{
    std::string verdict;
    check_arrows(event_by_event(duet_test::trace::abort_by_client(true, false), story::client, &verdict),
        {"SYN >", "SYN, ACK <", "ACK >", "RST, ACK >"});
    BOOST_TEST(verdict == "aborted by the client");
    check_arrows(event_by_event(duet_test::trace::abort_by_client(false, true), story::server, &verdict),
        {"SYN >", "SYN, ACK <", "ACK >", "RST, ACK >"});
    BOOST_TEST(verdict == "reset by the client");
    check_arrows(event_by_event(duet_test::trace::refused(), story::client), {"SYN >", "RST, ACK <"});
}

BOOST_AUTO_TEST_CASE(a_syn_without_an_answer_yet_is_not_lost)
{
    story it{true, false};
    listener live{story::client};
    auto const connect = it.call(story::client, "connect");
    auto const sent = live.hear(it);
    check_arrows(sent, {"SYN >"});
    check_lacks(sent, "lost");
    it.at(700'000).result(story::client, "connect", connect);
    it.add(story::client, trace_kind::begin, "connect");
    check_arrows(live.hear(it), {"SYN, ACK <", "ACK >"});
}

BOOST_AUTO_TEST_CASE(sequence_numbers_wrap_around)
{
    story it{true, false};
    listener live{story::client};
    it.connect();
    live.hear(it);
    for (int i = 0; i != 10; ++i)
    {
        it.write(story::client, 1'000'000'000);
        check_arrows(live.hear(it), {"PSH, ACK 1 GB >"});
        it.read(story::client, 1'000'000'000);
        check_arrows(live.hear(it), {"PSH, ACK 1 GB <"});
    }
    it.finish(story::client);
    check_arrows(live.hear(it), {"FIN, ACK >"});
}

BOOST_AUTO_TEST_CASE(who_has_sent_its_fin_has_another_line_from_then_on)
{
    story it{false, true};
    listener live{story::server};
    it.add(story::server, trace_kind::begin, "accept");
    it.read_end(story::server);
    live.hear(it);
    it.write(story::server, 3);
    auto const lines = live.hear(it);
    check_arrows(lines, {"PSH, ACK 3 bytes <"});
    check_has(lines, {"client :<--", "--| write 3 bytes"});
}

BOOST_AUTO_TEST_CASE(much_at_once_becomes_a_line)
{
    story it{true, false};
    listener live{story::client};
    it.connect();
    live.hear(it);
    for (int i = 0; i != 300; ++i)
        it.write(story::client, 1000);
    auto const lines = live.hear(it);
    BOOST_TEST_INFO(lines);
    BOOST_TEST(lines_of(lines).size() < 40U);
    check_has(lines, {"PSH, ACK 1000 bytes", "... ", " segments", " kB", "PSH, ACK 1000 bytes"});
    BOOST_TEST(live.hear(it) == "");
}

BOOST_AUTO_TEST_CASE(each_line_has_the_prefix_and_fits)
{
    auto const log = duet_test::trace::whole_flow(false, true).log;
    for (std::size_t const width : {48U, 60U, 80U, 120U})
    {
        live_diagram live{story::server, {width, false, false, "12 "}};
        for (auto const& line : lines_of(live.add(log)))
        {
            BOOST_TEST_INFO(line);
            BOOST_TEST((line.starts_with("12 ") && line.size() <= std::max<std::size_t>(width, 51)));
        }
    }
    auto const plain = live_diagram{story::server, {80, true, false, "1 "}}.add(log);
    BOOST_TEST_INFO(plain);
    BOOST_TEST((plain.find("\u2502") != plain.npos && plain.find('\033') == plain.npos));
    auto const coloured = live_diagram{story::server, {80, true, true, "1 "}}.add(log);
    BOOST_TEST_INFO(coloured);
    BOOST_TEST(coloured.find("\033[32m") != coloured.npos);
}

BOOST_AUTO_TEST_CASE(what_a_peer_says_is_no_command_to_the_terminal)
{
    story it{true, false};
    it.connect();
    it.add(story::client, trace_kind::note, "");
    it.last().text = "\033[2Jred\n\x9b";
    auto const lines = live_diagram{story::client, {80, true, false, ""}}.add(it.log);
    check_has(lines, {"red"});
    check_lacks(lines, "\033");
    check_lacks(lines, "\x9b");
}

BOOST_AUTO_TEST_CASE(other_connections_are_not_its_own)
{
    auto const log = duet_test::trace::whole_flow().log;
    live_diagram other{3};
    BOOST_TEST(other.add(log) == "");
    BOOST_TEST(other.verdict() == "");
    auto const both = live_diagram{story::server, {80, false, false, ""}}.add(log);
    auto alone = log;
    alone.sessions.erase(alone.sessions.begin());
    BOOST_TEST(both == (live_diagram{story::server, {80, false, false, ""}}.add(alone)));
}
