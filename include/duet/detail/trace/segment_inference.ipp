// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_INFERENCE_IPP
#define DUET_DETAIL_TRACE_SEGMENT_INFERENCE_IPP

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <tuple>
#include <vector>

#include <duet/detail/trace/end_knowledge.hpp>
#include <duet/detail/trace/segment_inference.hpp>
#include <duet/detail/trace/segment_steps.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class segment_inference
{
public:
    using time = std::chrono::nanoseconds;

    explicit segment_inference(facts_of_ends const& facts)
        : facts_(facts), known_{end_knowledge(facts.client), end_knowledge(facts.server)}
    {
    }

    std::vector<trace_segment> infer()
    {
        if (handshake())
            for (bool const from_client : {true, false})
            {
                carry(from_client);
                reset(from_client);
            }
        for (bool const from_client : {true, false})
        {
            answer_after_close(from_client);
            explain_reset(from_client);
        }
        return number();
    }

private:
    static constexpr auto data_flags = tcp_flags::psh | tcp_flags::ack;
    static constexpr auto fin_flags = tcp_flags::fin | tcp_flags::ack;
    static constexpr auto rst_flags = tcp_flags::rst | tcp_flags::ack;

    end_knowledge const& known(bool client) const noexcept { return known_[client ? 0 : 1]; }

    trace_fact const* find(bool client, fact_kind kind) const noexcept { return find_fact(facts_.of(client), kind); }

    trace_segment& add(bool from_client, tcp_flags flags, std::optional<time> sent, std::optional<time> received,
        std::uint64_t cause, std::uint64_t told, std::uint64_t bytes = 0)
    {
        trace_segment segment;
        segment.from_client = from_client;
        segment.flags = flags;
        segment.bytes = bytes;
        segment.sent = sent;
        segment.received = received;
        segment.cause = cause;
        segment.told = told;
        segments_.push_back(segment);
        return segments_.back();
    }

    /// False if there is no connection.
    bool handshake()
    {
        if (auto const* const refused = find(true, fact_kind::refused))
        {
            auto const middle = refused->begun + (refused->time - refused->begun) / 2;
            add(true, tcp_flags::syn, refused->begun, middle, refused->cause, 0);
            add(false, rst_flags, middle, refused->time, 0, refused->told);
            return false;
        }
        if (auto const* const unanswered = find(true, fact_kind::unanswered))
        {
            // RFC 6298: the wait doubles each time. Linux repeats the first waits.
            auto wait = std::chrono::seconds(1);
            for (time at = unanswered->begun; at <= unanswered->time; at += wait, wait *= 2)
            {
                bool const first = at == unanswered->begun;
                auto& syn = add(true, tcp_flags::syn, at, std::nullopt, first ? unanswered->cause : 0, 0);
                syn.lost = unanswered->told != 0;
                syn.label = first ? segment_label::none : segment_label::retransmission;
            }
            return false;
        }
        auto const* const connected = find(true, fact_kind::connected);
        auto const* const accepted = find(false, fact_kind::accepted);
        if (connected == nullptr && accepted == nullptr)
            return true;
        auto const end = connected == nullptr  ? accepted->time
                         : accepted == nullptr ? connected->time
                                               : std::min(connected->time, std::max(accepted->time, connected->begun));
        auto const begin = connected != nullptr ? connected->begun : end;
        auto const middle = begin + (end - begin) / 2;
        auto const rank = connected != nullptr ? connected->told : accepted->told;
        add(true, tcp_flags::syn, begin, middle, connected != nullptr ? connected->cause : 0, 0);
        ranks_.assign(3, rank);
        ranks_[0] = connected != nullptr ? connected->cause : rank;
        add(false, tcp_flags::syn | tcp_flags::ack, middle, end, 0, connected != nullptr ? connected->told : 0);
        add(true, tcp_flags::ack, end, end, 0, accepted != nullptr ? accepted->told : 0);
        return true;
    }

    /// What one end sent, or what the other received of it: data and FIN.
    void carry(bool from_client)
    {
        if (!facts_.traced(from_client))
            return arrivals_alone(from_client);
        std::uint64_t sent = 0;
        time last{};
        for (auto const& fact : facts_.of(from_client))
            if (fact.kind == fact_kind::sent)
            {
                sent += fact.bytes;
                deliver(add(from_client, data_flags, fact.time, std::nullopt, fact.cause, 0, fact.bytes), sent);
                follow(last, segments_.back());
            }
        if (auto const* const fin = own_fin(from_client))
        {
            deliver(add(from_client, fin_flags, fin->time, std::nullopt, fin->cause, 0), sent);
            follow(last, segments_.back());
        }
    }

    /// TCP delivers in order: what nobody was told of has not overtaken what was sent before it.
    static void follow(time& last, trace_segment& segment) noexcept
    {
        if (segment.received && segment.told == 0)
            segment.received = std::max(*segment.received, last);
        last = segment.received.value_or(last);
    }

    void arrivals_alone(bool from_client)
    {
        for (auto const& fact : facts_.of(!from_client))
            if (fact.kind == fact_kind::received)
                add(from_client, data_flags, fact.time, fact.time, 0, fact.told, fact.bytes);
        if (auto const* const fin = find(!from_client, fact_kind::peer_finished))
        {
            auto at = fin->time;
            auto const* const earlier = find(!from_client, fact_kind::fin_arrived);
            if (earlier != nullptr)
                at = std::min(at, earlier->time);
            add(from_client, fin_flags, at, at, 0, fin->told);
        }
    }

    /// The fact that made this end send FIN: it finished, or it closed its descriptor with nothing unread.
    trace_fact const* own_fin(bool client) const noexcept
    {
        if (auto const* const finished = find(client, fact_kind::finished))
            return finished;
        auto const* const closed = find(client, fact_kind::closed);
        bool const broken = find(client, fact_kind::reset) != nullptr ||
                            find(client, fact_kind::peer_reset) != nullptr ||
                            find(client, fact_kind::vanished) != nullptr;
        return broken || unread(client) ? nullptr : closed;
    }

    /// True if the other end has sent more, before this end closed, than it has read.
    bool unread(bool client) const noexcept
    {
        auto const* const closed = find(client, fact_kind::closed);
        if (closed == nullptr || !facts_.traced(!client) || find(client, fact_kind::peer_reset) != nullptr ||
            find(client, fact_kind::vanished) != nullptr)
            return false;
        std::uint64_t sent = 0;
        for (auto const& fact : facts_.of(!client))
            if (fact.kind == fact_kind::sent && fact.time <= closed->time)
                sent += fact.bytes;
        return sent > (known(client).arrivals.empty() ? 0 : known(client).arrivals.back().bytes);
    }

    /// Finds out when the segment arrived that ends the first `bytes` of its direction.
    void deliver(trace_segment& segment, std::uint64_t bytes) const
    {
        bool const from = segment.from_client;
        auto const sent = *segment.sent;
        auto const& theirs = known(!from);
        if (contains(segment.flags, tcp_flags::fin))
        {
            if (auto const* const told = find(!from, fact_kind::peer_finished))
            {
                segment.told = told->told;
                segment.received = told->time;
            }
        }
        else
        {
            auto const arrival = std::lower_bound(theirs.arrivals.begin(), theirs.arrivals.end(), bytes,
                [](auto const& each, std::uint64_t value) { return each.bytes < value; });
            if (arrival != theirs.arrivals.end())
            {
                segment.told = arrival->told;
                segment.received = arrival->when;
            }
        }
        if (theirs.fin_arrived)
            segment.received = std::min(segment.received.value_or(time::max()), *theirs.fin_arrived);
        auto const acknowledged = acknowledged_at(from, sent);
        bool const arrived = segment.received || acknowledged || known(from).sign_of_life >= sent;
        if (segment.received || (acknowledged && facts_.traced(!from)))
        {
            segment.received = std::min(segment.received.value_or(time::max()), acknowledged.value_or(time::max()));
            segment.sent = std::min(sent, *segment.received);  // threads record in an order of their own
        }
        else if (arrived || (facts_.traced(!from) && !vanished()))
            segment.received = sent;
        else
            segment.lost = vanished();
    }

    bool vanished() const noexcept
    {
        return find(true, fact_kind::vanished) != nullptr || find(false, fact_kind::vanished) != nullptr;
    }

    std::optional<time> acknowledged_at(bool end, time since) const noexcept
    {
        auto const& times = known(end).acknowledged;
        auto const found = std::lower_bound(times.begin(), times.end(), since);
        return found != times.end() ? std::optional<time>(*found) : std::nullopt;
    }

    void reset(bool from_client)
    {
        auto const* const told = find(!from_client, fact_kind::peer_reset);
        auto const* const act = find(from_client, fact_kind::reset);
        auto const* const cause = act != nullptr        ? act
                                  : unread(from_client) ? find(from_client, fact_kind::closed)
                                                        : nullptr;
        if (cause == nullptr)
            return;
        auto& segment = add(from_client, rst_flags, cause->time, std::nullopt, cause->cause, 0);
        if (told != nullptr)
        {
            segment.received = std::max(told->time, cause->time);
            segment.told = told->told;
        }
        else if (find(from_client, fact_kind::vanished) != nullptr)
            segment.lost = true;
        else if (facts_.traced(!from_client))
            segment.received = segment.sent;
    }

    /// The peer's RST has come, and nothing says why it was sent.
    void explain_reset(bool from_client)
    {
        auto const* const told = find(!from_client, fact_kind::peer_reset);
        bool const drawn = std::any_of(segments_.begin(), segments_.end(),
            [&](auto const& segment)
            { return segment.from_client == from_client && contains(segment.flags, tcp_flags::rst); });
        if (told != nullptr && !drawn)
            add(from_client, rst_flags, told->time, told->time, 0, told->told);
    }

    /// An end that is closed answers bytes with RST.
    void answer_after_close(bool client)
    {
        auto const* const closed = find(client, fact_kind::closed);
        auto const* const told = find(!client, fact_kind::peer_reset);
        if (closed == nullptr || find(client, fact_kind::reset) != nullptr || unread(client))
            return;
        for (std::size_t index = 0; index != segments_.size(); ++index)
        {
            auto& segment = segments_[index];
            if (segment.from_client == client || segment.bytes == 0 || segment.sent.value_or(time()) <= closed->time)
                continue;
            segment.received = segment.sent;
            segment.told = 0;
            auto const at = segment.sent;
            add(client, tcp_flags::rst, at, told != nullptr ? told->time : at, 0, told != nullptr ? told->told : 0);
            return;
        }
    }

    struct end_state
    {
        std::uint32_t next = 0;      // sequence number of the next segment
        std::uint32_t expected = 0;  // of the peer's
        bool over = false;           // RST was sent or received
        time last_arrival{};         // of its segments: none overtakes another
    };

    /// Orders the segments, gives them their numbers, and adds the acknowledgements.
    std::vector<trace_segment> number()
    {
        std::vector<trace_segment> result;
        std::array<end_state, 2> ends;
        if (!std::any_of(segments_.begin(), segments_.end(),
                [](auto const& segment) { return contains(segment.flags, tcp_flags::syn); }))
            ends = {end_state{1, 1}, end_state{1, 1}};
        std::vector<std::size_t> places(segments_.size());
        for (auto const& step : ordered_steps())
        {
            auto& segment = segments_[step.segment];
            auto& sender = ends[segment.from_client ? 0 : 1];
            auto& receiver = ends[segment.from_client ? 1 : 0];
            bool const rst = contains(segment.flags, tcp_flags::rst);
            if (!step.arrives)
            {
                segment.sequence = segment.flags == tcp_flags::syn ? 0 : sender.next;
                if (contains(segment.flags, tcp_flags::ack))
                    segment.acknowledgement = sender.expected;
                sender.next = segment.sequence + length_of(segment);
                sender.over = sender.over || rst;
                if (segment.received)
                    sender.last_arrival = std::max(sender.last_arrival, *segment.received);
                result.push_back(segment);
                continue;
            }
            if (!rst)
                receiver.expected = std::max(receiver.expected, segment.sequence + length_of(segment));
            receiver.over = receiver.over || rst;
            if (length_of(segment) != 0 && !contains(segment.flags, tcp_flags::syn) && !receiver.over &&
                !closed_before(!segment.from_client, *segment.sent, segment.bytes))
                acknowledge(result, segment, receiver);
        }
        return result;
    }

    bool closed_before(bool client, time when, std::uint64_t bytes) const noexcept
    {
        auto const& closed = known(client).closed;
        return bytes != 0 && closed && when > *closed;
    }

    static void acknowledge(std::vector<trace_segment>& result, trace_segment const& what, end_state const& receiver)
    {
        auto& last = result.back();
        if (last.flags == tcp_flags::ack && last.from_client != what.from_client && last.sent == what.received &&
            last.sequence == receiver.next && last.told == 0 && last.acknowledgement != 0)
        {
            last.acknowledgement = receiver.expected;
            return;
        }
        trace_segment ack;
        ack.from_client = !what.from_client;
        ack.flags = tcp_flags::ack;
        ack.sequence = receiver.next;
        ack.acknowledgement = receiver.expected;
        ack.sent = what.received;
        ack.received = std::max(receiver.last_arrival, *what.received);
        result.push_back(ack);
    }

    /// At equal times, the numbers of the events tell what came first.
    std::vector<segment_step> ordered_steps() const
    {
        auto steps = steps_of(segments_);
        auto const key = [&](segment_step const& step)
        {
            auto const& segment = segments_[step.segment];
            auto const rank = step.segment < ranks_.size() ? ranks_[step.segment]
                              : segment.cause != 0         ? segment.cause
                                                           : segment.told;
            return std::tuple(step.time, step.arrives ? std::max(segment.told, rank) : rank);
        };
        std::stable_sort(steps.begin(), steps.end(), [&](auto const& a, auto const& b) { return key(a) < key(b); });
        return steps;
    }

    facts_of_ends const& facts_;
    std::array<end_knowledge, 2> known_;
    std::vector<trace_segment> segments_;
    std::vector<std::uint64_t> ranks_;  // of the handshake's: where they stand among events of the same time
};

DUET_DECL std::vector<trace_segment> infer_segments(facts_of_ends const& facts)
{
    return segment_inference(facts).infer();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
