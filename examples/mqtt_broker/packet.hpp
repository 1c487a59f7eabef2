// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_PACKET_HPP
#define EXAMPLES_MQTT_BROKER_PACKET_HPP

// The packets of MQTT 3.1.1 as bytes: where they end, what a client's says, and those that a server sends.
// Numbers in brackets are those of the requirements in the OASIS standard.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <duet/frame_layout.hpp>

namespace mqtt {

enum class packet_type : std::uint8_t
{
    connect = 1,
    connack,
    publish,
    puback,
    pubrec,
    pubrel,
    pubcomp,
    subscribe,
    suback,
    unsubscribe,
    unsuback,
    pingreq,
    pingresp,
    disconnect,
};

enum class connect_code : std::uint8_t
{
    accepted,
    unacceptable_protocol,
    identifier_rejected,
    server_unavailable,
};

/// The client has broken a rule, after which its connection must end [MQTT-4.8.0-1].
class protocol_error : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// True if a client may begin a packet for a server with this byte: the type, and the flags that this type has.
constexpr bool begins_packet(unsigned char first) noexcept
{
    auto const flags = first & 0xfU;
    switch (static_cast<packet_type>(first >> 4U))
    {
    case packet_type::publish:
        return (flags & 6U) != 6 && (flags & 0xeU) != 8;  // QoS 3; a repetition of QoS 0 [MQTT-3.3.1-2, -4]
    case packet_type::pubrel:
    case packet_type::subscribe:
    case packet_type::unsubscribe:
        return flags == 2;
    case packet_type::connect:
    case packet_type::puback:
    case packet_type::pingreq:
    case packet_type::disconnect:
        return flags == 0;
    default:
        return false;  // what a server says, or answers to a QoS 2 that this server does not send
    }
}

/// How packets are told apart: a byte with the type, the size of the rest in up to four bytes, and the rest. For the
/// reader a packet is the message with all of it, because the first byte belongs to what is said.
struct framing
{
    static constexpr duet::frame_layout layout(std::string_view from, std::size_t) noexcept
    {
        if (!begins_packet(static_cast<unsigned char>(from[0])))
            return {.malformed = true};
        std::uint64_t rest = 0;
        for (std::size_t i = 1; i <= 4; ++i)
        {
            if (i == from.size())
                return {.body = i + 1};
            auto const byte = static_cast<unsigned char>(from[i]);
            rest |= std::uint64_t{byte & 0x7fU} << (7 * (i - 1));
            if (byte < 0x80)
                return {.body = i + 1 + rest};
        }
        return {.malformed = true};
    }

    static constexpr bool accepts(std::string_view packet) noexcept
    {
        return !packet.empty() && layout(packet, 0).body == packet.size();
    }

    static constexpr std::string_view head(std::string_view) noexcept { return {}; }

    static constexpr std::string_view tail() noexcept { return {}; }
};

/// What a client publishes. Its subscribers share one.
struct message
{
    std::string topic;
    std::string payload;
    unsigned qos = 0;
    bool retain = false;
};

inline std::size_t cost(message const& of) noexcept
{
    return of.topic.size() + of.payload.size();
}

using shared_message = std::shared_ptr<message const>;

struct connect_packet
{
    bool is_3_1_1 = false;  ///< if not, the rest is not known
    std::string id;
    bool clean = false;
    unsigned keep_alive = 0;  ///< seconds; 0: none
    shared_message will;      ///< null if there is none
};

struct publish_packet
{
    shared_message content;
    unsigned id = 0;  ///< of QoS 1 and 2
};

struct subscription
{
    std::string filter;
    unsigned qos = 0;
};

struct subscribe_packet
{
    unsigned id = 0;
    std::vector<subscription> wanted;  ///< of an UNSUBSCRIBE: qos says nothing
};

packet_type type_of(std::string_view packet) noexcept;

/// Each takes a whole packet, as the framing has found it, and throws protocol_error.
connect_packet parse_connect(std::string_view packet);
publish_packet parse_publish(std::string_view packet);
subscribe_packet parse_subscribe(std::string_view packet);
subscribe_packet parse_unsubscribe(std::string_view packet);
unsigned parse_acknowledgement(std::string_view packet);  ///< PUBACK, PUBREL: the id
void parse_empty(std::string_view packet);                ///< PINGREQ, DISCONNECT

std::string connack(bool session_present, connect_code code);
std::string acknowledgement(packet_type type, unsigned id);  ///< PUBACK, PUBREC, PUBCOMP, UNSUBACK
std::string suback(unsigned id, std::string_view codes);
std::string pingresp();

/// A PUBLISH up to its payload. `id` of 0: QoS 0.
std::string publish_head(message const& content, unsigned id, bool retain, bool again);

}  // namespace mqtt

#endif
