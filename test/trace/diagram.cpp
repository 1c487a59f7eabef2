// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE trace_diagram
#include <boost/test/unit_test.hpp>

#include <duet/detail/trace/printable.hpp>
#include <duet/diagram.hpp>
#include <duet/trace_segments.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "trace/markup.hpp"
#include "trace/stories.hpp"

namespace {

using namespace duet_test::trace;

duet::diagram picture_of(story const& it, duet::diagram_options const& options = {})
{
    return duet::diagram(it.log, it.log.sessions.front().number, options);
}

bool has(std::string const& text, std::string const& what)
{
    return text.find(what) != std::string::npos;
}

std::vector<std::string> lines_of(std::string const& text)
{
    std::vector<std::string> result;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        result.push_back(line);
    return result;
}

std::vector<std::pair<char const*, story>> all_stories()
{
    std::vector<std::pair<char const*, story>> result;
    result.emplace_back("whole flow", whole_flow());
    result.emplace_back("client alone", whole_flow(true, false));
    result.emplace_back("server alone", whole_flow(false, true));
    result.emplace_back("abort", abort_by_client());
    result.emplace_back("refused", refused());
    result.emplace_back("unanswered", unanswered());
    result.emplace_back("unread input", unread_input());
    result.emplace_back("simultaneous close", simultaneous_close());
    result.emplace_back("peer vanishes", peer_vanishes());
    result.emplace_back("closed peer", write_to_closed_peer());
    result.emplace_back("download", download(300, 1448));
    result.emplace_back("nothing", story());
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_conversation_as_text)
{
    BOOST_TEST(picture_of(whole_flow()).text(80) ==
               R"(127.0.0.1:40312 to 127.0.0.1:7777
both ends finished, the client first
client: clean: 12 bytes received, 5 sent
server: clean: 5 bytes received, 12 sent

                        client                              server
               127.0.0.1:40312                              127.0.0.1:7777
                      (CLOSED) |                          | (LISTEN)
     0 us              connect |---------- SYN ---------->| (SYN_RECV)
                    (SYN_SENT) |                          |
    55 us        connect: done |<------- SYN, ACK --------|
                 (ESTABLISHED) |                          |
   110 us                      |---------- ACK ---------->| accept
                               |                          | (ESTABLISHED)
   130 us        write 5 bytes |---- PSH, ACK 5 bytes --->| read_some: 5 bytes
   200 us                      |<--------- ACK -----------|
   220 us        shutdown_send |-------- FIN, ACK ------->| read_some: end
                   (FIN_WAIT1) |   <     <     <     <    | (CLOSE_WAIT)
   280 us          (FIN_WAIT2) :<--------- ACK -----------|
   300 us  read_some: 12 bytes :<-- PSH, ACK 12 bytes ----| write 12 bytes
   370 us                      :---------- ACK ---------->|
   390 us       read_some: end :<------- FIN, ACK --------| close
                   (TIME_WAIT) :                          | (LAST_ACK)
   450 us                      :---------- ACK ---------->: (CLOSED)
   470 us                close :                          :

--> inferred   (STATE) inferred   : has sent its FIN   < half-closed: only
server to client
)");
}

BOOST_AUTO_TEST_CASE(the_states_before_a_handshake_are_above_it)
{
    for (auto const& it : {whole_flow(), whole_flow(true, false), whole_flow(false, true)})
    {
        auto const text = picture_of(it).text();
        BOOST_TEST(text.find("(CLOSED)") < text.find("- SYN -"));
        BOOST_TEST(text.find("(LISTEN)") < text.find("- SYN -"));
    }
}

BOOST_AUTO_TEST_CASE(segments_that_cross_are_drawn_crossing)
{
    auto const text = picture_of(simultaneous_close()).terminal(80, false);
    BOOST_TEST(count_of(text, "╳") == 1U);
    BOOST_TEST(has(text, "╲"));
    BOOST_TEST(has(text, "╱"));
    BOOST_TEST(count_of(picture_of(whole_flow()).terminal(80, false), "╳") == 0U);
    BOOST_TEST(has(picture_of(simultaneous_close()).mermaid(), "C-->>S: FIN, ACK (crosses another)"));
}

// What follows one that crosses another does not overtake it, unless it says so: the clocks of a trace may differ.
BOOST_AUTO_TEST_CASE(an_arrow_that_has_arrived_when_it_was_sent_is_straight)
{
    story it;
    auto const add = [&](bool from_client, std::uint32_t sequence, int sent, int received)
    {
        it.add(story::client, duet::trace_kind::segment, "");
        auto& segment = it.last().segment.emplace();
        segment.from_client = from_client;
        segment.flags = duet::tcp_flags::psh | duet::tcp_flags::ack;
        segment.sequence = sequence;
        segment.bytes = 5;
        segment.sent = std::chrono::microseconds(sent);
        segment.received = std::chrono::microseconds(received);
    };
    for (int const arrival : {200, 190})
    {
        it = story();
        add(true, 1, 100, 300);
        add(false, 1, 150, 250);
        add(true, 6, 200, arrival);
        auto const lines = lines_of(picture_of(it).text(80));
        BOOST_TEST(
            std::count_if(lines.begin(), lines.end(), [](auto const& line) { return has(line, "200 us"); }) == 1);
        BOOST_TEST(std::none_of(lines.begin(), lines.end(), [](auto const& line) { return has(line, "190 us"); }));
        auto const row = std::find_if(lines.begin(), lines.end(), [](auto const& line) { return has(line, "200 us"); });
        BOOST_TEST(has(*row, ">|"));
        BOOST_TEST(!has(*(row + 1), "PSH, ACK"));
    }
}

BOOST_AUTO_TEST_CASE(a_fin_that_never_arrived_ends_no_direction)
{
    story it(true, false);
    it.connect();
    it.write(story::client, 5);
    it.read(story::client, 5);
    it.at(2'000'000).finish(story::client);
    auto const read = it.call(story::client, "read_some", 4096);
    it.at(12'000'000).result(story::client, "read_some", read, 0, duet::errc::dead_peer);
    it.end(story::client, duet::close_reason::dead_peer, "the peer no longer answers");
    auto const text = picture_of(it).text();
    BOOST_TEST(has(text, "FIN, ACK lost"));
    BOOST_TEST(!has(text, "half-closed"));
}

// What the program says is between the lifelines, from the first event of the connection to its last.
BOOST_AUTO_TEST_CASE(notes_of_the_program_are_in_every_format)
{
    story it;
    auto const note = [&](std::string text)
    {
        it.log.events.push_back(it.log.events.empty() ? duet::trace_event{} : it.log.events.back());
        auto& event = it.last();
        event.session = 0;
        event.number = it.log.events.size();
        event.kind = duet::trace_kind::note;
        event.text = std::move(text);
    };
    note("too early");
    it.connect();
    it.finish(story::server, "close");
    it.read_end(story::client);
    note("a word");
    it.finish(story::client, "close");
    note("too late");
    auto const picture = picture_of(it);
    for (auto const& text : {picture.text(), picture.terminal(), picture.svg(), picture.html(), picture.mermaid()})
    {
        BOOST_TEST(has(text, "a word"));
        BOOST_TEST(!has(text, "too early</text>"));
        BOOST_TEST(!has(text, "too late</text>"));
    }
    BOOST_TEST(has(picture.mermaid(), "Note over C,S: a word"));
    BOOST_TEST(!has(picture.text(), "too"));
    // Nothing else is in its line: it may be in a half-closed stretch.
    for (auto const& line : lines_of(picture.text(100)))
        if (has(line, "a word"))
            BOOST_TEST(line.find_first_of("<>") == line.npos);
}

BOOST_AUTO_TEST_CASE(a_lost_segment_ends_half_way)
{
    auto const text = picture_of(unanswered()).text();
    BOOST_TEST(count_of(text, "SYN lost") == 1U);
    BOOST_TEST(count_of(text, "SYN, repeated lost") == 2U);
    BOOST_TEST(!has(text, ">|"));
    BOOST_TEST(has(text, "x lost"));  // the legend
    BOOST_TEST(count_of(picture_of(unanswered()).mermaid(), "C--xS: SYN (lost)") == 1U);
    BOOST_TEST(count_of(picture_of(unanswered()).mermaid(), "C--xS: SYN, repeated (lost)") == 2U);
    BOOST_TEST(has(picture_of(peer_vanishes()).svg(), "PSH, ACK 7 bytes, lost"));
}

BOOST_AUTO_TEST_CASE(the_title_says_who_ended_it_and_why)
{
    auto const second_line = [](story const& it) { return lines_of(picture_of(it).text()).at(1); };
    BOOST_TEST(second_line(whole_flow()) == "both ends finished, the client first");
    BOOST_TEST(second_line(abort_by_client()) == "aborted by the client");
    BOOST_TEST(second_line(abort_by_client(false, true)) == "reset by the client");
    BOOST_TEST(second_line(refused()) == "connect failed: Connection refused");
    BOOST_TEST(second_line(unread_input()) == "dropped by the server without close(), which reset it");
    BOOST_TEST(second_line(peer_vanishes()) == "the server no longer answered");

    duet::diagram_options options;
    options.title = "a title of my own";
    BOOST_TEST(lines_of(picture_of(whole_flow(), options).text()).at(0) == "a title of my own");
}

BOOST_AUTO_TEST_CASE(a_long_run_of_bytes_is_one_line_and_its_ends_stay)
{
    auto const text = picture_of(download(300, 1448)).text();
    BOOST_TEST(lines_of(text).size() < 45U);
    BOOST_TEST(has(text, "... 596 segments,"));
    BOOST_TEST(has(text, "432 kB, 1.51 s ..."));
    BOOST_TEST(has(text, "SYN, ACK"));
    BOOST_TEST(has(text, "FIN, ACK"));
    BOOST_TEST(count_of(text, "1448 bytes ") >= 2U);
    for (std::size_t const width : {48U, 60U, 80U})
        for (auto const& drawn :
            {picture_of(download(300, 1448)).text(width), picture_of(download(300, 1448)).terminal(width, false)})
        {
            BOOST_TEST_INFO(drawn);
            BOOST_TEST(has(drawn, "596 segments,"));
            BOOST_TEST(has(drawn, "432 kB"));
            for (char const* const torn : {". segments", "\u2026 segments", ". s ", "\u2026 s ", ". kB", "\u2026 kB"})
                BOOST_TEST(!has(drawn, torn));
        }

    duet::diagram_options options;
    options.fold_after = 0;
    BOOST_TEST(count_of(picture_of(download(300, 1448), options).text(), "PSH, ACK") == 301U);
    BOOST_TEST(!has(picture_of(download(3, 1448)).text(), "segments,"));
}

BOOST_AUTO_TEST_CASE(acknowledgements_can_be_left_out)
{
    duet::diagram_options options;
    options.acknowledgements = false;
    auto const text = picture_of(whole_flow(), options).text();
    BOOST_TEST(count_of(text, " ACK -") < count_of(picture_of(whole_flow()).text(), " ACK -"));
    BOOST_TEST(has(text, "(FIN_WAIT2)"));  // what changes a state stays
    BOOST_TEST(has(text, "(ESTABLISHED)"));
}

BOOST_AUTO_TEST_CASE(observed_differs_from_inferred)
{
    auto it = whole_flow();
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    for (auto segment : segments)
    {
        it.add(story::client, duet::trace_kind::segment, "");
        segment.evidence = duet::evidence::observed;
        it.last().segment = segment;
    }
    for (auto& event : it.log.events)
        if (event.session == story::client && event.name == "connect" && event.kind == duet::trace_kind::result)
        {
            event.kernel.emplace();
            event.kernel->state = duet::tcp_state::established;
        }
    auto const text = picture_of(it).text();
    BOOST_TEST(has(text, "|========== SYN ==========>|"));
    BOOST_TEST(has(text, "==> captured"));
    BOOST_TEST(!has(text, "--> inferred"));
    BOOST_TEST(has(text, "[ESTABLISHED] |"));
    BOOST_TEST(has(text, "[STATE] the kernel said so"));
    BOOST_TEST(has(picture_of(it).mermaid(), "C->>S: SYN"));
}

BOOST_AUTO_TEST_CASE(no_line_is_wider_than_asked)
{
    for (auto const& [name, it] : all_stories())
        for (std::size_t const width : {48U, 80U, 120U, 200U})
        {
            BOOST_TEST_INFO_SCOPE(name);
            for (auto const& line : lines_of(picture_of(it).text(width)))
                BOOST_TEST(line.size() <= width);
            for (auto const& line : lines_of(picture_of(it).terminal(width, false)))
                BOOST_TEST(duet::detail::columns(line) <= width);
        }
}

BOOST_AUTO_TEST_CASE(text_is_ascii_and_colours_are_asked_for)
{
    for (auto const& [name, it] : all_stories())
    {
        BOOST_TEST_INFO_SCOPE(name);
        for (char const each : picture_of(it).text())
            BOOST_TEST(static_cast<unsigned char>(each) < 0x80);
        BOOST_TEST(!has(picture_of(it).terminal(80, false), "\033"));
    }
    auto const coloured = picture_of(whole_flow()).terminal(80, true);
    BOOST_TEST(has(coloured, "\033[36m(SYN_SENT)\033[0m"));
    BOOST_TEST(count_of(coloured, "\033[") == 2 * count_of(coloured, "\033[0m"));
}

BOOST_AUTO_TEST_CASE(an_image_is_well_formed_and_refers_to_nothing)
{
    for (auto const& [name, it] : all_stories())
        for (int const width : {0, 380, 960, 100'000})
        {
            BOOST_TEST_INFO_SCOPE(name << ", " << width);
            auto const svg = picture_of(it).svg(width);
            BOOST_TEST(xml_fault(svg) == "");
            BOOST_TEST(count_of(svg, "http") == 1U);  // the name of the language
            BOOST_TEST(!has(svg, "href"));
            BOOST_TEST(!has(svg, "url("));
        }
}

BOOST_AUTO_TEST_CASE(a_page_has_every_event_and_refers_to_nothing)
{
    for (auto const& [name, it] : all_stories())
    {
        BOOST_TEST_INFO_SCOPE(name);
        auto const page = picture_of(it).html();
        for (std::size_t at = page.find("<svg"); at != page.npos; at = page.find("<svg", at + 1))
            BOOST_TEST(xml_fault(page.substr(at, page.find("</svg>", at) + 6 - at)) == "");
        BOOST_TEST(count_of(page, "<svg") == 2U);
        BOOST_TEST(count_of(page, "http:") == 2U);
        BOOST_TEST(!has(page, "https:"));
        BOOST_TEST(!has(page, "src="));
        BOOST_TEST(!has(page, "<link"));
        BOOST_TEST(count_of(page, "<tr><td>") == it.log.events.size());
        for (auto const& event : it.log.events)
            BOOST_TEST(has(page, "<tr><td>" + std::to_string(event.number) + "</td>"));
        auto const table = page.substr(page.find("<table>"));
        BOOST_TEST(!has(table, "time: "));
        BOOST_TEST(!has(table, "event: "));
        // What can be chosen has a name, and can be reached.
        BOOST_TEST(count_of(page, "<g class=\"item ") == count_of(page, " role=\"img\" tabindex=\"-1\" data-i=\""));
        BOOST_TEST(!has(page, "p.addEventListener('focus"));  // Chromium would focus the image
    }
}

BOOST_AUTO_TEST_CASE(mermaid_has_statements_of_its_own_only)
{
    for (auto const& [name, it] : all_stories())
    {
        BOOST_TEST_INFO_SCOPE(name);
        auto const lines = lines_of(picture_of(it).mermaid());
        BOOST_TEST(lines.at(0) == "sequenceDiagram");
        int depth = 0;
        for (std::size_t at = 1; at != lines.size(); ++at)
        {
            auto const line = lines[at].substr(4);
            bool const known = line.starts_with("accTitle: ") || line.starts_with("participant ") ||
                               line.starts_with("Note ") || line.starts_with("C-") || line.starts_with("S-") ||
                               line.starts_with("rect ") || line == "end";
            BOOST_TEST(known);
            depth += line.starts_with("rect ") ? 1 : line == "end" ? -1 : 0;
            BOOST_TEST((depth == 0 || depth == 1));
        }
        BOOST_TEST(depth == 0);
    }
}

BOOST_AUTO_TEST_CASE(what_a_peer_says_is_text_in_every_format)
{
    std::string const hostile = "</script><b onclick='x'>&amp; \" %%{init}%% ; # \x1b]0;t\x07\n\r\u202Eevil\xFF";
    auto const saying = [](std::string const& words)
    {
        auto it = whole_flow();
        it.log.sessions.front().name = words;
        for (auto& event : it.log.events)
        {
            if (event.kind == duet::trace_kind::end)
                event.text = words;
            if (event.kind == duet::trace_kind::call || event.kind == duet::trace_kind::result)
                event.name += words;
        }
        return picture_of(it);
    };
    auto const picture = saying(hostile);
    for (auto const& text :
        {picture.text(), picture.terminal(80, false), picture.svg(), picture.mermaid(), picture.html()})
    {
        for (char const each : text)
            BOOST_TEST((static_cast<unsigned char>(each) >= 0x20 || each == '\n'));
        BOOST_TEST(!has(text, "\u202E"));
        BOOST_TEST(!has(text, "\xFF"));
        BOOST_TEST(has(text, "\\x1b]0"));
    }
    BOOST_TEST(xml_fault(picture.svg()) == "");
    auto const page = picture.html();
    BOOST_TEST(count_of(page, "</script>") == 1U);
    BOOST_TEST(!has(page, "<b "));
    auto const mermaid = picture.mermaid();
    BOOST_TEST(!has(mermaid, "%%"));
    BOOST_TEST(!has(mermaid, "<b "));
    BOOST_TEST(lines_of(mermaid).size() == lines_of(saying("words").mermaid()).size());
}

BOOST_AUTO_TEST_CASE(east_asian_text_takes_two_columns)
{
    BOOST_TEST(duet::detail::columns("连接 ok") == 7U);
    BOOST_TEST(duet::detail::columns("e\u0301") == 1U);
    BOOST_TEST(duet::detail::shortened("连接已关闭", 7, "…") == "连接已…");
    auto it = whole_flow();
    it.log.sessions.front().name = "连接连接连接连接连接连接连接连接";
    for (auto const& line : lines_of(picture_of(it).terminal(60, false)))
        BOOST_TEST(duet::detail::columns(line) <= 60U);
}

// Of the server, only the result of a write and the end are left: nothing tells when its FIN left, which is taken to
// have arrived at once, while the client's crosses the bytes.
BOOST_AUTO_TEST_CASE(there_is_a_picture_of_a_trace_that_lacks_most_events)
{
    story it;
    it.at(0).result(story::server, "write", 7, 1000);
    it.transfer(story::client, "fin");
    it.end(story::server, duet::close_reason::clean, "clean");
    it.transfer(story::client, "close");
    it.end(story::client, duet::close_reason::clean, "clean");
    auto const picture = picture_of(it);
    auto arrows = 0;
    for (auto const& line : lines_of(picture.text()))
        arrows += has(line, "FIN, ACK") ? 1 : 0;
    BOOST_TEST(arrows == 2);
    BOOST_TEST(xml_fault(picture.svg()) == "");
}

BOOST_AUTO_TEST_CASE(there_is_a_picture_of_a_session_that_is_not_there)
{
    duet::diagram const picture(duet::trace_log(), 7);
    BOOST_TEST(xml_fault(picture.svg()) == "");
    BOOST_TEST(!picture.text().empty());
    BOOST_TEST(!picture.html().empty());
    BOOST_TEST(has(picture.mermaid(), "sequenceDiagram"));
}
