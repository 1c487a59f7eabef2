// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_BROKER_HPP
#define EXAMPLES_MQTT_BROKER_BROKER_HPP

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client.hpp"
#include "packet.hpp"
#include "topics.hpp"

namespace mqtt {

/// A server may grant less than is asked for.
constexpr unsigned granted_qos(subscription const& wanted) noexcept
{
    return wanted.qos > 0 ? 1 : 0;
}

/// What a SUBSCRIBE brings: one for each of its filters that match, with the QoS of that [MQTT-3.3.1-6].
struct retained_messages
{
    std::vector<std::pair<shared_message, unsigned>> messages;
    std::size_t bytes = 0;     ///< their topics and payloads
    std::size_t to_queue = 0;  ///< how many of them are of QoS 1
    std::size_t levels = 0;    ///< how many were compared to find them, at most
};

/// All clients, what they have subscribed to, and the retained messages. It does no I/O: what it has to say gathers in
/// the clients' outboxes until flush(). It belongs to one thread.
class broker
{
public:
    explicit broker(limits const& bounds);

    limits const& bounds() const noexcept { return limits_; }

    /// Of the client with this identifier. Null if none is connected.
    std::shared_ptr<outbox> connection_of(std::string const& id) const;

    /// A client connects, by an identifier that nobody else is connected by: the answer is put into its outbox. Null if
    /// it was refused.
    std::shared_ptr<client> connect(connect_packet const& with, std::shared_ptr<outbox> const& connection);

    /// Its connection has ended. Publishes its will, if it has one; forgets it, unless it is to be remembered.
    void disconnect(client& who);

    /// Adds the retained messages that match to `found`, which has those of the same SUBSCRIBE. False, and nothing has
    /// changed, if the filter is too long, there are too many, the SUBSCRIBE has taken too long already, or `found`
    /// would have more than may be retained or than the client's queue has room for.
    bool subscribe(client& who, subscription const& wanted, retained_messages& found);
    void unsubscribe(client& who, std::string const& filter);

    void publish(shared_message const& content);

    /// Write to all clients for which something has gathered.
    void flush();

    /// For whom something has gathered.
    void touch(client const& who);

    /// True if so much was done since the last time that others should have their turn.
    bool ends_turn() noexcept;

private:
    struct known_client
    {
        std::shared_ptr<client> state;      // its connection may still refer to one that was forgotten
        std::list<client*>::iterator away;  // end() of one that is connected
    };

    std::shared_ptr<client> find_or_make(connect_packet const& with);
    void forget(client& who);
    void retain(shared_message const& content);
    bool has_room_for(message const& content, message const* instead) const noexcept;
    retained_messages retained_for(subscription const& wanted);

    limits limits_;
    std::unordered_map<std::string, known_client> clients_;
    std::list<client*> away_;  // who has been away longest comes first
    subscription_tree subscriptions_;
    std::size_t all_subscriptions_ = 0;
    std::map<std::string, shared_message, std::less<>> retained_;
    std::size_t retained_bytes_ = 0;
    std::vector<std::shared_ptr<outbox>> touched_;  // each once
    std::size_t work_ = 0;  // of this turn: messages, deliveries, and places where something was looked for
};

}  // namespace mqtt

#endif
