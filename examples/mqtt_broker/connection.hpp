// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_CONNECTION_HPP
#define EXAMPLES_MQTT_BROKER_CONNECTION_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <duet/error.hpp>
#include <duet/framing.hpp>

#include "broker.hpp"
#include "outbox.hpp"

namespace mqtt {

/// What the packets of one connection mean, in their order.
class dialogue
{
public:
    dialogue(broker& of, std::shared_ptr<outbox> answers) : broker_{of}, answers_{std::move(answers)} {}

    dialogue(dialogue const&) = delete;
    dialogue& operator=(dialogue const&) = delete;
    ~dialogue() = default;

    /// Another connection that has to leave before this packet can be taken. It has been told to. Null if there is
    /// none. Throws protocol_error.
    std::shared_ptr<outbox> predecessor(std::string_view packet);

    /// Take a whole packet. False if the connection is over. Throws protocol_error.
    bool take(std::string_view packet);

    /// The connection has ended. `quietly`: because the server stops; wills would only reach others that leave.
    void leave(bool quietly);

    /// How long the client may be silent: half as long again as its keep-alive [MQTT-3.1.2-24].
    std::chrono::milliseconds patience() const noexcept { return answers_->ending() ? a_moment : patience_; }

    /// How long the rest of a packet may take, besides the session's deadlines; 0 is no limit.
    std::chrono::milliseconds patience_for_rest() const noexcept
    {
        return answers_->ending() ? a_moment : std::chrono::milliseconds{};
    }

private:
    static constexpr std::chrono::milliseconds a_moment{100};  // what has arrived needs none

    bool connect(std::string_view packet);
    void publish(std::string_view packet);
    void subscribe(std::string_view packet);
    void unsubscribe(std::string_view packet);

    broker& broker_;
    std::shared_ptr<outbox> answers_;
    std::shared_ptr<client> client_;  // null before CONNECT
    std::chrono::milliseconds patience_ = std::chrono::hours{24 * 365};
    std::size_t late_ = 0;  // bytes that were taken after the connection was ended
};

/// All packets that have come, and the rest of one that has begun. False if the connection is over. The buffer lives as
/// long as this call: a client that is silent has none.
template <class Session>
boost::asio::awaitable<bool> take_packets(Session& peer, dialogue& with, session_outbox<Session>& answers, broker& of)
{
    duet::frame_reader packets{peer, framing{}, of.bounds().packet};
    do
    {
        std::optional<std::string_view> packet;
        try
        {
            packet = co_await packets.next().within(with.patience_for_rest());
        }
        catch (duet::session_error const& error)
        {
            if (!answers.has_interrupted(error.code()))
                throw;
            continue;
        }
        if (!packet)
            co_return false;
        for (; packet; packet = packets.next_buffered())
        {
            while (auto const before = with.predecessor(*packet))
                co_await before->left();
            bool const more = with.take(*packet);
            if (!more)
                co_return false;
            if (answers.size() > of.bounds().output)
            {
                of.flush();                  // nobody else waits for this one
                co_await answers.written();  // who does not read its answers is not read from
            }
            if (of.ends_turn())
            {
                of.flush();
                co_await boost::asio::post(boost::asio::use_awaitable);
            }
        }
        of.flush();
    }
    while (!packets.unread().empty());
    co_return true;
}

/// The handler of the server, for a session of any kind.
template <class Session>
boost::asio::awaitable<void> serve(Session peer, broker& of)
{
    auto const answers = std::make_shared<session_outbox<Session>>(peer);
    struct guard
    {
        session_outbox<Session>& box;
        ~guard() { box.abandon(); }
    } const abandons_session{*answers};
    dialogue with{of, answers};
    std::exception_ptr failure;
    for (bool more = true; more && !failure;)
    {
        try
        {
            more = co_await peer.wait_readable().within(with.patience());
            if (more)
                more = co_await take_packets(peer, with, *answers, of);
        }
        catch (duet::session_error const& error)
        {
            if (!answers->has_interrupted(error.code()))
                failure = std::current_exception();
        }
        catch (...)
        {
            failure = std::current_exception();
        }
    }
    with.leave(peer.finish_requested());
    of.flush();
    if (answers->ending())
        throw protocol_error{answers->end_reason()};
    if (failure)
        std::rethrow_exception(failure);
    answers->leave();
}

}  // namespace mqtt

#endif
