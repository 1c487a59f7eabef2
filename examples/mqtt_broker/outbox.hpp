// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MQTT_BROKER_OUTBOX_HPP
#define EXAMPLES_MQTT_BROKER_OUTBOX_HPP

// What waits to be written to a client.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/error.hpp>

#include "packet.hpp"

namespace mqtt {

/// Packets in the order in which they go out. put() only gathers; flush() writes all of them by one call of the system,
/// while nothing else is being written. So what a publisher has sent together reaches each subscriber together.
class outbox
{
public:
    outbox() = default;
    outbox(outbox const&) = delete;
    outbox& operator=(outbox const&) = delete;
    virtual ~outbox() = default;

    void put(std::string packet) { put(std::move(packet), {}); }

    /// `head`, and behind it the payload of `content`, which is not copied.
    void put(std::string head, shared_message content)
    {
        if (ending())
            return;
        gathered_.size += head.size() + (content ? content->payload.size() : 0) + sizeof(outgoing);
        gathered_.packets.push_back({std::move(head), std::move(content)});
    }

    /// The bytes that wait, and what it takes to keep them.
    std::size_t size() const noexcept { return gathered_.size + under_way_; }

    virtual void flush() = 0;

    /// End the connection: nothing more is written, and the handler takes what has arrived, and then leaves. Its reads
    /// and writes are interrupted soon; not now, because the caller may be in the middle of something that concerns
    /// others.
    void end(std::string why)
    {
        if (ending())
            return;
        why_ = std::move(why);
        gathered_ = {};
        interrupt_soon();
    }

    bool ending() const noexcept { return !why_.empty(); }

    /// Why end() was called; empty if it was not.
    std::string const& end_reason() const noexcept { return why_; }

    /// True if end() was the cause of this error of a read: what has arrived can still be read.
    bool has_interrupted(duet::error_code error) const noexcept
    {
        return ending() && error == boost::asio::error::operation_aborted;
    }

    /// Completes when the client of this connection has left: its last packet was taken, and its will published.
    boost::asio::awaitable<void> left()
    {
        while (!has_left_)
        {
            auto const executor = co_await boost::asio::this_coro::executor;
            if (!leaves_)
                leaves_ =
                    std::make_unique<boost::asio::steady_timer>(executor, boost::asio::steady_timer::time_point::max());
            duet::error_code cancelled;
            co_await leaves_->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
        }
    }

    void set_left()
    {
        has_left_ = true;
        if (leaves_)
            leaves_->cancel();
    }

    /// To be written to by broker::flush(). Each once, however much has gathered.
    bool touch() noexcept { return !std::exchange(touched_, true); }

protected:
    struct outgoing
    {
        std::string head;
        shared_message content;
    };

    struct batch
    {
        std::vector<boost::asio::const_buffer> buffers() const
        {
            std::vector<boost::asio::const_buffer> result;
            result.reserve(2 * packets.size());
            for (auto const& packet : packets)
            {
                result.push_back(boost::asio::buffer(packet.head));
                if (packet.content && !packet.content->payload.empty())
                    result.push_back(boost::asio::buffer(packet.content->payload));
            }
            return result;
        }

        std::vector<outgoing> packets;
        std::size_t size = 0;
    };

    bool is_writing() const noexcept { return under_way_ > 0; }
    bool is_empty() const noexcept { return gathered_.packets.empty(); }

    std::shared_ptr<batch const> begin_batch()
    {
        auto result = std::make_shared<batch const>(std::exchange(gathered_, {}));
        under_way_ += result->size;
        return result;
    }

    void end_batch(batch const& written) noexcept { under_way_ -= written.size; }

    virtual void interrupt_soon() = 0;

    bool touched_ = false;

private:
    batch gathered_;
    std::size_t under_way_ = 0;
    std::string why_;
    bool has_left_ = false;
    std::unique_ptr<boost::asio::steady_timer> leaves_;  // made for who waits; never expires
};

/// Writes to a session. It may outlive that: a write that is under way owns what it writes.
template <class Session>
class session_outbox final : public outbox, public std::enable_shared_from_this<session_outbox<Session>>
{
public:
    explicit session_outbox(Session& peer) noexcept : peer_{&peer} {}

    /// The session goes: what is still here goes out first, and then nothing more.
    void leave()
    {
        write();
        peer_ = nullptr;
    }

    void abandon() noexcept { peer_ = nullptr; }

    void flush() override
    {
        touched_ = false;
        if (!is_writing())
            write();
    }

    /// Write everything, and wait until it is written: for the answers to a client that does not read them. If that
    /// fails, or end() interrupts it, the client may still have said something that is to be taken.
    boost::asio::awaitable<void> written()
    {
        auto const all = begin_batch();
        auto const buffers = all->buffers();
        try
        {
            co_await peer_->write(buffers);
        }
        catch (duet::session_error const& error)
        {
            cannot_write(error.code());
        }
        end_batch(*all);
    }

private:
    void write()
    {
        if (!peer_ || ending() || is_empty())
            return;
        auto const next = begin_batch();
        auto const buffers = next->buffers();
        peer_->write(buffers)(
            [self = this->shared_from_this(), next](duet::error_code error, std::size_t)
            {
                self->end_batch(*next);
                if (error)
                    self->cannot_write(error);
                else
                    self->flush();
            });
    }

    void cannot_write(duet::error_code error) { this->end("cannot be written to: " + error.message()); }

    void interrupt_soon() override
    {
        if (peer_)
            boost::asio::post(peer_->get_executor(),
                [self = this->shared_from_this()]
                {
                    if (self->peer_)
                        self->peer_->cancel();
                });
    }

    Session* peer_;
};

}  // namespace mqtt

#endif
