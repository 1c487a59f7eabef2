// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "room.hpp"

namespace chat {

void room::add(member& who)
{
    members_.emplace(who.name, &who);
    who.where = this;
}

void room::remove(member& who) noexcept
{
    members_.erase(who.name);
    who.where = nullptr;
}

void room::say(member const& who, shared_line const& line)
{
    said_.push_back(line);
    if (said_.size() > most_)
        said_.pop_front();
    tell_others(who, line);
}

void room::tell_others(member const& who, shared_line const& line) const
{
    for (auto const& [name, other] : members_)
        if (other != &who)
            other->hear(line);
}

std::string room::names() const
{
    std::string result;
    for (auto const& [name, who] : members_)
        result += ' ' + name;
    return result;
}

std::string room::history() const
{
    std::string result;
    for (auto const& line : said_)
        result += *line;
    return result;
}

}  // namespace chat
