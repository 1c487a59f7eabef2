// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "packet.hpp"

#include <utility>

#include "topics.hpp"

namespace mqtt {
namespace {

unsigned byte_of(char from) noexcept
{
    return static_cast<unsigned char>(from);
}

/// Takes a packet apart, from the front to its end.
class fields
{
public:
    explicit fields(std::string_view packet) noexcept : rest_{packet}
    {
        std::size_t size = 1;
        while (byte_of(packet[size]) >= 0x80)
            ++size;
        rest_.remove_prefix(size + 1);
    }

    unsigned byte() { return byte_of(take(1)[0]); }

    unsigned number()
    {
        auto const two = take(2);
        return byte_of(two[0]) << 8U | byte_of(two[1]);
    }

    unsigned id()
    {
        auto const result = number();
        if (result == 0)
            throw protocol_error{"a packet identifier of 0"};
        return result;
    }

    std::string_view data() { return take(number()); }

    std::string_view text()
    {
        auto const result = data();
        if (!is_utf8(result))
            throw protocol_error{"a string that is not UTF-8"};  // [MQTT-1.5.3-1, -2]
        return result;
    }

    std::string_view rest() noexcept { return std::exchange(rest_, {}); }

    bool at_end() const noexcept { return rest_.empty(); }

    void finish() const
    {
        if (!at_end())
            throw protocol_error{"a packet with more than belongs to it"};
    }

private:
    std::string_view take(std::size_t size)
    {
        if (size > rest_.size())
            throw protocol_error{"a packet that ends too early"};
        auto const result = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return result;
    }

    std::string_view rest_;
};

std::string_view topic_of(fields& from)
{
    auto const topic = from.text();
    if (!is_topic(topic))
        throw protocol_error{"a topic name that is none"};
    return topic;
}

std::string_view filter_of(fields& from)
{
    auto const filter = from.text();
    if (!is_filter(filter))
        throw protocol_error{"a topic filter that is none"};
    return filter;
}

/// The bits of CONNECT that say what follows.
struct connect_flags
{
    explicit connect_flags(unsigned bits)
        : clean{(bits & 2U) != 0}, will{(bits & 4U) != 0}, will_qos{bits >> 3U & 3U},
          will_retain{(bits & 0x20U) != 0}, password{(bits & 0x40U) != 0}, user{(bits & 0x80U) != 0}
    {
        bool const about_no_will = !will && (will_qos != 0 || will_retain);
        if ((bits & 1U) != 0 || will_qos > 2 || about_no_will || (password && !user))
            throw protocol_error{"flags of CONNECT that do not go together"};
    }

    bool clean, will;
    unsigned will_qos;
    bool will_retain, password, user;
};

shared_message will_of(connect_flags const& flags, fields& from)
{
    if (!flags.will)
        return {};
    std::string topic{topic_of(from)};
    std::string payload{from.data()};
    return std::make_shared<message>(message{std::move(topic), std::move(payload), flags.will_qos, flags.will_retain});
}

void append_size(std::string& to, std::size_t size)
{
    for (; size >= 0x80; size >>= 7U)
        to += static_cast<char>((size & 0x7fU) | 0x80U);
    to += static_cast<char>(size);
}

void append_number(std::string& to, std::size_t number)
{
    to += static_cast<char>(number >> 8U & 0xffU);
    to += static_cast<char>(number & 0xffU);
}

std::string begin(packet_type type, unsigned flags, std::size_t size)
{
    std::string result(1, static_cast<char>(static_cast<unsigned>(type) << 4U | flags));
    append_size(result, size);
    return result;
}

}  // namespace

packet_type type_of(std::string_view packet) noexcept
{
    return static_cast<packet_type>(byte_of(packet[0]) >> 4U);
}

connect_packet parse_connect(std::string_view packet)
{
    fields from{packet};
    connect_packet result;
    if (from.text() != "MQTT")
        throw protocol_error{"another protocol than MQTT"};  // [MQTT-3.1.2-1]
    result.is_3_1_1 = from.byte() == 4;
    if (!result.is_3_1_1)
        return result;
    connect_flags const flags{from.byte()};
    result.clean = flags.clean;
    result.keep_alive = from.number();
    result.id = from.text();
    result.will = will_of(flags, from);
    if (flags.user)
        from.text();
    if (flags.password)
        from.data();
    from.finish();
    return result;
}

publish_packet parse_publish(std::string_view packet)
{
    fields from{packet};
    unsigned const qos = byte_of(packet[0]) >> 1U & 3U;
    std::string topic{topic_of(from)};
    publish_packet result;
    if (qos > 0)
        result.id = from.id();
    bool const retain = (byte_of(packet[0]) & 1U) != 0;
    result.content = std::make_shared<message>(message{std::move(topic), std::string{from.rest()}, qos, retain});
    return result;
}

subscribe_packet parse_subscribe(std::string_view packet)
{
    fields from{packet};
    subscribe_packet result{.id = from.id(), .wanted = {}};
    do
    {
        std::string filter{filter_of(from)};
        auto const qos = from.byte();
        if (qos > 2)
            throw protocol_error{"a QoS above 2"};  // [MQTT-3.8.3-4]
        result.wanted.push_back({std::move(filter), qos});
    }
    while (!from.at_end());
    return result;
}

subscribe_packet parse_unsubscribe(std::string_view packet)
{
    fields from{packet};
    subscribe_packet result{.id = from.id(), .wanted = {}};
    do
        result.wanted.push_back({std::string{filter_of(from)}, 0});
    while (!from.at_end());
    return result;
}

unsigned parse_acknowledgement(std::string_view packet)
{
    fields from{packet};
    auto const id = from.id();
    from.finish();
    return id;
}

void parse_empty(std::string_view packet)
{
    fields{packet}.finish();
}

std::string connack(bool session_present, connect_code code)
{
    auto result = begin(packet_type::connack, 0, 2);
    result += session_present ? '\1' : '\0';
    result += static_cast<char>(code);
    return result;
}

std::string acknowledgement(packet_type type, unsigned id)
{
    auto result = begin(type, 0, 2);
    append_number(result, id);
    return result;
}

std::string suback(unsigned id, std::string_view codes)
{
    auto result = begin(packet_type::suback, 0, 2 + codes.size());
    append_number(result, id);
    return result += codes;
}

std::string pingresp()
{
    return begin(packet_type::pingresp, 0, 0);
}

std::string publish_head(message const& content, unsigned id, bool retain, bool again)
{
    unsigned const flags = (again ? 8U : 0U) | (id != 0 ? 2U : 0U) | (retain ? 1U : 0U);
    auto const size = 2 + content.topic.size() + (id != 0 ? 2U : 0U) + content.payload.size();
    auto result = begin(packet_type::publish, flags, size);
    append_number(result, content.topic.size());
    result += content.topic;
    if (id != 0)
        append_number(result, id);
    return result;
}

}  // namespace mqtt
