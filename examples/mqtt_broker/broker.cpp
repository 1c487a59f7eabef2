// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "broker.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <utility>

namespace mqtt {
namespace {

/// For a client that has named none. Nobody can guess it, so nobody takes it over.
std::string random_id()
{
    std::random_device source;
    return "auto-" + std::to_string(source()) + "-" + std::to_string(source());
}

std::size_t cost(message const& of) noexcept
{
    return of.topic.size() + of.payload.size();
}

}  // namespace

broker::broker(limits const& bounds) : limits_{bounds}
{
    retain(std::make_shared<message>(message{"$SYS/broker/version", "duet mqtt_broker", 0, true}));
}

std::shared_ptr<client> broker::connect(connect_packet const& with, std::shared_ptr<outbox> const& connection)
{
    auto const refuse = [&](connect_code code)
    {
        connection->put(connack(false, code));
        return std::shared_ptr<client>{};
    };
    if (!with.is_3_1_1)
        return refuse(connect_code::unacceptable_protocol);
    if (with.id.size() > limits_.id || (with.id.empty() && !with.clean))
        return refuse(connect_code::identifier_rejected);  // [MQTT-3.1.3-8]

    if (auto const known = clients_.find(with.id); known != clients_.end())
    {
        auto const before = known->second.state;
        if (auto const old = before->connection())
        {
            old->end("another connection has its identifier");  // [MQTT-3.1.4-2]
            disconnect(*before, *old);
        }
    }
    if (with.clean && clients_.contains(with.id))
        forget(*clients_.at(with.id).state);
    bool const present = clients_.contains(with.id);
    auto const who = find_or_make(with);
    if (!who)
        return refuse(connect_code::server_unavailable);
    who->remembered = !with.clean;
    who->will = with.will;
    connection->put(connack(present, connect_code::accepted));
    who->attach(connection);
    return who;
}

std::shared_ptr<client> broker::find_or_make(connect_packet const& with)
{
    if (auto const known = clients_.find(with.id); known != clients_.end())
    {
        away_.erase(std::exchange(known->second.away, away_.end()));
        return known->second.state;
    }
    if (clients_.size() >= limits_.clients)
    {
        if (away_.empty())
            return {};
        forget(*away_.front());
    }
    auto id = with.id.empty() ? random_id() : with.id;
    auto state = std::make_shared<client>(id, limits_);
    return clients_.insert_or_assign(std::move(id), known_client{std::move(state), away_.end()}).first->second.state;
}

void broker::disconnect(client& who, outbox const& connection)
{
    if (who.connection().get() != &connection)
        return;
    who.detach();
    auto const will = std::exchange(who.will, {});
    if (who.remembered)
        clients_.at(who.id()).away = away_.insert(away_.end(), &who);
    else
        forget(who);
    if (will)
        publish(will);
}

void broker::forget(client& who)
{
    for (auto const& [filter, qos] : who.subscriptions)
        subscriptions_.erase(filter, who);
    auto const known = clients_.find(who.id());
    if (known->second.away != away_.end())
        away_.erase(known->second.away);
    clients_.erase(known);
}

char broker::subscribe(client& who, subscription const& wanted, std::vector<shared_message>& found)
{
    constexpr char refused = '\x80';
    if (who.subscriptions.size() >= limits_.subscriptions && !who.subscriptions.contains(wanted.filter))
        return refused;
    auto const qos = std::min(wanted.qos, 1U);  // a server may grant less than is asked for
    subscriptions_.set(wanted.filter, who, qos);
    who.subscriptions[wanted.filter] = qos;

    // All that match begin with what stands before the first wildcard.
    auto const prefix = wanted.filter.substr(0, wanted.filter.find_first_of("+#"));
    auto const from = std::string_view{prefix}.substr(0, prefix.ends_with('/') ? prefix.size() - 1 : prefix.size());
    for (auto at = retained_.lower_bound(from); at != retained_.end() && at->first.starts_with(from); ++at)
        if (matches(wanted.filter, at->first))
            found.push_back(at->second);
    return static_cast<char>(qos);
}

void broker::unsubscribe(client& who, std::string const& filter)
{
    if (who.subscriptions.erase(filter) > 0)
        subscriptions_.erase(filter, who);
}

void broker::publish(shared_message const& content)
{
    if (content->topic.starts_with('$'))
        return;  // these are the server's
    if (content->retain)
        retain(content);
    std::vector<std::pair<client*, unsigned>> to;
    subscriptions_.visit(content->topic, [&](client& who, unsigned qos) { to.emplace_back(&who, qos); });
    // Who has several subscriptions that match gets one message, with the highest QoS of them.
    std::ranges::sort(to, std::greater<>{});
    for (client const* last = nullptr; auto const& [who, qos] : to)
    {
        if (who == last)
            continue;
        last = who;
        who->deliver(content, qos, false);
        touch(*who);
    }
}

void broker::retain(shared_message const& content)
{
    auto const known = retained_.find(content->topic);
    auto const* const before = known != retained_.end() ? known->second.get() : nullptr;
    if (!content->payload.empty() && !has_room_for(*content, before))
        return;
    if (before)
    {
        retained_bytes_ -= cost(*before);
        retained_.erase(known);
    }
    if (content->payload.empty())
        return;
    retained_bytes_ += cost(*content);
    retained_.emplace(content->topic, content);
}

bool broker::has_room_for(message const& content, message const* instead) const noexcept
{
    auto const freed = instead ? cost(*instead) : 0;
    bool const one_more = instead || retained_.size() < limits_.retained;
    return one_more && retained_bytes_ - freed + cost(content) <= limits_.queued_bytes / 2;
}

void broker::touch(client const& who)
{
    if (who.connection())
        touched_.push_back(who.connection());
}

void broker::flush()
{
    for (auto const& one : std::exchange(touched_, {}))
        one->flush();
}

}  // namespace mqtt
