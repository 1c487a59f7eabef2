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
#include <vector>

#include "client.hpp"
#include "packet.hpp"
#include "topics.hpp"

namespace mqtt {

/// All clients, what they have subscribed to, and the retained messages. It does no I/O: what it has to say gathers in
/// the clients' outboxes until flush(). It belongs to one thread.
class broker
{
public:
    explicit broker(limits const& bounds);

    limits const& bounds() const noexcept { return limits_; }

    /// A client connects: the answer is put into its outbox. Who was connected by that identifier is ended. Null if it
    /// was refused.
    std::shared_ptr<client> connect(connect_packet const& with, std::shared_ptr<outbox> const& connection);

    /// Its connection has ended. Publishes its will, if it has one; forgets it, unless it is to be remembered. Does
    /// nothing if another connection has taken over.
    void disconnect(client& who, outbox const& connection);

    /// Returns the code for SUBACK, and puts the retained messages that match into `found`: they go behind SUBACK.
    char subscribe(client& who, subscription const& wanted, std::vector<shared_message>& found);
    void unsubscribe(client& who, std::string const& filter);

    void publish(shared_message const& content);

    /// Write to all clients for which something has gathered.
    void flush();

    /// For whom something has gathered.
    void touch(client const& who);

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

    limits limits_;
    std::unordered_map<std::string, known_client> clients_;
    std::list<client*> away_;  // who has been away longest comes first
    subscription_tree subscriptions_;
    std::map<std::string, shared_message, std::less<>> retained_;
    std::size_t retained_bytes_ = 0;
    std::vector<std::shared_ptr<outbox>> touched_;
};

}  // namespace mqtt

#endif
