// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_FACTS_IPP
#define DUET_DETAIL_TRACE_TRACE_FACTS_IPP

#include <boost/system/errc.hpp>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <duet/detail/trace/trace_facts.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL trace_fact const* find_fact(std::vector<trace_fact> const& facts, fact_kind kind) noexcept
{
    auto const found = std::find_if(facts.begin(), facts.end(), [&](auto const& fact) { return fact.kind == kind; });
    return found == facts.end() ? nullptr : &*found;
}

DUET_DECL bool is_read(std::string_view operation) noexcept
{
    auto const has = [&](char const* word) { return operation.find(word) != std::string_view::npos; };
    return has("read") || has("receive");
}

DUET_DECL bool is_write(std::string_view operation) noexcept
{
    auto const has = [&](char const* word) { return operation.find(word) != std::string_view::npos; };
    return has("write") || (has("send") && !has("shutdown"));
}

DUET_DECL bool tells_reset(trace_error const& error) noexcept
{
    namespace errc = boost::system::errc;
    return error.category == "system" && (error.value == errc::connection_reset || error.value == errc::broken_pipe);
}

/// Turns the events of one session into facts.
class fact_finder
{
public:
    fact_finder(trace_log const& log, std::uint32_t number)
    {
        for (auto const& event : log.events)
        {
            if (event.session == 0 && event.name == "connect" && events_.empty())
                connector(event);
            if (event.session != number)
                continue;
            if (event.kind == trace_kind::result && event.call != 0)
                results_.emplace(event.call, events_.size());
            events_.push_back(&event);
        }
        transfers_ = std::any_of(
            events_.begin(), events_.end(), [](auto const* event) { return event->kind == trace_kind::transfer; });
    }

    std::vector<trace_fact> find()
    {
        begin();
        for (at_ = 0; at_ != events_.size(); ++at_)
        {
            auto const& event = *events_[at_];
            if (event.kernel)
                ask(event);
            if (event.kind == trace_kind::transfer)
                transfer(event);
            else if (event.kind == trace_kind::result && event.name != "connect" && event.name != "accept")
                result(event);
            else if (event.kind == trace_kind::call && !transfers_)
                call(event);
            else if (event.kind == trace_kind::end)
                end(event);
            facts_.insert(facts_.end(), later_.begin(), later_.end());
            later_.clear();
        }
        put_input_before_fin();
        return std::move(facts_);
    }

private:
    /// What was read after the kernel knew of the peer's FIN had arrived before that FIN.
    void put_input_before_fin()
    {
        auto const fin = std::find_if(
            facts_.begin(), facts_.end(), [](auto const& fact) { return fact.kind == fact_kind::fin_arrived; });
        if (fin == facts_.end())
            return;
        auto const known_at = fin->time;
        auto const input =
            std::stable_partition(fin, facts_.end(), [](auto const& fact) { return fact.kind == fact_kind::received; });
        std::for_each(fin, input, [&](auto& fact) { fact.time = std::min(fact.time, known_at); });
    }

    /// Keeps the calls of connectors that are under way when the session begins.
    void connector(trace_event const& event)
    {
        if (event.kind == trace_kind::call)
            connecting_.push_back(&event);
        else if (event.kind == trace_kind::result)
            std::erase_if(connecting_, [&](auto const* call) { return call->number == event.call; });
    }

    static bool ends_us(std::string_view name) noexcept
    {
        return name.find("shutdown") != name.npos || name == "close" || name == "abort" || name == "async_close";
    }

    void add(fact_kind kind, trace_event const& event, std::uint64_t cause, std::uint64_t told, std::uint64_t bytes = 0)
    {
        facts_.push_back({kind, event.time, cause, told, bytes, event.time});
    }

    void add_once(fact_kind kind, trace_event const& event, std::uint64_t cause, std::uint64_t told)
    {
        if (find_fact(facts_, kind) == nullptr)
            add(kind, event, cause, told);
    }

    trace_event const* first(trace_kind kind, std::string_view name) const noexcept
    {
        for (auto const* event : events_)
            if (event->kind == kind && event->name == name)
                return event;
        return nullptr;
    }

    void begin()
    {
        if (auto const* const call = first(trace_kind::call, "connect"))
            return connect(*call, first(trace_kind::result, "connect"));
        for (auto const* event : events_)
        {
            if (event->kind != trace_kind::begin)
                continue;
            auto const* const result = first(trace_kind::result, "accept");
            auto const told = result != nullptr ? result->number : event->number;
            add(event->name == "connect"  ? fact_kind::connected
                : event->name == "accept" ? fact_kind::accepted
                                          : fact_kind::attached,
                *event, event->number, told);
            // If there are several, nothing says which one it was.
            if (event->name == "connect" && connecting_.size() == 1)
            {
                facts_.back().begun = connecting_.front()->time;
                facts_.back().cause = connecting_.front()->number;
            }
            return;
        }
        if (!events_.empty())
            add(fact_kind::attached, *events_.front(), 0, 0);
    }

    void connect(trace_event const& call, trace_event const* result)
    {
        auto kind = fact_kind::unanswered;
        if (result != nullptr && !result->error)
            kind = fact_kind::connected;
        else if (result != nullptr && result->error.category == "system" &&
                 (result->error.value == boost::system::errc::connection_refused || tells_reset(result->error)))
            kind = fact_kind::refused;
        add(kind, result != nullptr ? *result : call, call.number, result != nullptr ? result->number : 0);
        facts_.back().begun = call.time;
    }

    void ask(trace_event const& event)
    {
        auto const state = event.kernel->state;
        bool const living = state == tcp_state::established || state == tcp_state::close_wait ||
                            state == tcp_state::fin_wait_1 || state == tcp_state::fin_wait_2 ||
                            state == tcp_state::closing || state == tcp_state::last_ack;
        // A snapshot belongs to the time after the event, so what the event itself sent counts, too.
        if (living && event.kernel->segments_unacknowledged == 0 && event.kernel->bytes_unsent == 0)
            later_.push_back({fact_kind::acknowledged, event.time, 0, 0, 0, {}});
        if (event.kernel->peer_finished())
            add_once(fact_kind::fin_arrived, event, 0, event.number);
    }

    void transfer(trace_event const& event)
    {
        if (event.name == "send" && event.bytes != 0)
            add(fact_kind::sent, event, cause_of(event, is_write), 0, event.bytes);
        else if (event.name == "receive" && event.bytes != 0)
            add(fact_kind::received, event, 0, told_of(event), event.bytes);
        else if (event.name == "discard" && event.bytes != 0)
            add(fact_kind::received, event, 0, event.number, event.bytes);
        else if (event.name == "fin" && !event.error)
            add_once(fact_kind::finished, event, cause_of(event, ends_us), 0);
        else if (event.name == "peer_fin")
            add_once(fact_kind::peer_finished, event, 0, told_of(event));
        else if (event.name == "reset" && find_fact(facts_, fact_kind::peer_reset) == nullptr)  // else nobody is there
            add_once(fact_kind::reset, event, cause_of(event, ends_us), 0);
        else if (event.name == "close")
            add_once(fact_kind::closed, event, cause_of(event, ends_us), 0);
        failure(event, told_of(event));
    }

    void call(trace_event const& event)
    {
        if (event.name == "abort")
            add_once(fact_kind::reset, event, event.number, 0);
        else if (ends_us(event.name))
            add_once(fact_kind::finished, event, event.number, 0);
    }

    void result(trace_event const& event)
    {
        auto const call = event.call != 0 ? event.call : event.number;
        if (!transfers_ && event.bytes != 0 && is_write(event.name))
        {
            add(fact_kind::sent, event, call, 0, event.bytes);
            // The segments left when the program called, as far as anybody knows.
            for (auto index = at_; index-- != oldest();)
                if (events_[index]->number == event.call)
                    facts_.back().time = events_[index]->time;
        }
        if (!transfers_ && event.bytes != 0 && is_read(event.name))
            add(fact_kind::received, event, 0, event.number, event.bytes);
        if (!transfers_ && event.receive == receive_state::ended)
            add_once(fact_kind::peer_finished, event, 0, event.number);
        failure(event, event.number);
    }

    void failure(trace_event const& event, std::uint64_t told)
    {
        if (tells_reset(event.error) && event.reason != close_reason::aborted)
            add_once(fact_kind::peer_reset, event, 0, told);
        else if (event.error.category == duet_category().name() &&
                 event.error.value == static_cast<int>(errc::dead_peer))
            add_once(fact_kind::vanished, event, 0, told);
    }

    void end(trace_event const& event)
    {
        bool const silent = find_fact(facts_, fact_kind::reset) == nullptr;
        if (event.reason == close_reason::peer_reset && silent)
            add_once(fact_kind::peer_reset, event, 0, event.number);
        if (event.reason == close_reason::clean || event.reason == close_reason::discarded_input)
            later_.push_back({fact_kind::acknowledged, event.time, 0, 0, 0, {}});
        if (event.reason == close_reason::dead_peer)
            add_once(fact_kind::vanished, event, 0, event.number);
        if (find_fact(facts_, fact_kind::unanswered) == nullptr && find_fact(facts_, fact_kind::refused) == nullptr &&
            silent)
            add_once(fact_kind::closed, event, cause_of(event, ends_us), 0);
    }

    /// A call that is further back than this is not looked for: long traces would take forever.
    std::size_t oldest() const noexcept { return at_ > 256 ? at_ - 256 : 0; }

    /// The call that the event belongs to: the one it names, else the last such call that has not completed, else the
    /// last one, else the event itself.
    template <class IsSuch>
    std::uint64_t cause_of(trace_event const& event, IsSuch is_such) const
    {
        if (event.call != 0)
            return event.call;
        std::uint64_t last = 0;
        for (auto index = at_; index-- != oldest();)
        {
            auto const& earlier = *events_[index];
            if (earlier.kind != trace_kind::call || !is_such(earlier.name))
                continue;
            if (result_of(earlier.number, at_) == 0)
                return earlier.number;
            last = std::max(last, earlier.number);
        }
        return last != 0 ? last : event.number;
    }

    /// The result of `call` if it is before the event at `stop`, or 0.
    std::uint64_t result_of(std::uint64_t call, std::size_t stop) const
    {
        auto const found = results_.find(call);
        return found != results_.end() && found->second < stop ? events_[found->second]->number : 0;
    }

    /// The result that told the program of what was received: that of the call which the event names, or of the read
    /// that is under way; else the event itself.
    std::uint64_t told_of(trace_event const& event) const
    {
        auto call = event.call;
        for (auto index = at_; call == 0 && index-- != oldest();)
        {
            auto const& earlier = *events_[index];
            if (earlier.kind == trace_kind::call && is_read(earlier.name) && result_of(earlier.number, at_) == 0)
                call = earlier.number;
        }
        auto const told = call != 0 ? result_of(call, events_.size()) : 0;
        return told != 0 ? told : event.number;
    }

    std::vector<trace_event const*> events_;
    std::vector<trace_event const*> connecting_;
    std::unordered_map<std::uint64_t, std::size_t> results_;  // the place of each call's result
    std::vector<trace_fact> facts_;
    std::vector<trace_fact> later_;
    std::size_t at_ = 0;
    bool transfers_ = false;
};

DUET_DECL std::vector<trace_fact> facts_of(trace_log const& log, trace_session const& one)
{
    return fact_finder(log, one.number).find();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
