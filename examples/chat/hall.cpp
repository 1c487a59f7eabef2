// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "hall.hpp"

#include <fmt/format.h>

#include <new>
#include <utility>

namespace chat {

bool hall::enter(member& who, std::string name)
{
    std::lock_guard const lock{mutex_};
    if (!names_.insert(name).second)
        return false;
    who.name = std::move(name);
    settle(who, lobby_);
    return true;
}

void hall::move(member& who, std::string const& to)
{
    std::lock_guard const lock{mutex_};
    if (who.where->name() == to)
        return tell_where(who);
    auto* const there = find_or_open(to);
    if (!there)
        return who.hear(make_line("* there are too many rooms\n"));
    auto const& from = take_out(who);
    settle(who, *there);
    from.tell_others(who, make_line(fmt::format("* {} has gone to {}\n", who.name, to)));
}

void hall::leave(member& who, std::string_view why) noexcept
{
    std::lock_guard const lock{mutex_};
    names_.erase(who.name);
    if (!who.where)
        return;
    auto const& from = take_out(who);
    try
    {
        if (!why.empty())
            from.tell_others(who, make_line(fmt::format("* {} {}\n", who.name, why)));
    }
    catch (std::bad_alloc const&)
    {
        // The others still see it in /names.
    }
}

void hall::say(member& who, std::string_view text)
{
    std::lock_guard const lock{mutex_};
    who.where->say(who, make_line(fmt::format("{}: {}\n", who.name, text)));
}

void hall::tell_names(member& who)
{
    std::lock_guard const lock{mutex_};
    tell_where(who);
}

void hall::tell_history(member& who)
{
    std::lock_guard const lock{mutex_};
    who.hear(make_line(who.where->history() + "* end of the history\n"));
}

/// Null if all rooms have members.
room* hall::find_or_open(std::string const& name)
{
    if (auto const found = rooms_.find(name); found != rooms_.end())
        return &found->second;
    if (rooms_.size() >= limits_.rooms && !forget_an_empty_room())
        return nullptr;
    return &rooms_.try_emplace(name, name, limits_.history).first->second;
}

bool hall::forget_an_empty_room()
{
    auto oldest = rooms_.end();
    for (auto one = rooms_.begin(); one != rooms_.end(); ++one)
        if (one->second.empty() && &one->second != &lobby_ &&
            (oldest == rooms_.end() || one->second.left_at < oldest->second.left_at))
            oldest = one;
    if (oldest == rooms_.end())
        return false;
    rooms_.erase(oldest);
    return true;
}

void hall::settle(member& who, room& in)
{
    in.add(who);
    tell_where(who);
    in.tell_others(who, make_line(fmt::format("* {} is here\n", who.name)));
}

room& hall::take_out(member& who) noexcept
{
    auto& from = *who.where;
    from.remove(who);
    if (from.empty())
        from.left_at = ++count_;
    return from;
}

void hall::tell_where(member const& who)
{
    who.hear(make_line(fmt::format("* in {}:{}\n", who.where->name(), who.where->names())));
}

}  // namespace chat
