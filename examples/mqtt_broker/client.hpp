// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_CLIENT_HPP
#define EXAMPLES_MQTT_BROKER_CLIENT_HPP

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "outbox.hpp"
#include "packet.hpp"

namespace mqtt {

/// What a stranger may take. Together with the largest number of clients, they bound the broker's memory.
struct limits
{
    std::size_t packet = 256 * 1024;               ///< the largest packet of a client
    std::size_t output = 1024 * 1024;              ///< waits for one client; beyond it, QoS 0 is dropped
    std::size_t queued = 10'000;                   ///< messages of QoS 1 that one client has not acknowledged
    std::size_t queued_bytes = 8 * 1024 * 1024;    ///< and their topics and payloads
    std::size_t window = 20;                       ///< of these, how many are sent before the first is acknowledged
    std::size_t subscriptions = 100;               ///< of one client, and filters in one SUBSCRIBE
    std::size_t all_subscriptions = 100'000;       ///< of all clients
    std::size_t filter = 1024;                     ///< bytes of the longest topic filter
    std::size_t levels = 2'000'000;                ///< of topics that one SUBSCRIBE has compared: 20 ms
    std::size_t clients = 20'000;                  ///< that are connected, or are away and will be back
    std::size_t retained = 5'000;                  ///< messages, of all topics; one SUBSCRIBE brings no more
    std::size_t retained_bytes = 4 * 1024 * 1024;  ///< and their topics and payloads
    std::size_t late = 8 * 1024 * 1024;            ///< what is still taken of a connection that was ended
    std::size_t id = 128;                          ///< the longest client identifier
    std::chrono::milliseconds second{1000};        ///< how long a second of a keep-alive takes: less in tests
};

/// What MQTT calls a session: what is known of a client, connected or not. It ends with the connection, unless the
/// client wants to be remembered.
class client
{
public:
    client(std::string id, limits const& bounds) : id_{std::move(id)}, limits_{bounds} {}

    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client() = default;

    std::string const& id() const noexcept { return id_; }

    /// It is connected. What it has not acknowledged is sent again, then what has waited.
    void attach(std::shared_ptr<outbox> connection);
    void detach() noexcept { connection_.reset(); }

    /// Null while it is away.
    std::shared_ptr<outbox> const& connection() const noexcept { return connection_; }

    /// Send a message, or keep it for later; with a QoS of at most this. `retained`: because of a subscription to a
    /// topic that had it already.
    void deliver(shared_message const& content, unsigned qos, bool retained);

    /// True if so many more of QoS 1, with topics and payloads of so many bytes, can wait.
    bool has_room_for(std::size_t count, std::size_t bytes) const noexcept;

    /// PUBACK.
    void acknowledged(unsigned id);

    /// A PUBLISH with QoS 2. False if it is one that was sent before. Throws protocol_error.
    bool begin_exactly_once(unsigned id);

    /// PUBREL.
    void end_exactly_once(unsigned id) { unreleased_.erase(id); }

    bool remembered = false;                        ///< it did not ask for a clean session
    shared_message will;                            ///< null if there is none
    std::map<std::string, unsigned> subscriptions;  ///< the filters, with their QoS

private:
    struct delivery
    {
        shared_message content;
        bool retained = false;
        unsigned id = 0;  ///< 0: not sent yet
    };

    void send(delivery const& one, bool again);
    void send_more();
    unsigned free_id() noexcept;

    std::string id_;
    limits const& limits_;
    std::shared_ptr<outbox> connection_;
    std::deque<delivery> queue_;  // QoS 1; the first `sent_` of them were sent
    std::size_t sent_ = 0;
    std::size_t queued_bytes_ = 0;
    unsigned last_id_ = 0;
    std::set<unsigned> unreleased_;
};

}  // namespace mqtt

#endif
