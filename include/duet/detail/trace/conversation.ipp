// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_IPP
#define DUET_DETAIL_TRACE_CONVERSATION_IPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <duet/detail/trace/conversation.hpp>
#include <duet/detail/trace/conversation_parts.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/tcp_end.hpp>
#include <duet/detail/trace/trace_facts.hpp>
#include <duet/error.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Plays the segments again, part by part: the states after each do not depend on when it was.
class states_of_parts
{
public:
    states_of_parts(std::vector<trace_segment> const& segments, std::vector<tcp_state_change> const& changes)
        : segments_(segments), ends_{tcp_end(first(changes, true)), tcp_end(first(changes, false))},
          sent_(segments.size(), false)
    {
    }

    /// "FIN_WAIT2 / CLOSE_WAIT", or nothing if no state has changed.
    std::string after(conversation_part const& part)
    {
        for (auto const index : part.segments)
        {
            auto const& segment = segments_[index];
            end(segment.from_client).send(segment);
            sent_[index] = true;
            if (segment.lost || !segment.received)
                continue;
            if (part.lands && contains(segment.flags, tcp_flags::fin))
                under_way_.emplace_back(index, *part.lands);
            else
                arrive(segment);
            std::erase_if(under_way_,
                [&](auto const& each)
                {
                    if (sent_[each.second])
                        arrive(segments_[each.first]);
                    return sent_[each.second];
                });
        }
        if (part.acknowledged)
            acknowledge(segments_[*part.acknowledged]);
        if (part.kind == conversation_part::what::failure)
            fail(part);
        auto words = words_of(true) + " / " + words_of(false);
        return words == std::exchange(last_, words) ? std::string() : words;
    }

private:
    static tcp_state first(std::vector<tcp_state_change> const& changes, bool client) noexcept
    {
        auto const found =
            std::find_if(changes.begin(), changes.end(), [&](auto const& each) { return each.client == client; });
        return found != changes.end() ? found->state : tcp_state::unknown;
    }

    tcp_end& end(bool client) noexcept { return ends_[client ? 0 : 1]; }

    void arrive(trace_segment const& segment) noexcept { end(!segment.from_client).receive(segment); }

    void acknowledge(trace_segment const& fin) noexcept
    {
        trace_segment answer;
        answer.flags = tcp_flags::ack;
        answer.acknowledgement = fin.sequence + length_of(fin);
        end(fin.from_client).receive(answer);
    }

    void fail(conversation_part const& part)
    {
        auto const& error = part.told.front()->error;
        bool const dead = error.category == duet_category().name() && error.value == static_cast<int>(errc::dead_peer);
        if (dead || part.told.front()->name == "connect")
            end(part.client) = tcp_end(tcp_state::closed);
    }

    std::string words_of(bool client) { return std::string(state_name(end(client).state())); }

    std::vector<trace_segment> const& segments_;
    std::array<tcp_end, 2> ends_;
    std::vector<bool> sent_;
    std::vector<std::pair<std::size_t, std::size_t>> under_way_{};  // FINs, and what they wait for
    std::string last_{};
};

class conversation_words
{
public:
    conversation_words(traced_ends const& ends, std::vector<trace_segment> const& segments)
        : ends_(ends), segments_(segments)
    {
    }

    conversation_row row_of(conversation_part const& part) const
    {
        conversation_row row;
        row.calls = calls_of(part);
        for (auto const& line : lines_of(part))
        {
            auto text =
                arrow(line.segment.from_client) + words_of(line.segment) + (line.several ? ", in segments" : "");
            // TCP asks, and repeats, as often as time allows.
            bool const again = part.kind == what::tcp &&
                               std::find(row.segments.begin(), row.segments.end(), text) != row.segments.end();
            if (!again)
                row.segments.push_back(std::move(text));
        }
        row.seen = seen_in(part);
        return row;
    }

private:
    using what = conversation_part::what;

    static char const* role(bool client) noexcept { return client ? "client" : "server"; }

    static char const* arrow(bool from_client) noexcept { return from_client ? "→ " : "← "; }

    static std::vector<std::string> calls_of(conversation_part const& part)
    {
        auto const who = std::string(role(part.client));
        switch (part.kind)
        {
        case what::tcp:
            return {who + "'s TCP"};
        case what::both:
            return {"client's TCP", "server's TCP"};
        case what::program:
            return {who};
        case what::failure:
            if (part.call == nullptr)
                return {who + ": " + printable(part.told.front()->name)};
            break;
        case what::call:
            if (part.call == nullptr)
                return {who};
            break;
        }
        bool const named = part.call->kind == trace_kind::call || part.call->kind == trace_kind::begin;
        return {who + ": " + (named ? event_words(*part.call, false) : printable(part.call->name))};
    }

    struct wire_line
    {
        trace_segment segment;
        bool several = false;
    };

    /// Bytes that one call has sent are one line, however TCP cuts them.
    std::vector<wire_line> lines_of(conversation_part const& part) const
    {
        std::vector<wire_line> result;
        bool alone = false;  // the FIN was acknowledged by a segment of its own
        for (auto const index : part.segments)
            alone = alone || (part.acknowledged && is_bare(segments_[index]) &&
                                 covers(segments_[index].acknowledgement, segments_[*part.acknowledged]));
        for (auto const index : part.segments)
        {
            auto const& segment = segments_[index];
            auto const found = std::find_if(
                result.begin(), result.end(), [&](auto const& line) { return continues(line.segment, segment); });
            if (found != result.end())
            {
                found->segment.bytes += segment.bytes;
                found->segment.flags = found->segment.flags | segment.flags;
                found->several = true;
            }
            else
                result.push_back({segment});
            if (part.acknowledged == index && !alone)
                result.push_back({acknowledgement_of(segment)});
        }
        bool const here = part.acknowledged && std::find(part.segments.begin(), part.segments.end(),
                                                   *part.acknowledged) != part.segments.end();
        if (part.acknowledged && !here && !alone)
            result.push_back({acknowledgement_of(segments_[*part.acknowledged])});
        return result;
    }

    static trace_segment acknowledgement_of(trace_segment const& fin)
    {
        trace_segment result;
        result.from_client = !fin.from_client;
        result.flags = tcp_flags::ack;
        return result;
    }

    static bool continues(trace_segment const& a, trace_segment const& b) noexcept
    {
        auto const is_data = [](trace_segment const& each)
        {
            return each.bytes != 0 && !contains(each.flags, tcp_flags::syn) && !contains(each.flags, tcp_flags::fin) &&
                   !contains(each.flags, tcp_flags::rst);
        };
        return is_data(a) && is_data(b) && a.from_client == b.from_client && a.lost == b.lost && a.label == b.label &&
               a.label != segment_label::retransmission;
    }

    static std::string words_of(trace_segment const& segment)
    {
        // How many of these are lost is a matter of time.
        bool const own = segment.label == segment_label::retransmission || is_probe(segment.label);
        return segment_words(segment) + (segment.lost && !own ? ", lost" : "");
    }

    /// Reads that go on are one line.
    std::vector<std::string> seen_in(conversation_part const& part) const
    {
        std::vector<std::string> result;
        for (std::size_t at = 0; at != part.told.size();)
        {
            auto const& event = *part.told[at];
            auto whole = event;
            auto next = at + 1;
            for (; next != part.told.size() && is_plain_read(part, event) && is_plain_read(part, *part.told[next]) &&
                   part.told[next]->name == event.name && part.told[next]->session == event.session;
                 ++next)
                whole.bytes += part.told[next]->bytes;
            auto line = seen(part, whole);
            if (!line.empty())
                result.push_back(std::move(line));
            at = next;
        }
        return result;
    }

    bool is_plain_read(conversation_part const& part, trace_event const& event) const
    {
        return event.kind == trace_kind::result && !event.error && is_read(event.name) &&
               !tells(part, event, tcp_flags::fin);
    }

    bool tells(conversation_part const& part, trace_event const& event, tcp_flags flag) const noexcept
    {
        auto const told = [&](std::size_t index)
        { return segments_[index].told == event.number && contains(segments_[index].flags, flag); };
        return std::any_of(part.segments.begin(), part.segments.end(), told) ||
               (part.acknowledged && told(*part.acknowledged));
    }

    std::string seen(conversation_part const& part, trace_event const& event) const
    {
        bool const client = ends_.client != nullptr && event.session == ends_.client->number;
        bool const server = ends_.server != nullptr && event.session == ends_.server->number;
        bool const at_client = client || (!server && event.name == "connect");
        auto const line = [&](std::string const& text)
        { return std::string(role(at_client)) + ": " + printable(event.name) + " → " + text; };
        auto const other = std::string("the ") + role(!at_client) + "'s ";
        switch (event.kind)
        {
        case trace_kind::begin:
            return line("done");
        case trace_kind::end:
            return std::string(role(at_client)) + ": ended: " + std::string(to_string(event.reason));
        case trace_kind::result:
            break;
        default:
            return "";
        }
        bool const fin = tells(part, event, tcp_flags::fin);
        if (event.error)
            return line(printable(event.error.text) + (tells(part, event, tcp_flags::rst) ? " (" + other + "RST)"
                                                          : fin                           ? " (" + other + "FIN)"
                                                                                          : ""));
        if (fin)
            return line(event.bytes == 0 ? "0 (" + other + "FIN)" : bytes_text(event.bytes) + " and " + other + "FIN");
        return line(is_read(event.name) || is_write(event.name) ? bytes_text(event.bytes) : "done");
    }

    traced_ends ends_;
    std::vector<trace_segment> const& segments_;
};

/// Of what a program does again and again, the first time is enough.
inline std::vector<conversation_row> without_repetitions(std::vector<conversation_row> const& rows)
{
    auto const same = [&](std::size_t a, std::size_t b)
    {
        return rows[b].states.empty() && rows[a].calls == rows[b].calls && rows[a].segments == rows[b].segments &&
               rows[a].seen == rows[b].seen;
    };
    std::vector<conversation_row> result;
    for (std::size_t at = 0; at != rows.size();)
    {
        std::size_t taken = 1;
        std::size_t skipped = 0;
        for (std::size_t period = 1; period <= 4 && skipped == 0; ++period)
        {
            auto end = at + period;
            while (end < rows.size() && same(end - period, end))
                ++end;
            auto const times = (end - at) / period;
            if (times < 3)
                continue;
            taken = period;
            skipped = (times - 1) * period;
        }
        for (std::size_t each = at; each != at + taken; ++each)
        {
            result.push_back(rows[each]);
            if (skipped != 0)
                for (auto& call : result.back().calls)
                    call += ", repeated";
        }
        at += taken + skipped;
    }
    return result;
}

DUET_DECL std::vector<conversation_row> conversation_of(trace_log const& log, trace_session const& one)
{
    traced_ends const ends(log, one);
    auto const segments = segments_of(log, one);
    states_of_parts states(segments, tcp_states_of(log, one, segments));
    conversation_words const words(ends, segments);
    std::vector<conversation_row> rows;
    for (auto const& part : parts_of(log, ends, segments))
    {
        rows.push_back(words.row_of(part));
        rows.back().states = states.after(part);
    }
    return without_repetitions(rows);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
