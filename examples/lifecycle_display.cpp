// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "lifecycle_display.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include <duet/format.hpp>

#include "lifecycle_kernel.hpp"

namespace example {
namespace {

using endpoint_type = duet::session::endpoint_type;
using clock = row::clock;

piece call_piece(side who, std::string text)
{
    return {std::move(text), who == client_side ? style::client : style::server};
}

piece result_piece(side who, std::string text)
{
    return {std::move(text), who == client_side ? style::client_result : style::server_result};
}

row call_row(void const* caller, side who, std::string const& call)
{
    row one{.time = clock::now(), .caller = caller, .waits = true};
    one.lanes[who] = {call_piece(who, call)};
    return one;
}

/// Without the arguments: where it stands apart from the call, those are shown there.
row return_row(void const* caller, side who, std::string const& call, std::string const& result)
{
    row one{.time = clock::now(), .caller = caller};
    one.lanes[who] = {call_piece(who, call.substr(0, call.find('(')) + "()"), result_piece(who, result)};
    return one;
}

}  // namespace

end_point::end_point(duet::session of, side whose, std::shared_ptr<connection> between)
    : session{std::move(of)}, who{whose}, line{std::move(between)}
{
    line->ends[who] = this;
    line->ours[who] = true;
}

end_point::~end_point()
{
    line->ends[who] = nullptr;
}

display::display(bool client, bool server) : table_{{client, server}}, client_{client} {}

void display::listening(duet::server::endpoint_type const& endpoint)
{
    table_.add({.line = fmt::format("listening on {}", text(endpoint))});
    auto const result = fmt::format("listens on {}", text(endpoint));
    add(return_row(nullptr, server_side, "duet::server", result), server_side, nullptr);
}

void display::add(row one, side who, connection const* line)
{
    // Who else is there to be mixed up with?
    if (line && who == server_side && (!client_ || accepted_ > 1) && one.lanes[client_side].empty())
        one.lanes[client_side] = {{fmt::format(":{}", line->addresses[client_side].port()), style::client}};
    table_.add(std::move(one));
}

std::unique_ptr<end_point> display::meet(duet::session session, side who)
{
    side const peer = other(who);
    auto const local = session.local_endpoint();
    auto const remote = session.remote_endpoint();
    auto const same = [&](auto const& line)
    { return !line->ours[who] && line->addresses[who] == local && line->addresses[peer] == remote; };
    accepted_ += who == server_side ? 1 : 0;

    auto const known = std::ranges::find_if(lines_, same);
    if (known != lines_.end())
        return std::make_unique<end_point>(std::move(session), who, *known);
    auto line = std::make_shared<connection>();
    line->addresses[who] = local;
    line->addresses[peer] = remote;
    lines_.push_back(line);
    for (auto const& [what, from] : segments{{"SYN", client_side}, {"SYN+ACK", server_side}, {"ACK", client_side}})
        add({.wire = {{what, from}}}, who, line.get());
    return std::make_unique<end_point>(std::move(session), who, std::move(line));
}

void display::calls(void const* client, std::string const& call)
{
    add(call_row(client, client_side, call), client_side, nullptr);
}

void display::returns(void const* client, std::string const& call, std::string const& result)
{
    add(return_row(client, client_side, call, result), client_side, nullptr);
}

void display::calls(end_point const& end, std::string const& call, segments const& wire)
{
    auto one = call_row(&end, end.who, call);
    one.wire = wire;
    add(std::move(one), end.who, end.line.get());
}

void display::returns(end_point& end, std::string const& call, std::string const& result, segments const& wire)
{
    auto one = return_row(&end, end.who, call, result);
    one.wire = wire;
    arrivals(end, one.wire);
    add(std::move(one), end.who, end.line.get());
    look(*end.line);
}

void display::throws(end_point& end, std::string const& call, std::exception const& error)
{
    auto const* const known = dynamic_cast<duet::system_error const*>(&error);
    segments wire;
    if (known && known->code() == boost::asio::error::connection_reset)
        reset(*end.line, end.who, wire);
    auto const what = known ? known->code().message() : error.what();
    returns(end, call, fmt::format("throws: {}", what), wire);
}

/// A peer in this program has shown it.
void display::reset(connection& line, side who, segments& wire)
{
    if (!line.ours[other(who)] && !std::exchange(line.reset, true))
        wire.push_back({"RST", other(who)});
}

/// What has come from a peer in another program; one in this program has shown what it sent.
void display::arrivals(end_point& end, segments& wire)
{
    auto& line = *end.line;
    side const peer = other(end.who);
    if (line.ours[peer])
        return;
    duet::error_code error;
    bool const here = end.session.tcp_info(error).peer_finished();  // with all that it sent before
    auto const unread = end.session.lowest_layer().available(error);
    auto const arrived = end.session.bytes_received() + (error ? 0 : unread);
    if (arrived > end.arrived)
        wire.push_back({bytes(arrived - std::exchange(end.arrived, arrived)), peer});
    if ((here || end.session.receive_state() == duet::receive_state::ended) && !std::exchange(line.fin[peer], true))
        wire.push_back({"FIN", peer});
}

/// Look at the states of both ends, and show them if something changed.
void display::look(connection& line)
{
    row one{.time = clock::now()};
    bool changed = false;
    for (side const who : {client_side, server_side})
    {
        if (!line.ends[who])
            continue;
        auto const& session = line.ends[who]->session;
        duet::error_code error;
        auto const info = session.tcp_info(error);
        std::string kernel = error == boost::asio::error::bad_descriptor ? "no socket" : "unknown";
        if (!error)
        {
            line.kernel[who] = info;
            kernel = fmt::format("{}", info.state);
        }
        auto states = fmt::format("[{}/{} {}]", session.receive_state(), session.send_state(), kernel);
        bool const differs = states != line.states[who];
        one.lanes[who] = {{states, differs ? style::new_state : style::state}};
        line.states[who] = std::move(states);
        changed = changed || differs;
        // Linux shows TIME_WAIT as CLOSE.
        bool const through = info.state == duet::tcp_state::fin_wait_2 ||
                             (info.state == duet::tcp_state::closed && session.state() == duet::session_state::closed &&
                                 session.receive_state() == duet::receive_state::ended);
        if (line.fin[who] && through && !std::exchange(line.fin_acknowledged[who], true))
            one.wire.push_back({"ACK of FIN", other(who)});
    }
    side const who = line.ends[server_side] ? server_side : client_side;
    if (changed)
        add(std::move(one), who, &line);
}

void display::ended(duet::session_end const& end)
{
    auto const known = std::ranges::find_if(lines_,
        [&](auto const& line) { return line->ours[server_side] && text(line->addresses[client_side]) == end.peer; });
    if (known == lines_.end())
        return;
    auto& line = **known;
    if (end.failure)
    {
        auto const result = fmt::format("threw, so the session is {}", to_string(end.report));
        auto one = return_row(nullptr, server_side, "serve", result);
        if (reset_by_us(end.report))
            one.wire.push_back({"RST", server_side});
        add(std::move(one), server_side, &line);
    }
    report(line, server_side, end.report);
}

void display::report(connection& line, side who, duet::close_report const& report)
{
    line.reports[who] = report;
    for (side const each : {client_side, server_side})
        if (line.ours[each] && !line.reports[each])
            return;
    summarize(line);
    std::erase_if(lines_, [&](auto const& each) { return each.get() == &line; });
}

void display::summarize(connection const& line)
{
    using describe = std::function<std::string(side)>;
    auto const add_row = [&](char const* label, describe const& what)
    {
        row one{.label = label};
        for (side const who : {client_side, server_side})
            if (line.ours[who])
                one.lanes[who] = {call_piece(who, what(who))};
        table_.add(std::move(one));
    };
    auto const& reports = line.reports;
    auto const number = [](auto value) { return fmt::format("{}", value); };
    table_.add({.line = fmt::format("The connection {} to {} has ended:", text(line.addresses[client_side]),
                    text(line.addresses[server_side]))});
    add_row("close()", [&](side who) { return to_string(*reports[who]); });
    add_row("bytes sent", [&](side who) { return number(reports[who]->bytes_sent); });
    add_row("received", [&](side who) { return number(reports[who]->bytes_received); });
    add_row("thrown away", [&](side who) { return number(reports[who]->bytes_discarded); });
    add_row("unacknowledged", [&](side who) { return number(reports[who]->bytes_unacknowledged); });
    add_row("its FIN", [&](side who) { return line.fin_order[who].empty() ? "none" : line.fin_order[who]; });
    add_row(
        "retransmitted", [&](side who) { return fmt::format("{} segments", line.kernel[who].segments_retransmitted); });
    add_row("round trip",
        [&](side who)
        {
            std::chrono::duration<double, std::milli> const time = line.kernel[who].round_trip_time;
            return time == time.zero() ? "unknown" : fmt::format("{:.3f} ms", time.count());
        });

    row last{.label = "kernel now"};
    last.complete = [ours = line.ours, addresses = line.addresses](row& one)
    {
        for (side const who : {client_side, server_side})
            if (ours[who])
                one.lanes[who] = {call_piece(who, kernel_entry(addresses[who], addresses[other(who)]))};
    };
    if (client_)  // nothing goes on that it could hold up; and so it has its place in time
    {
        std::exchange(last.complete, {})(last);
        last.time = clock::now();
    }
    table_.add(std::move(last));
}

std::string text(duet::session::endpoint_type const& endpoint)
{
    return duet::to_string(endpoint);
}

std::string bytes(std::uint64_t count)
{
    return fmt::format("{} {}", count, count == 1 ? "byte" : "bytes");
}

std::string to_string(duet::close_report const& report)
{
    if (report.reason == duet::close_reason::failed)
        return fmt::format("{}: {}", report.reason, report.error.message());
    return fmt::format("{}", report.reason);
}

bool reset_by_us(duet::close_report const& report)
{
    using reason = duet::close_reason;
    return report.reason == reason::aborted || report.reason == reason::timed_out ||
           report.reason == reason::discard_limit || report.reason == reason::dead_peer;
}

}  // namespace example
