// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "connection.hpp"

#include <string>
#include <vector>

namespace mqtt {

std::shared_ptr<outbox> dialogue::predecessor(std::string_view packet)
{
    if (client_ || type_of(packet) != packet_type::connect)
        return {};
    auto result = broker_.connection_of(parse_connect(packet).id);
    if (result)
        result->end("another connection has its identifier");  // [MQTT-3.1.4-2]
    return result;
}

bool dialogue::take(std::string_view packet)
{
    if (answers_->ending() && (late_ += packet.size()) > broker_.bounds().late)
        return false;
    auto const type = type_of(packet);
    if ((type == packet_type::connect) != (client_ == nullptr))
        throw protocol_error{"CONNECT is the first packet, and comes once"};  // [MQTT-3.1.0-1, -2]
    switch (type)
    {
    case packet_type::connect:
        return connect(packet);
    case packet_type::publish:
        publish(packet);
        break;
    case packet_type::puback:
        client_->acknowledged(parse_acknowledgement(packet));
        break;
    case packet_type::pubrel:
        client_->end_exactly_once(parse_acknowledgement(packet));
        answers_->put(acknowledgement(packet_type::pubcomp, parse_acknowledgement(packet)));
        break;
    case packet_type::subscribe:
        subscribe(packet);
        break;
    case packet_type::unsubscribe:
        unsubscribe(packet);
        break;
    case packet_type::pingreq:
        parse_empty(packet);
        answers_->put(pingresp());
        break;
    default:
        parse_empty(packet);  // DISCONNECT: the framing has refused all others
        client_->will.reset();
        return false;
    }
    broker_.touch(*client_);
    return true;
}

bool dialogue::connect(std::string_view packet)
{
    auto const said = parse_connect(packet);
    client_ = broker_.connect(said, answers_);
    if (!client_)
        return false;
    if (said.keep_alive > 0)
        patience_ = said.keep_alive * broker_.bounds().second * 3 / 2;
    broker_.touch(*client_);
    return true;
}

void dialogue::publish(std::string_view packet)
{
    auto const said = parse_publish(packet);
    if (said.content->qos == 2)
    {
        if (client_->begin_exactly_once(said.id))
            broker_.publish(said.content);
        return answers_->put(acknowledgement(packet_type::pubrec, said.id));
    }
    broker_.publish(said.content);
    if (said.content->qos == 1)
        answers_->put(acknowledgement(packet_type::puback, said.id));
}

void dialogue::subscribe(std::string_view packet)
{
    auto const said = parse_subscribe(packet);
    std::string codes;
    retained_messages found;
    for (auto const& wanted : said.wanted)
    {
        bool const granted =
            codes.size() < broker_.bounds().subscriptions && broker_.subscribe(*client_, wanted, found);
        codes += granted ? static_cast<char>(granted_qos(wanted)) : '\x80';
    }
    answers_->put(suback(said.id, codes));
    for (auto const& [content, qos] : found.messages)
        client_->deliver(content, qos, true);
}

void dialogue::unsubscribe(std::string_view packet)
{
    auto const said = parse_unsubscribe(packet);
    for (auto const& unwanted : said.wanted)
        broker_.unsubscribe(*client_, unwanted.filter);
    answers_->put(acknowledgement(packet_type::unsuback, said.id));
}

void dialogue::leave(bool quietly)
{
    if (auto const who = std::exchange(client_, nullptr))
    {
        if (quietly)
            who->will.reset();
        broker_.disconnect(*who);
    }
    answers_->set_left();
}

}  // namespace mqtt
