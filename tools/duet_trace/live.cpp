// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "live.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tool {
namespace {

constexpr std::chrono::milliseconds together{15};
constexpr std::size_t few = 100;  // events: their connections take turns

std::string strong(std::string const& text, bool colours)
{
    return colours ? "\033[1m" + text + "\033[0m" : text;
}

}  // namespace

std::string title_of(duet::trace_session const& one)
{
    return one.client ? "proxy to server " + one.remote : "client " + one.remote + " to proxy";
}

live_view::live_view(
    boost::asio::any_io_executor const& executor, printer& out, live_style style, std::size_t conversation)
    : timer_{executor}, out_{out}, style_{style}, prefix_{std::to_string(conversation) + ' '}
{
    if (prefix_.size() < 3)
        prefix_.insert(0, 1, ' ');
}

void live_view::wake()
{
    if (std::exchange(waiting_, true))
        return;
    timer_.expires_after(together);
    timer_.async_wait(
        [weak = weak_from_this()](boost::system::error_code const& error)
        {
            auto const self = weak.lock();
            if (!self || error)
                return;
            self->waiting_ = false;
            self->show();
        });
}

void live_view::finish()
{
    show();
    trace_ = nullptr;
    timer_.cancel();
    std::string lines;
    for (auto const& [number, each] : connections_)
    {
        auto const verdict = each.diagram.verdict();
        lines += strong(prefix_ + each.title + ": " + (verdict.empty() ? "has ended" : verdict), style_.colours) + '\n';
    }
    out_.say(std::move(lines));
}

void live_view::show()
{
    if (trace_ == nullptr)
        return;
    auto more = trace_->log(seen_);
    for (auto const& event : more.events)
        seen_ = std::max(seen_, event.number);
    for (auto const& one : more.sessions)
        connections_.try_emplace(one.number,
            connection{duet::live_diagram{one.number, {style_.width, style_.unicode, style_.colours, prefix_}},
                title_of(one)});

    std::string lines;
    if (more.events.size() > few)
    {
        for (auto const& one : more.sessions)
            lines += add(more, one.number);
        return out_.pass(std::move(lines));
    }
    // In the order of time: as long as one connection has its turn.
    auto const events = std::exchange(more.events, {});
    for (auto next = events.begin(); next != events.end();)
    {
        auto const session = next->session;
        auto const end =
            std::find_if(next, events.end(), [&](auto const& event) { return event.session != session; });
        more.events.assign(next, end);
        for (auto const& one : more.sessions)
            if (session == 0 || session == one.number)
                lines += add(more, one.number);
        next = end;
    }
    out_.pass(std::move(lines));
}

std::string live_view::add(duet::trace_log const& more, std::uint32_t session)
{
    auto& one = connections_.at(session);
    auto lines = one.diagram.add(more);
    bool const known =
        std::ranges::any_of(more.events, [&](auto const& event) { return event.session == session; });
    if (known && !std::exchange(one.begun, true))
        lines.insert(0, strong(prefix_ + one.title, style_.colours) + '\n');
    return lines;
}

}  // namespace tool
