// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "client.hpp"

#include <algorithm>
#include <utility>

namespace mqtt {

void client::attach(std::shared_ptr<outbox> connection)
{
    connection_ = std::move(connection);
    for (std::size_t i = 0; i < sent_; ++i)
        send(queue_[i], true);  // [MQTT-4.4.0-1]
    send_more();
}

void client::deliver(shared_message const& content, unsigned qos, bool retained)
{
    if (qos == 0 || content->qos == 0)
    {
        // One that reads slowly misses some. Retained messages wait with it: it is not read from until they are sent.
        if (connection_ && (retained || connection_->size() < limits_.output))
            connection_->put(publish_head(*content, 0, retained, false), content);
        return;
    }
    if (!has_room_for(1, cost(*content)))
    {
        // It has taken nothing for so long that it may as well not be there. One that is away loses what comes now.
        if (connection_)
            connection_->end("does not acknowledge what it is sent");
        return;
    }
    queue_.push_back({content, retained, 0});
    queued_bytes_ += cost(*content);
    send_more();
}

bool client::has_room_for(std::size_t count, std::size_t bytes) const noexcept
{
    return count == 0 || (queue_.size() + count <= limits_.queued && queued_bytes_ + bytes <= limits_.queued_bytes);
}

void client::acknowledged(unsigned id)
{
    auto const end = queue_.begin() + static_cast<std::ptrdiff_t>(sent_);
    auto const found = std::find_if(queue_.begin(), end, [&](delivery const& one) { return one.id == id; });
    if (found == end)
        return;  // it acknowledges twice what was sent twice
    queued_bytes_ -= cost(*found->content);
    queue_.erase(found);
    --sent_;
    send_more();
}

bool client::begin_exactly_once(unsigned id)
{
    if (unreleased_.size() >= 1000 && !unreleased_.contains(id))
        throw protocol_error{"too many packets of QoS 2 that it does not release"};
    return unreleased_.insert(id).second;
}

void client::send(delivery const& one, bool again)
{
    connection_->put(publish_head(*one.content, one.id, one.retained, again), one.content);
}

/// As many as the window allows. One is always under way, so that its acknowledgement brings the next.
void client::send_more()
{
    while (connection_ && sent_ < queue_.size() && sent_ < limits_.window &&
           (sent_ == 0 || connection_->size() < limits_.output))
    {
        auto& next = queue_[sent_];
        next.id = free_id();
        ++sent_;
        send(next, false);
    }
}

unsigned client::free_id() noexcept
{
    auto const end = queue_.begin() + static_cast<std::ptrdiff_t>(sent_);
    do
        last_id_ = last_id_ % 0xffff + 1;
    while (std::any_of(queue_.begin(), end, [&](delivery const& one) { return one.id == last_id_; }));
    return last_id_;
}

}  // namespace mqtt
