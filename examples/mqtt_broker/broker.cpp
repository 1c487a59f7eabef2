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

}  // namespace

broker::broker(limits const& bounds) : limits_{bounds}
{
    retain(std::make_shared<message>(message{"$SYS/broker/version", "duet mqtt_broker", 0, true}));
}

std::shared_ptr<outbox> broker::connection_of(std::string const& id) const
{
    auto const known = clients_.find(id);
    return known != clients_.end() ? known->second.state->connection() : nullptr;
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

void broker::disconnect(client& who)
{
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
    all_subscriptions_ -= who.subscriptions.size();
    auto const known = clients_.find(who.id());
    if (known->second.away != away_.end())
        away_.erase(known->second.away);
    clients_.erase(known);
}

bool broker::subscribe(client& who, subscription const& wanted, retained_messages& found)
{
    bool const one_more = !who.subscriptions.contains(wanted.filter);
    bool const full =
        who.subscriptions.size() >= limits_.subscriptions || all_subscriptions_ >= limits_.all_subscriptions;
    if (wanted.filter.size() > limits_.filter || (one_more && full) || found.levels > limits_.levels)
        return false;
    auto const more = retained_for(wanted);
    found.levels += more.levels;
    auto const count = found.messages.size() + more.messages.size();
    auto const bytes = found.bytes + more.bytes;
    auto const to_queue = found.to_queue + more.to_queue;
    if (count > limits_.retained || bytes > limits_.retained_bytes || !who.has_room_for(to_queue, bytes))
        return false;
    found.messages.insert(found.messages.end(), more.messages.begin(), more.messages.end());
    found.bytes = bytes;
    found.to_queue = to_queue;
    all_subscriptions_ += one_more ? 1 : 0;
    subscriptions_.set(wanted.filter, who, granted_qos(wanted));
    who.subscriptions[wanted.filter] = granted_qos(wanted);
    return true;
}

retained_messages broker::retained_for(subscription const& wanted)
{
    // All that match begin with what stands before the first wildcard.
    auto const prefix = wanted.filter.substr(0, wanted.filter.find_first_of("+#"));
    auto const from = std::string_view{prefix}.substr(0, prefix.ends_with('/') ? prefix.size() - 1 : prefix.size());
    auto const levels = static_cast<std::size_t>(1 + std::ranges::count(wanted.filter, '/'));
    retained_messages result;
    for (auto at = retained_.lower_bound(from); at != retained_.end() && at->first.starts_with(from); ++at)
    {
        ++work_;
        result.levels += levels;
        if (!matches(wanted.filter, at->first))
            continue;
        auto const qos = std::min(granted_qos(wanted), at->second->qos);
        result.messages.emplace_back(at->second, qos);
        result.bytes += cost(*at->second);
        result.to_queue += qos > 0 ? 1 : 0;
    }
    return result;
}

void broker::unsubscribe(client& who, std::string const& filter)
{
    if (who.subscriptions.erase(filter) == 0)
        return;
    subscriptions_.erase(filter, who);
    --all_subscriptions_;
}

void broker::publish(shared_message const& content)
{
    if (content->topic.starts_with('$'))
        return;  // these are the server's
    if (content->retain)
        retain(content);
    std::vector<std::pair<client*, unsigned>> to;
    work_ += subscriptions_.visit(content->topic, [&](client& who, unsigned qos) { to.emplace_back(&who, qos); });
    // Who has several subscriptions that match gets one message, with the highest QoS of them.
    std::ranges::sort(to, std::greater<>{});
    for (client const* last = nullptr; auto const& [who, qos] : to)
    {
        if (who == last)
            continue;
        last = who;
        who->deliver(content, qos, false);
        touch(*who);
        ++work_;
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
    return one_more && retained_bytes_ - freed + cost(content) <= limits_.retained_bytes;
}

void broker::touch(client const& who)
{
    auto const& connection = who.connection();
    if (connection && connection->touch())
        touched_.push_back(connection);
}

bool broker::ends_turn() noexcept
{
    constexpr std::size_t enough = 2000;
    if (++work_ < enough)
        return false;
    work_ = 0;
    return true;
}

void broker::flush()
{
    for (auto const& one : std::exchange(touched_, {}))
        one->flush();
}

}  // namespace mqtt
