// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_MEMBER_HPP
#define EXAMPLES_CHAT_MEMBER_HPP

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <duet/remote.hpp>

namespace chat {

class room;

/// What all members of a room get shares its bytes.
using shared_line = std::shared_ptr<std::string const>;

shared_line make_line(std::string text);

/// One client. It belongs to the handler of its session; all threads reach it by the hall, and under its lock.
class member
{
public:
    explicit member(duet::session const& peer) : peer_{peer}, inbox_{std::make_shared<inbox>()} {}

    member(member const&) = delete;
    member& operator=(member const&) = delete;
    ~member() = default;

    /// Send it lines. Returns at once, on any thread: if the member does not read, they queue up to the queue_limit of
    /// its session, and no longer than its write deadline; either ends the session.
    ///
    /// It hears all in the order of the calls. A post alone would not do: what different threads post to a session may
    /// run in another order. So they leave lines in an inbox, and post that there are some.
    void hear(shared_line const& lines) const;

    /// Put what it has yet to hear into the queue of its session, whose end waits for that. On the session's executor.
    void catch_up(duet::session& peer) const { give(*inbox_, peer); }

    std::string name;       ///< of the hall; empty until it has one
    room* where = nullptr;  ///< of the hall

private:
    struct inbox
    {
        std::mutex mutex{};
        std::vector<shared_line> lines{};
        bool announced = false;
    };

    static void give(inbox& from, duet::session& peer);

    duet::remote<duet::session> peer_;
    std::shared_ptr<inbox> inbox_;  // also of posts, which may outlive the member
};

}  // namespace chat

#endif
