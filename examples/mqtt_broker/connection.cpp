// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "connection.hpp"

#include <string>
#include <vector>

namespace mqtt {

bool dialogue::take(std::string_view packet)
{
    auto const type = type_of(packet);
    if ((type == packet_type::connect) != (client_ == nullptr))
        throw protocol_error{"CONNECT is the first packet, and comes once"};  // [MQTT-3.1.0-1, -2]
    if (client_ && client_->connection() != answers_)
        return false;  // another connection has taken over
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
    std::vector<std::pair<std::vector<shared_message>, char>> found;
    for (auto const& wanted : said.wanted)
    {
        auto& retained = found.emplace_back();
        retained.second = broker_.subscribe(*client_, wanted, retained.first);
        codes += retained.second;
    }
    answers_->put(suback(said.id, codes));
    for (auto const& [messages, qos] : found)
        for (auto const& one : messages)
            client_->deliver(one, static_cast<unsigned char>(qos), true);
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
    auto const who = std::exchange(client_, nullptr);
    if (!who || who->connection() != answers_)
        return;
    if (quietly)
        who->will.reset();
    broker_.disconnect(*who, *answers_);
}

}  // namespace mqtt
