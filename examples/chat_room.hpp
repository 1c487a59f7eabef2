// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_ROOM_HPP
#define EXAMPLES_CHAT_ROOM_HPP

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
    static constexpr int most_waiting = 1000;  // lines for a member that does not read them

    void join(void const* who, duet::session const& peer)
    {
        std::lock_guard const lock{mutex_};
        members_.insert_or_assign(who, member{duet::remote{peer}, std::make_shared<int>(0)});
    }

    void leave(void const* who)
    {
        std::lock_guard const lock{mutex_};
        members_.erase(who);
    }

    /// Tell all others.
    void say(void const* who, std::string text)
    {
        auto const line = std::make_shared<std::string const>(std::move(text));
        std::lock_guard const lock{mutex_};
        for (auto const& [name, other] : members_)
            if (name != who)
                other.peer.post([line, waiting = other.waiting](duet::session& peer) { tell(peer, line, waiting); });
    }

private:
    struct member
    {
        duet::remote<duet::session> peer;
        std::shared_ptr<int> waiting;  // lines that are being written
    };

    using shared_line = std::shared_ptr<std::string const>;

    static void tell(duet::session& peer, shared_line const& line, std::shared_ptr<int> const& waiting)
    {
        if (*waiting == most_waiting)
            return peer.abort();
        ++*waiting;
        peer.write(boost::asio::buffer(*line))([line, waiting](duet::error_code, std::size_t) { --*waiting; });
    }

    std::mutex mutex_;
    std::map<void const*, member> members_;
};

}  // namespace example

#endif
