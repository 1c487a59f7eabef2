// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_MEMBER_HPP
#define EXAMPLES_CHAT_MEMBER_HPP

#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <duet/remote.hpp>

namespace chat {

class room;

/// What all members of a room get shares its bytes.
using shared_line = std::shared_ptr<std::string const>;

inline shared_line make_line(std::string text)
{
    return std::make_shared<std::string const>(std::move(text));
}

/// One client. It belongs to the handler of its session; all threads reach it by the hall, and under its lock.
class member
{
public:
    explicit member(duet::session const& peer) : peer_{peer} {}

    member(member const&) = delete;
    member& operator=(member const&) = delete;
    ~member() = default;

    /// Send it lines. Returns at once, on any thread: if the member does not read, they queue up to the queue_limit of
    /// its session, and no longer than its write deadline; either ends the session. All that it hears comes in the order
    /// of the calls, its own answers too.
    void hear(shared_line const& lines) const
    {
        peer_.post(
            [lines](duet::session& peer)
            {
                peer.write (*lines)([lines, link = peer.canceller()](duet::error_code error, std::size_t)
                    {
                        if (error == duet::errc::write_timed_out)
                            link.abort();
                    });
            });
    }

    /// Wait until what it was to hear so far is in the queue of its session, whose end then waits for it.
    boost::asio::awaitable<void> told() const
    {
        auto const nothing = [](duet::session&) {};
        co_await peer_.post(nothing, boost::asio::use_awaitable);
    }

    std::string name;      ///< of the hall; empty until it has one
    room* where = nullptr;  ///< of the hall

private:
    duet::remote<duet::session> peer_;
};

}  // namespace chat

#endif
