// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_CONNECTION_HPP
#define EXAMPLES_MQTT_BROKER_CONNECTION_HPP

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

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

    /// Take a whole packet. False if the connection is over. Throws protocol_error.
    bool take(std::string_view packet);

    /// The connection has ended. `quietly`: because the server stops; wills would only reach others that leave.
    void leave(bool quietly);

    /// How long the client may be silent: half as long again as its keep-alive [MQTT-3.1.2-24].
    std::chrono::milliseconds patience() const noexcept { return patience_; }

private:
    bool connect(std::string_view packet);
    void publish(std::string_view packet);
    void subscribe(std::string_view packet);
    void unsubscribe(std::string_view packet);

    broker& broker_;
    std::shared_ptr<outbox> answers_;
    std::shared_ptr<client> client_;  // null before CONNECT
    std::chrono::milliseconds patience_ = std::chrono::hours{24 * 365};
};

/// All packets that have come, and the rest of one that has begun. False if the connection is over. The buffer lives as
/// long as this call: a client that is silent has none.
template <class Session>
boost::asio::awaitable<bool> take_packets(Session& peer, dialogue& with, session_outbox<Session>& answers, broker& of)
{
    duet::frame_reader packets{peer, framing{}, of.bounds().packet};
    do
    {
        auto packet = co_await packets.next();
        if (!packet)
            co_return false;
        for (; packet; packet = packets.next_buffered())
        {
            bool const more = with.take(*packet);
            if (!more)
                co_return false;
            if (answers.size() > of.bounds().output)
                co_await answers.written();  // who does not read its answers is not read from
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
    try
    {
        for (bool more = true; more;)
        {
            more = co_await peer.wait_readable().within(with.patience());
            if (more)
                more = co_await take_packets(peer, with, *answers, of);
        }
    }
    catch (...)
    {
        failure = std::current_exception();
    }
    with.leave(peer.finish_requested());
    of.flush();
    if (!answers->end_reason().empty())
        throw protocol_error{answers->end_reason()};
    if (failure)
        std::rethrow_exception(failure);
    answers->leave();
}

}  // namespace mqtt

#endif
