// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/tracing.md. What needs neither a peer nor a privilege is run, too.

#define BOOST_TEST_MODULE documented.tracing
#include <duet/connector.hpp>
#include <duet/diagram.hpp>
#include <duet/live_diagram.hpp>
#include <duet/merge.hpp>
#include <duet/pcapng.hpp>
#include <duet/post_mortem.hpp>
#include <duet/server.hpp>
#include <duet/session.hpp>
#include <duet/tap.hpp>
#include <duet/trace.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_segments.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <unistd.h>

#include "trace/conversation_log.hpp"

namespace {

void draw(duet::trace_log const& log)
{
    std::cout << duet::diagram{log, 1}.text(80);
    std::ofstream{"talk.html"} << duet::diagram{log, 1}.html();
}

[[maybe_unused]] void record(duet::server& server, duet::connector& connector, duet::session& session)
{
    duet::trace trace{{.program = "my_server"}};
    trace.attach(server);            // every session that it accepts from now on
    trace.attach(connector);         // every attempt to connect, and the sessions that come of it
    trace.attach(session, "admin");  // one session
    trace.note("reload");            // what the program has to say
}

void write(duet::trace const& trace)
{
    std::ofstream file{"trace.jsonl"};
    duet::write_trace(file, trace.log());
}

void record_to_a_file()
{
    duet::trace trace{{.program = "my_server", .file = "trace.jsonl"}};
    trace.note("reload");
}

std::string show(duet::live_diagram& live, duet::trace const& trace, std::uint64_t& seen)
{
    auto const more = trace.log(seen);
    for (auto const& event : more.events)
        seen = std::max(seen, event.number);
    return live.add(more);
}

[[maybe_unused]] void keep_the_last(duet::server& server)
{
    duet::trace recorder{{.program = "my_server", .last_events = 64, .on_unclean_end = [](duet::trace_log const& last) {
                              std::clog << duet::diagram{last, last.sessions.front().number}.text();
                          }}};
    recorder.attach(server);
}

[[maybe_unused]] void tell_ends(duet::server_options& options)
{
    options.on_session_end = [](duet::session_end const& end)
    { std::clog << end.peer << ": " << to_string(end.post_mortem) << '\n'; };
}

[[maybe_unused]] void capture(duet::trace_log& log, boost::asio::ip::tcp::endpoint const& endpoint)
{
    duet::tap tap{{.filters = {{endpoint}}}};  // where the server listens
    auto captured = tap.take();
    duet::merge(log, captured);  // log: a duet::trace_log
    std::ofstream file{"talk.pcapng", std::ios::binary};
    duet::write_pcapng(file, log, captured.segments);
}

void make_packets(std::ostream& file, duet::trace_log const& log)
{
    auto const& one = log.sessions.front();
    duet::write_pcapng(file, log, one, duet::segments_of(log, one));
}

// A directory of its own, because the files have fixed names.
class own_directory
{
public:
    own_directory()
    {
        std::filesystem::create_directory(own_);
        std::filesystem::current_path(own_);
    }

    own_directory(own_directory const&) = delete;
    own_directory& operator=(own_directory const&) = delete;

    ~own_directory()
    {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(own_);
    }

private:
    std::filesystem::path before_ = std::filesystem::current_path();
    std::filesystem::path own_ = before_ / ("documented." + std::to_string(::getpid()));
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_documented_writes_its_files)
{
    own_directory const here;
    duet_test::conversation_log const talk;
    draw(talk.log);
    BOOST_TEST(std::filesystem::file_size("talk.html") > 0U);

    duet::trace trace;
    trace.note("reload");
    duet::live_diagram live{1};
    std::uint64_t seen = 0;
    BOOST_TEST(show(live, trace, seen) == "");
    BOOST_TEST(seen == 1U);
    write(trace);
    auto const size = std::filesystem::file_size("trace.jsonl");
    BOOST_TEST(size > 0U);
    record_to_a_file();
    BOOST_TEST(std::filesystem::file_size("trace.jsonl") > size);  // it names the program

    std::ofstream file{"talk.pcapng", std::ios::binary};
    make_packets(file, talk.log);
    file.close();
    BOOST_TEST(std::filesystem::file_size("talk.pcapng") > 0U);
}
