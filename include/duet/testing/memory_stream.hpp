// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MEMORY_STREAM_HPP
#define DUET_TESTING_MEMORY_STREAM_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/socket_base.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/detail/testing/memory_end.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>
#include <duet/stream_traits.hpp>
#include <duet/testing/memory_behaviour.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace testing {

class memory_stream;
using memory_session = basic_session<memory_stream>;

/// One end of a connection in memory that behaves like TCP: a FIN for each direction, RST, bounded buffers. It needs no
/// kernel, so a test sees the same order of events every time; with manual_clock it never has to wait.
///
/// It behaves like a socket on Linux:
/// - bytes that arrived before a FIN or a RST are read first;
/// - an end that is closed while it has unread input sends RST; so does a closed one that is written to, and the first
///   write to it still succeeds;
/// - what the peer has not read is unacknowledged, also after RST, and so is a FIN behind such bytes.
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
    explicit memory_stream(executor_type executor) : end_{std::move(executor)} {}

    memory_stream(memory_stream&&) noexcept = default;

    memory_stream& operator=(memory_stream&& other) noexcept
    {
        if (this != &other)
        {
            end_.close();
            end_ = std::move(other.end_);
        }
        return *this;
    }

    /// Closes the stream, as a socket's destructor does.
    ~memory_stream() { end_.close(); }

    /// Create the two ends of one connection, with these names.
    static std::pair<memory_stream, memory_stream> pair(
        executor_type const& executor, std::string first = "memory:a", std::string second = "memory:b")
    {
        auto const link =
            std::make_shared<detail::memory_link>(boost::asio::query(executor, boost::asio::execution::context));
        link->sides[0].name = std::move(first);
        link->sides[1].name = std::move(second);
        return {memory_stream{end_type{executor, link, 0}}, memory_stream{end_type{executor, link, 1}}};
    }

    executor_type get_executor() const noexcept { return end_.executor(); }

    memory_stream& lowest_layer() noexcept { return *this; }

    memory_stream const& lowest_layer() const noexcept { return *this; }

    memory_stream* native_handle() noexcept { return this; }

    memory_endpoint local_endpoint(error_code& error) const
    {
        return is_connected(error) ? memory_endpoint{end_.own().name} : memory_endpoint{};
    }

    memory_endpoint remote_endpoint(error_code& error) const
    {
        return is_connected(error) ? memory_endpoint{end_.peer().name} : memory_endpoint{};
    }

    bool is_open() const noexcept { return end_.is_open(); }

    memory_behaviour& behaviour() noexcept { return end_.own().behaviour; }

    /// From now on nothing reaches the peer or comes from it, as if a cable were cut. Bytes that are written stay
    /// unacknowledged.
    void vanish() noexcept { end_.peer().vanished = end_.own().vanished = true; }

    // ---- What a stream does ----------------------------------------------------------------------------------------

    template <class MutableBufferSequence>
    std::size_t read_some(MutableBufferSequence const& buffers, error_code& error)
    {
        return end_.read_some(buffers, error);
    }

    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers, error_code& error)
    {
        return end_.write_some(buffers, error);
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
    void shutdown_send(error_code& error) noexcept { end_.shutdown_send(error); }

    /// Send RST and close this end.
    void reset() noexcept { end_.reset(); }

    /// Close this end: send FIN, or RST if input is unread.
    void close() noexcept { end_.close(); }

    /// End the pending operations with operation_aborted.
    void cancel() noexcept { end_.cancel(); }

    // ---- What can be asked -----------------------------------------------------------------------------------------

    /// Discard up to `limit` bytes. 0 without an error is the peer's FIN.
    std::size_t discard(std::size_t limit, error_code& error) { return end_.discard(limit, error); }

    /// The number of bytes that the peer has not read, or will never read after a RST; a FIN behind them counts as one.
    std::size_t unacknowledged() const noexcept { return end_.unacknowledged(); }

    bool has_input() const noexcept { return end_.has_input(); }

    bool has_failed() const noexcept { return end_.has_failed(); }

    bool has_hung_up() const noexcept { return end_.has_hung_up(); }

private:
    using end_type = detail::memory_end;
    using waits_for = end_type::waits_for;

    explicit memory_stream(end_type&& one) noexcept : end_{std::move(one)} {}

    bool is_connected(error_code& error) const noexcept
    {
        error = end_.connected() ? error_code{} : error_code{boost::asio::error::not_connected};
        return end_.connected();
    }

    template <class Handler>
    void park(
        waits_for what, Handler&& handler, boost::asio::mutable_buffer room = {}, boost::asio::const_buffer bytes = {})
    {
        detail::any_completion done{std::forward<Handler>(handler), end_.executor(), false};
        end_.park(what, std::move(done), room, bytes);
    }

    end_type end_;
};

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

    static duet::tcp_snapshot info(stream_type&, error_code& error) noexcept
    {
        error = boost::asio::error::operation_not_supported;
        return {};
    }

    static std::string describe(endpoint_type const& endpoint) { return endpoint.name; }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
