// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TESTING_MEMORY_END_HPP
#define DUET_DETAIL_TESTING_MEMORY_END_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/error.hpp>
#include <duet/testing/memory_behaviour.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A connection in memory: for each end the bytes that it has sent and its peer has not read, and its pending
/// operations.
class memory_link
{
public:
    enum class waits_for : unsigned char
    {
        read,
        write,
        readable,
        writable,
        hang_up,
    };

    struct waiter
    {
        waits_for what;
        boost::asio::mutable_buffer room;
        boost::asio::const_buffer bytes;
        any_completion done;
    };

    struct side
    {
        std::string name;
        testing::memory_behaviour behaviour;
        std::deque<char> bytes;  // sent, and not yet read by the peer
        std::size_t lost = 0;    // sent, and never to be read: the connection has failed
        bool fin = false;        // sent
        bool reset = false;      // the connection has failed for this end
        bool closed = false;
        bool vanished = false;
        std::list<waiter> waiting;
    };

    /// The connections of an execution context. When the context is destroyed, the pending handlers are destroyed, too,
    /// because they own the sessions that own the streams.
    class registry
    {
    public:
        void add(memory_link* one) { all_.push_back(one); }

        void remove(memory_link* one) { all_.remove(one); }

        void abandon()
        {
            std::list<waiter> abandoned;
            for (auto* const each : all_)
                for (auto& end : each->sides)
                    abandoned.splice(abandoned.end(), end.waiting);
        }

    private:
        std::list<memory_link*> all_;
    };

    explicit memory_link(boost::asio::execution_context& context)
    {
        auto const all = boost::asio::use_service<service>(context).all;
        all->add(this);
        registry_ = all;
    }

    memory_link(memory_link const&) = delete;
    memory_link& operator=(memory_link const&) = delete;

    ~memory_link()
    {
        if (auto const all = registry_.lock())
            all->remove(this);
    }

    std::array<side, 2> sides;

private:
    class service : public boost::asio::execution_context::service
    {
    public:
        using key_type = service;
        inline static boost::asio::execution_context::id id;

        explicit service(boost::asio::execution_context& context) : boost::asio::execution_context::service{context} {}

        std::shared_ptr<registry> const all = std::make_shared<registry>();

    private:
        void shutdown() override { all->abandon(); }
    };

    std::weak_ptr<registry> registry_;
};

/// One end of a memory_link, or none: what a memory_stream does, but for Asio's templates. It refers to the end and
/// does not own it: a copy is the same end, and its destructor closes nothing.
class memory_end
{
public:
    using executor_type = boost::asio::any_io_executor;
    using waits_for = memory_link::waits_for;
    using side = memory_link::side;

    explicit memory_end(executor_type executor) : executor_{std::move(executor)} {}

    memory_end(executor_type executor, std::shared_ptr<memory_link> link, std::size_t number)
        : executor_{std::move(executor)}, link_{std::move(link)}, number_{number}
    {
    }

    executor_type const& executor() const noexcept { return executor_; }

    bool connected() const noexcept { return static_cast<bool>(link_); }

    bool is_open() const noexcept { return link_ && !own().closed; }

    side& own() noexcept { return link_->sides[number_]; }

    side const& own() const noexcept { return link_->sides[number_]; }

    side& peer() noexcept { return link_->sides[1 - number_]; }

    side const& peer() const noexcept { return link_->sides[1 - number_]; }

    template <class MutableBufferSequence>
    std::size_t read_some(MutableBufferSequence const& buffers, error_code& error)
    {
        error = is_open() ? error_code{} : error_code{boost::asio::error::bad_descriptor};
        if (error)
            return 0;
        std::size_t total = 0;
        for (auto b = boost::asio::buffer_sequence_begin(buffers); b != boost::asio::buffer_sequence_end(buffers); ++b)
            total += take(boost::asio::mutable_buffer{*b}, own().behaviour.most_per_read - total);
        if (total == 0 && boost::asio::buffer_size(buffers) > 0)
            error = why_nothing_to_read();
        if (total > 0)
            wake(peer());
        return total;
    }

    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers, error_code& error)
    {
        error = why_no_write();
        if (error)
            return 0;
        std::size_t total = 0;
        for (auto b = boost::asio::buffer_sequence_begin(buffers); b != boost::asio::buffer_sequence_end(buffers); ++b)
            total += put(boost::asio::const_buffer{*b}, own().behaviour.most_per_write - total);
        if (total == 0 && boost::asio::buffer_size(buffers) > 0)
            error = boost::asio::error::would_block;
        wake(peer());
        return total;
    }

    /// Send FIN.
    void shutdown_send(error_code& error) noexcept
    {
        error = !is_open() || own().reset ? error_code{boost::asio::error::not_connected} : error_code{};
        if (error)
            return;
        own().fin = true;
        wake(peer());
        wake(own());
    }

    /// Send RST and close this end.
    void reset() noexcept
    {
        if (!is_open())
            return;
        break_off(peer());
        end();
    }

    /// Close this end: send FIN, or RST if input is unread.
    void close() noexcept
    {
        if (!is_open())
            return;
        if (!peer().bytes.empty() && !peer().closed)
            break_off(peer());
        own().fin = true;
        wake(peer());
        end();
    }

    /// End the pending operations with operation_aborted.
    void cancel() noexcept
    {
        if (!link_)
            return;
        for (auto waiting = std::exchange(own().waiting, {}); auto& each : waiting)
            tell(std::move(each.done), boost::asio::error::operation_aborted, 0);
    }

    // ---- What can be asked -----------------------------------------------------------------------------------------

    /// Discard up to `limit` bytes. 0 without an error is the peer's FIN.
    std::size_t discard(std::size_t limit, error_code& error)
    {
        error.clear();
        auto const size = std::min(limit, readable_bytes());
        peer().bytes.erase(peer().bytes.begin(), peer().bytes.begin() + static_cast<std::ptrdiff_t>(size));
        if (size > 0)
            wake(peer());
        else if (auto const why = why_nothing_to_read(); why != boost::asio::error::eof)
            error = why;
        return size;
    }

    /// The number of bytes that the peer has not read, or will never read after a RST; a FIN behind them counts as one.
    std::size_t unacknowledged() const noexcept
    {
        if (!link_ || own().reset)
            return link_ ? own().lost : 0;
        return own().bytes.size() + (own().fin && (own().vanished || !own().bytes.empty()) ? 1 : 0);
    }

    bool has_input() const noexcept
    {
        return link_ && (readable_bytes() > 0 || own().reset || (peer().fin && !own().vanished));
    }

    bool has_failed() const noexcept { return link_ && own().reset; }

    bool has_hung_up() const noexcept { return link_ && (own().reset || (own().fin && peer().fin && !own().vanished)); }

    /// Call `done` from the executor when the operation can complete.
    void park(waits_for what, any_completion done, boost::asio::mutable_buffer room = {},
        boost::asio::const_buffer bytes = {})
    {
        if (!is_open())
            return tell(std::move(done), boost::asio::error::bad_descriptor, 0);
        auto& list = own().waiting;
        list.push_back({what, room, bytes, {}});
        list.back().done = std::move(done);
        wake(own());
    }

private:
    std::size_t readable_bytes() const noexcept { return link_ && !own().vanished ? peer().bytes.size() : 0; }

    error_code why_nothing_to_read() const
    {
        if (!is_open())
            return boost::asio::error::bad_descriptor;
        if (own().reset)
            return boost::asio::error::connection_reset;
        if (!peer().fin || own().vanished)
            return boost::asio::error::would_block;
        return boost::asio::error::eof;
    }

    error_code why_no_write() const
    {
        if (!is_open())
            return boost::asio::error::bad_descriptor;
        if (own().reset)
            return boost::asio::error::connection_reset;
        return own().fin ? error_code{boost::asio::error::broken_pipe} : error_code{};
    }

    std::size_t take(boost::asio::mutable_buffer room, std::size_t most)
    {
        auto& bytes = peer().bytes;
        auto const size = std::min({room.size(), readable_bytes(), most});
        auto const last = bytes.begin() + static_cast<std::ptrdiff_t>(size);
        std::copy(bytes.begin(), last, static_cast<char*>(room.data()));
        bytes.erase(bytes.begin(), last);
        return size;
    }

    std::size_t put(boost::asio::const_buffer from, std::size_t most)
    {
        auto& bytes = own().bytes;
        auto const room = own().behaviour.capacity - std::min(own().behaviour.capacity, bytes.size());
        auto const size = std::min({from.size(), room, most});
        if (peer().closed && !own().vanished)
        {
            // It is taken, and answered with RST.
            if (size > 0)
                break_off(own(), size);
            return size;
        }
        auto const* const first = static_cast<char const*>(from.data());
        bytes.insert(bytes.end(), first, first + size);
        return size;
    }

    /// Make the connection fail for this end. Bytes that it sent and the peer has not read are lost, and `more`.
    void break_off(side& which, std::size_t more = 0) noexcept
    {
        if (which.closed || which.vanished)
            return;
        which.reset = true;
        which.lost += which.bytes.size() + more;
        which.bytes.clear();
        wake(which);
    }

    void end() noexcept
    {
        own().closed = true;
        cancel();
    }

    /// The state of this end has changed: post a check for operations that can complete now.
    void wake(side& which) noexcept
    {
        if (which.waiting.empty())
            return;
        auto const number = static_cast<std::size_t>(&which - link_->sides.data());
        boost::asio::post(executor_, [end = memory_end{executor_, link_, number}]() mutable { end.look(); });
    }

    void look()
    {
        for (bool again = true; again;)
        {
            again = false;
            auto& list = own().waiting;
            for (auto each = list.begin(); each != list.end(); ++each)
            {
                error_code error;
                std::size_t size = 0;
                if (!is_over(*each, error, size))
                    continue;
                auto done = std::move(each->done);
                list.erase(each);
                tell(std::move(done), error, size);
                again = true;
                break;
            }
        }
    }

    bool is_over(memory_link::waiter const& waiting, error_code& error, std::size_t& size)
    {
        switch (waiting.what)
        {
        case waits_for::read:
            size = read_some(waiting.room, error);
            return error != boost::asio::error::would_block;
        case waits_for::write:
            size = write_some(waiting.bytes, error);
            return error != boost::asio::error::would_block;
        case waits_for::readable:
            return has_input();
        case waits_for::writable:
            return own().reset || own().bytes.size() < own().behaviour.capacity;
        case waits_for::hang_up:
            return has_hung_up();
        }
        return false;
    }

    void tell(any_completion&& done, error_code error, std::size_t size)
    {
        boost::asio::post(executor_, [done = std::move(done), error, size]() mutable { done(error, size); });
    }

    executor_type executor_;
    std::shared_ptr<memory_link> link_;
    std::size_t number_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
