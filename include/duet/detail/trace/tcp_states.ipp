// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TCP_STATES_IPP
#define DUET_DETAIL_TRACE_TCP_STATES_IPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/tcp_end.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The states of one end in the making, and what the kernel says about them.
class end_states
{
public:
    end_states(bool client, tcp_state begin, std::chrono::nanoseconds time) : end(begin)
    {
        changes.push_back({client, begin, time, evidence::inferred, 0, 0});
    }

    /// After the end has sent or received the segment at that index + 1.
    void note(std::chrono::nanoseconds time, std::size_t segment)
    {
        if (end.state() != changes.back().state)
            changes.push_back({changes.back().client, end.state(), time, evidence::inferred, 0, segment});
    }

    /// The connection is over, and no segment says so.
    void over(std::chrono::nanoseconds time, std::uint64_t event)
    {
        if (changes.back().state != tcp_state::closed && changes.back().state != tcp_state::time_wait)
            changes.push_back({changes.back().client, tcp_state::closed, time, evidence::inferred, event, 0});
    }

    void ask(trace_event const& event)
    {
        auto const said = event.kernel->state;
        auto const after = std::find_if(
            changes.begin() + 1, changes.end(), [&](auto const& change) { return change.time > event.time; });
        auto const now = after - 1;
        if (said == tcp_state::unknown || (said == tcp_state::closed && now->state == tcp_state::time_wait))
            return;
        auto const before = std::find_if(std::make_reverse_iterator(after), changes.rend(),
            [&](auto const& change) { return change.state == said; });
        // That it was closed before it connected is not what the kernel says of one that was connected since.
        bool const has_been = before == changes.rend() - 1 && now != changes.begin() && said == tcp_state::closed;
        if (before != changes.rend() && !has_been)
            return confirm(before.base() - 1, event);
        auto const later = std::find_if(after, changes.end(), [&](auto const& change) { return change.state == said; });
        if (later != changes.end())
        {
            later->time = event.time;
            mark(*later, event);
            changes.erase(after, later);
        }
        // Also after RST, and in TIME_WAIT: then the segments tell more.
        else if (said != tcp_state::closed)
            changes.insert(after, {changes.front().client, said, event.time, evidence::observed, event.number, 0});
    }

    tcp_end end;
    std::vector<tcp_state_change> changes;

private:
    static void mark(tcp_state_change& change, trace_event const& event)
    {
        change.evidence = evidence::observed;
        if (change.event == 0)
            change.event = event.number;
    }

    /// The state lasted until now, so what comes after it did not come before now.
    void confirm(std::vector<tcp_state_change>::iterator at, trace_event const& event)
    {
        mark(*at, event);
        for (++at; at != changes.end() && at->time < event.time; ++at)
            at->time = event.time;
    }
};

}  // namespace detail

DUET_DECL std::vector<tcp_state_change> tcp_states_of(
    trace_log const& log, trace_session const& one, std::vector<trace_segment> const& segments)
{
    detail::traced_ends const ends(log, one);
    auto const number_of = [](trace_session const* end) { return end != nullptr ? end->number : 0; };
    auto const client_number = number_of(ends.client);
    auto const server_number = number_of(ends.server);
    auto const belongs = [&](trace_event const& event)
    { return event.session != 0 && (event.session == client_number || event.session == server_number); };

    auto const steps = detail::steps_of(segments);
    auto const first = std::find_if(log.events.begin(), log.events.end(), belongs);
    auto begin = first != log.events.end() ? first->time : std::chrono::nanoseconds();
    if (!steps.empty())
        begin = std::min(begin, steps.front().time);
    bool const whole = !segments.empty() && contains(segments.front().flags, tcp_flags::syn);
    if (segments.empty() && first == log.events.end())
        return {};
    auto const answer =
        std::find_if(segments.begin(), segments.end(), [](auto const& segment) { return !segment.from_client; });
    bool const silent = answer == segments.end() && ends.server == nullptr;
    bool const refused = !silent && answer != segments.end() && contains(answer->flags, tcp_flags::rst);
    auto const serving = silent ? tcp_state::unknown : refused ? tcp_state::closed : tcp_state::listen;
    detail::end_states at_client(true, whole ? tcp_state::closed : tcp_state::established, begin);
    detail::end_states at_server(false, whole ? serving : tcp_state::established, begin);

    for (auto const& step : steps)
    {
        auto const& segment = segments[step.segment];
        auto& end = segment.from_client != step.arrives ? at_client : at_server;
        if (step.arrives)
            end.end.receive(segment);
        else
            end.end.send(segment);
        end.note(step.time, step.segment + 1);
    }
    for (auto const& event : log.events)
    {
        if (!belongs(event))
            continue;
        auto& end = event.session == client_number ? at_client : at_server;
        if (event.kernel)
            end.ask(event);
        bool const failed = event.kind == trace_kind::result && event.name == "connect" && event.error;
        bool const dead = event.kind == trace_kind::end && event.reason == close_reason::dead_peer;
        if (failed || dead)
            end.over(event.time, event.number);
    }

    auto result = std::move(at_client.changes);
    result.insert(result.end(), at_server.changes.begin(), at_server.changes.end());
    std::stable_sort(result.begin(), result.end(), [](auto const& a, auto const& b) { return a.time < b.time; });
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
