// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_HALL_HPP
#define EXAMPLES_CHAT_HALL_HPP

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "limits.hpp"
#include "member.hpp"
#include "room.hpp"

namespace chat {

/// All rooms, for all threads of the server. Everything is under one lock, so all members of a room hear the same in
/// the same order. Nothing waits under it: a member hears by a queue of its own.
class hall
{
public:
    explicit hall(limits const& bounds) : limits_{bounds}, lobby_{*find_or_open("lobby")} {}

    hall(hall const&) = delete;
    hall& operator=(hall const&) = delete;
    ~hall() = default;

    limits const& bounds() const noexcept { return limits_; }

    /// Give it a name and a place in the lobby. False if somebody has the name.
    bool enter(member& who, std::string name);

    /// It goes to another room, which need not exist yet.
    void move(member& who, std::string const& to);

    /// The others hear why, if there is something to say: "has left". After it nobody reaches the member; it need not
    /// have entered.
    void leave(member& who, std::string_view why) noexcept;

    void say(member& who, std::string_view text);
    void tell_names(member& who);
    void tell_history(member& who);

private:
    room* find_or_open(std::string const& name);
    bool forget_an_empty_room();
    void settle(member& who, room& in);
    room& take_out(member& who) noexcept;
    static void tell_where(member const& who);

    limits const limits_;
    std::mutex mutex_;
    std::set<std::string> names_;
    std::map<std::string, room> rooms_;
    room& lobby_;
    std::uint64_t count_ = 0;  // of rooms that have become empty
};

}  // namespace chat

#endif
