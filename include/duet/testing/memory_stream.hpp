// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MEMORY_STREAM_HPP
#define DUET_TESTING_MEMORY_STREAM_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/socket_base.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <limits>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace v0 {
namespace testing {

/// The behaviour of one end of a memory stream. It may be changed at any time, by memory_stream::behaviour().
struct memory_behaviour
{
    /// The maximum number of bytes that the peer has not read yet; a write accepts no more.
    std::size_t capacity = 64 * 1024;

    /// The maximum number of bytes that one read or one write transfers, for tests of short reads and writes.
    std::size_t most_per_read = std::numeric_limits<std::size_t>::max();
    std::size_t most_per_write = std::numeric_limits<std::size_t>::max();
};

struct memory_endpoint
{
    std::string name;

    friend bool operator==(memory_endpoint const&, memory_endpoint const&) = default;
};

class memory_stream;
using memory_session = basic_session<memory_stream>;

/// One end of a connection in memory that behaves like TCP: a FIN for each direction, RST, bounded buffers. It needs no
/// kernel, so a test sees the same order of events every time; with manual_clock it never has to wait.
///
/// It behaves like a socket on Linux:
/// - bytes that arrived before a FIN or a RST are read first;
/// - an end that is closed while it has unread input sends RST; so does a closed one that is written to, and the first
///   write to it still succeeds;
/// - what the peer has not read is unacknowledged, and so is a FIN behind such bytes.
///
/// It is an AsyncReadStream and a SyncWriteStream that never blocks (would_block). Use both ends on the thread of one
/// executor. Its functions call no handlers; handlers are posted to the executor.
///
/// Distinct objects: unsafe for the two ends of one connection, else safe. Shared objects: unsafe.
class memory_stream
{
public:
    using executor_type = boost::asio::any_io_executor;
    using lowest_layer_type = memory_stream;
    using wait_type = boost::asio::socket_base::wait_type;

    static constexpr wait_type wait_read = boost::asio::socket_base::wait_read;
    static constexpr wait_type wait_write = boost::asio::socket_base::wait_write;
    static constexpr wait_type wait_error = boost::asio::socket_base::wait_error;

    /// Not connected.
    explicit memory_stream(executor_type executor) : executor_{std::move(executor)} {}

    memory_stream(memory_stream&&) noexcept = default;

    memory_stream& operator=(memory_stream&& other) noexcept
    {
        if (this != &other)
        {
            close();
            executor_ = other.executor_;
            link_ = std::move(other.link_);
            side_ = other.side_;
        }
        return *this;
    }

    /// Closes the stream, as a socket's destructor does.
    ~memory_stream() { close(); }

    /// Create the two ends of one connection, with these names.
    static std::pair<memory_stream, memory_stream> pair(
        executor_type const& executor, std::string first = "memory:a", std::string second = "memory:b")
    {
        std::pair<memory_stream, memory_stream> ends{memory_stream{executor}, memory_stream{executor}};
        auto const shared = std::make_shared<link>();
        auto& context = boost::asio::query(executor, boost::asio::execution::context);
        auto const& all = boost::asio::use_service<service>(context).all;
        all->add(shared.get());
        shared->home = all;
        ends.first.link_ = ends.second.link_ = shared;
        ends.second.side_ = 1;
        ends.first.own().name = std::move(first);
        ends.second.own().name = std::move(second);
        return ends;
    }

    executor_type get_executor() const noexcept { return executor_; }

    memory_stream& lowest_layer() noexcept { return *this; }

    memory_stream const& lowest_layer() const noexcept { return *this; }

    memory_stream* native_handle() noexcept { return this; }

    memory_endpoint local_endpoint(error_code& error) const { return named(side_, error); }

    memory_endpoint remote_endpoint(error_code& error) const { return named(1 - side_, error); }

    bool is_open() const noexcept { return link_ && !own().closed; }

    memory_behaviour& behaviour() noexcept { return own().behaviour; }

    /// From now on nothing reaches the peer or comes from it, as if a cable were cut. Bytes that are written stay
    /// unacknowledged.
    void vanish() noexcept { peer().vanished = own().vanished = true; }

    // ---- What a stream does ----------------------------------------------------------------------------------------

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

    template <class MutableBufferSequence, class Token>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token)
    {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, MutableBufferSequence room)
            {
                auto const first = detail::first_nonempty<boost::asio::mutable_buffer>(room);
                this->park(waits_for::read, std::forward<decltype(handler)>(handler), first);
            },
            token, buffers);
    }

    template <class ConstBufferSequence, class Token>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token)
    {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, ConstBufferSequence bytes)
            {
                auto const first = detail::first_nonempty<boost::asio::const_buffer>(bytes);
                this->park(waits_for::write, std::forward<decltype(handler)>(handler), {}, first);
            },
            token, buffers);
    }

    template <class Token>
    auto async_wait(wait_type what, Token&& token)
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            [this](auto&& handler, wait_type wanted)
            {
                auto const kind = wanted == wait_read    ? waits_for::readable
                                  : wanted == wait_write ? waits_for::writable
                                                         : waits_for::hang_up;
                this->park(kind, [inner = std::forward<decltype(handler)>(handler)](
                                     error_code error, std::size_t) mutable { std::move(inner)(error); });
            },
            token, what);
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

    /// The number of bytes that the peer has not read; a FIN behind them counts as one.
    std::size_t unacknowledged() const noexcept
    {
        if (!link_ || own().reset)
            return 0;
        return own().bytes.size() + (own().fin && (own().vanished || !own().bytes.empty()) ? 1 : 0);
    }

    bool has_input() const noexcept
    {
        return link_ && (readable_bytes() > 0 || own().reset || (peer().fin && !own().vanished));
    }

    bool has_failed() const noexcept { return link_ && own().reset; }

    bool has_hung_up() const noexcept { return link_ && (own().reset || (own().fin && peer().fin && !own().vanished)); }

private:
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
        detail::any_completion done;
    };

    /// The state of one end: the bytes that it has sent, and its pending operations.
    struct end_state
    {
        std::string name;
        memory_behaviour behaviour;
        std::deque<char> bytes;  // sent, and not yet read by the peer
        bool fin = false;        // FIN was sent
        bool reset = false;      // the connection has failed for this end
        bool closed = false;
        bool vanished = false;
        std::list<waiter> waiting;
    };

    class links;

    struct link
    {
        std::array<end_state, 2> ends;
        std::weak_ptr<links> home;

        inline ~link();
    };

    /// The connections of an execution context. When the context is destroyed, the pending handlers are destroyed, too,
    /// because they own the sessions that own the streams.
    class links
    {
    public:
        void add(link* one) { all_.push_back(one); }

        void remove(link* one) { all_.remove(one); }

        void abandon()
        {
            std::list<waiter> abandoned;
            for (auto* const each : all_)
                for (auto& end : each->ends)
                    abandoned.splice(abandoned.end(), end.waiting);
        }

    private:
        std::list<link*> all_;
    };

    class service : public boost::asio::execution_context::service
    {
    public:
        using key_type = service;
        inline static boost::asio::execution_context::id id;

        explicit service(boost::asio::execution_context& context) : boost::asio::execution_context::service{context} {}

        std::shared_ptr<links> const all = std::make_shared<links>();

    private:
        void shutdown() override { all->abandon(); }
    };

    end_state& own() noexcept { return link_->ends[side_]; }

    end_state const& own() const noexcept { return link_->ends[side_]; }

    end_state& peer() noexcept { return link_->ends[1 - side_]; }

    end_state const& peer() const noexcept { return link_->ends[1 - side_]; }

    memory_endpoint named(std::size_t side, error_code& error) const
    {
        error = link_ ? error_code{} : error_code{boost::asio::error::not_connected};
        return link_ ? memory_endpoint{link_->ends[side].name} : memory_endpoint{};
    }

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
            // The bytes are accepted, and answered with RST.
            if (size > 0)
                break_off(own());
            return size;
        }
        auto const* const first = static_cast<char const*>(from.data());
        bytes.insert(bytes.end(), first, first + size);
        return size;
    }

    /// Make the connection fail for this end. Bytes that it sent and the peer has not read are lost.
    void break_off(end_state& which) noexcept
    {
        if (which.closed || which.vanished)
            return;
        which.reset = true;
        which.bytes.clear();
        wake(which);
    }

    void end() noexcept
    {
        own().closed = true;
        cancel();
    }

    template <class Handler>
    void park(
        waits_for what, Handler&& handler, boost::asio::mutable_buffer room = {}, boost::asio::const_buffer bytes = {})
    {
        detail::any_completion done{std::forward<Handler>(handler), executor_, false};
        if (!is_open())
            return tell(std::move(done), boost::asio::error::bad_descriptor, 0);
        auto& list = own().waiting;
        list.push_back({what, room, bytes, {}});
        list.back().done = std::move(done);
        wake(own());
    }

    /// The state of this end has changed: post a check for operations that can complete now.
    void wake(end_state& which) noexcept
    {
        if (which.waiting.empty())
            return;
        auto const side = static_cast<std::size_t>(&which - link_->ends.data());
        boost::asio::post(executor_, [link = link_, side, executor = executor_] { look(link, side, executor); });
    }

    static void look(std::shared_ptr<link> const& of, std::size_t side, executor_type const& executor)
    {
        // A temporary stream for this end, because the original may have been moved.
        memory_stream self{executor};
        self.link_ = of;
        self.side_ = side;
        for (bool again = true; again;)
        {
            again = false;
            auto& list = self.own().waiting;
            for (auto each = list.begin(); each != list.end(); ++each)
            {
                error_code error;
                std::size_t size = 0;
                if (!self.is_over(*each, error, size))
                    continue;
                auto done = std::move(each->done);
                list.erase(each);
                tell_from(executor, std::move(done), error, size);
                again = true;
                break;
            }
        }
        self.link_.reset();  // keep the temporary stream from closing the connection
    }

    bool is_over(waiter const& waiting, error_code& error, std::size_t& size)
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

    void tell(detail::any_completion&& done, error_code error, std::size_t size)
    {
        tell_from(executor_, std::move(done), error, size);
    }

    static void tell_from(
        executor_type const& executor, detail::any_completion&& done, error_code error, std::size_t size)
    {
        boost::asio::post(executor, [done = std::move(done), error, size]() mutable { done(error, size); });
    }

    executor_type executor_;
    std::shared_ptr<link> link_;
    std::size_t side_ = 0;
};

inline memory_stream::link::~link()
{
    if (auto const of = home.lock())
        of->remove(this);
}

}  // namespace testing

template <>
struct stream_traits<testing::memory_stream>
{
    using stream_type = testing::memory_stream;
    using endpoint_type = testing::memory_endpoint;
    using lowest_layer_type = stream_type;
    using native_handle_type = stream_type*;

    static constexpr bool half_close = true;
    static constexpr bool tells_hang_up = true;

    static void apply(stream_type&, session_options const&) noexcept {}

    static void prepare(stream_type&) noexcept {}

    static void shutdown_send(stream_type& stream, error_code& error) noexcept { stream.shutdown_send(error); }

    static void reset(stream_type& stream) noexcept { stream.reset(); }

    static void close(stream_type& stream) noexcept { stream.close(); }

    static void cancel(stream_type& stream) noexcept { stream.cancel(); }

    static std::size_t discard(stream_type& stream, std::size_t limit, error_code& error) noexcept
    {
        return stream.discard(limit, error);
    }

    static std::size_t unacknowledged(stream_type& stream) noexcept { return stream.unacknowledged(); }

    static bool has_input(stream_type& stream) noexcept { return stream.has_input(); }

    static bool has_failed(stream_type& stream) noexcept { return stream.has_failed(); }

    static bool has_hung_up(stream_type& stream) noexcept { return stream.has_hung_up(); }

    static error_code take_failure(stream_type& stream) noexcept
    {
        return stream.has_failed() ? error_code{boost::asio::error::connection_reset} : error_code{};
    }

    static void set_dead_peer_timeout(stream_type&, deadlines::duration) noexcept {}

    static duet::tcp_info info(stream_type&, error_code& error) noexcept
    {
        error = boost::asio::error::operation_not_supported;
        return {};
    }

    static std::string describe(endpoint_type const& endpoint) { return endpoint.name; }
};

}  // namespace v0
}  // namespace duet

#endif
