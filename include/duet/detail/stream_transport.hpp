// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_STREAM_TRANSPORT_HPP
#define DUET_DETAIL_STREAM_TRANSPORT_HPP

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <duet/detail/operation_memory.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The memory of a read under way in Asio: 184 bytes for a socket with any_io_executor, in Boost 1.81.
using read_memory_type = operation_memory<192>;

inline read_memory_type& place_of_read(std::unique_ptr<read_memory_type>& place)
{
    if (!place)
        place = std::make_unique<read_memory_type>();
    return *place;
}

/// Waiting for an error ends when the connection hangs up.
template <class Traits>
constexpr bool tells_hang_up() noexcept
{
    if constexpr (requires { Traits::tells_hang_up; })
        return Traits::tells_hang_up;
    else
        return true;
}

/// What carries a connection's bytes: a stream, through its traits. Its operations are Asio's.
template <class Stream>
class transport
{
    using traits = stream_traits<Stream>;

public:
    /// It may be direct, in a reactor of ours: see tcp_transport.hpp.
    static constexpr bool may_be_direct = false;

    /// The kernel may move its bytes from and to a pipe.
    static constexpr bool may_splice = false;

    /// The FIN is among the bytes that are unacknowledged.
    static constexpr bool counts_fin = false;

    /// Never told anything: the stream tells the operations that wait.
    struct watched
    {
        virtual void on_events(std::uint32_t events) = 0;
        virtual void on_turn() = 0;
        virtual void on_shutdown() noexcept = 0;

        bool waits() const noexcept { return false; }

    protected:
        ~watched() = default;
    };

    explicit transport(Stream&& stream) : stream_{std::move(stream)} {}

    /// Of a connected descriptor, non-blocking; it is taken, unless this throws.
    template <class Protocol>
    transport(typename Stream::executor_type const& executor, Protocol const& protocol, int descriptor)
        : stream_{executor}
    {
        stream_.assign(protocol, descriptor);
        traits::prepare(stream_);
    }

    /// A context that one thread runs.
    static void prepare(boost::asio::io_context&) noexcept {}

    bool direct() const noexcept { return false; }

    Stream& stream() noexcept { return stream_; }

    decltype(auto) get_executor() noexcept { return stream_.get_executor(); }

    auto native_handle() noexcept { return stream_.lowest_layer().native_handle(); }

    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers, error_code& error)
    {
        return stream_.write_some(buffers, error);
    }

    void shutdown_send(error_code& error) noexcept { traits::shutdown_send(stream_, error); }

    void reset(watched&) noexcept { traits::reset(stream_); }

    void close(watched&) noexcept { traits::close(stream_); }

    std::size_t discard(std::size_t limit, error_code& error) noexcept
    {
        return traits::discard(stream_, limit, error);
    }

    std::size_t unacknowledged() noexcept { return traits::unacknowledged(stream_); }

    bool has_input() noexcept { return traits::has_input(stream_); }

    bool has_failed() noexcept { return traits::has_failed(stream_); }

    bool has_hung_up() noexcept { return traits::has_hung_up(stream_); }

    error_code take_failure() noexcept { return traits::take_failure(stream_); }

    void set_dead_peer_timeout(deadlines::duration timeout) noexcept
    {
        traits::set_dead_peer_timeout(stream_, timeout);
    }

    duet::tcp_info info(error_code& error) noexcept { return traits::info(stream_, error); }

    read_memory_type& read_memory() { return place_of_read(read_memory_); }

private:
    Stream stream_;
    std::unique_ptr<read_memory_type> read_memory_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
