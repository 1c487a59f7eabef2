// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_ROOM_HPP
#define EXAMPLES_CHAT_ROOM_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "member.hpp"

namespace chat {

/// Who is in a room, and what was said there last. Not thread-safe: the hall has a lock.
class room
{
public:
    room(std::string name, std::size_t history) : name_{std::move(name)}, most_{history} {}

    room(room const&) = delete;
    room& operator=(room const&) = delete;
    ~room() = default;

    std::string const& name() const noexcept { return name_; }
    bool empty() const noexcept { return members_.empty(); }

    void add(member& who);
    void remove(member& who) noexcept;

    /// All others hear it, and the room remembers it.
    void say(member const& who, shared_line const& line);

    /// All others hear it.
    void tell_others(member const& who, shared_line const& line) const;

    std::string names() const;
    std::string history() const;

    std::uint64_t left_at = 0;  ///< by the hall's count, when the last member left

private:
    std::string name_;
    std::size_t most_;
    std::map<std::string, member*> members_;
    std::deque<shared_line> said_;
};

}  // namespace chat

#endif
