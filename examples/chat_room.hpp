// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_ROOM_HPP
#define EXAMPLES_CHAT_ROOM_HPP

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <duet/remote.hpp>

namespace example {

/// The members of a chat, for all threads of its server. The list is under a lock. What belongs to one member is used
/// on the thread of its session, where a remote runs functions of the other threads.
class chat_room
{
public:
    void join(void const* who, duet::session const& peer)
    {
        std::lock_guard const lock{mutex_};
        members_.insert_or_assign(who, duet::remote{peer});
    }

    void leave(void const* who)
    {
        std::lock_guard const lock{mutex_};
        members_.erase(who);
    }

    /// Tell all others. For one that does not read, lines queue up to its session's queue_limit.
    void say(void const* who, std::string text)
    {
        auto const line = std::make_shared<std::string const>(std::move(text));
        std::lock_guard const lock{mutex_};
        for (auto const& [name, other] : members_)
            if (name != who)
                other.post(
                    [line](duet::session& peer) { peer.write (*line)([line](duet::error_code, std::size_t) {}); });
    }

private:
    std::mutex mutex_;
    std::map<void const*, duet::remote<duet::session>> members_;
};

}  // namespace example

#endif
