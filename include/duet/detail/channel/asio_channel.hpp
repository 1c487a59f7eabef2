// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_ASIO_CHANNEL_HPP
#define DUET_DETAIL_CHANNEL_ASIO_CHANNEL_HPP

#include <boost/asio/post.hpp>

#include <cstddef>
#include <span>
#include <type_traits>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/channel/stream_requirements.hpp>
#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/error.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// True for a TCP socket of the kernel: some calls then go directly to its descriptor.
template <class Stream>
inline constexpr bool has_tcp_descriptor = false;

#if defined(__linux__)
template <class Executor>
inline constexpr bool has_tcp_descriptor<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>> = true;
#endif

/// A channel that uses Asio's operations on the stream, and its stream_traits.
template <class Stream>
class asio_channel final : public channel
{
    using traits = stream_traits<Stream>;

    static_assert(stream_requirements<Stream>::checked);

public:
    static constexpr bool is_descriptor = has_tcp_descriptor<Stream>;

    /// Both arguments must outlive the channel.
    asio_channel(Stream& stream, channel_user& user) noexcept
        : channel{{traits::half_close, is_descriptor, tells_hang_up<Stream>(), is_descriptor && has_tcp_info,
                      is_descriptor},
              &user},
          stream_{stream}
    {
    }

    // Always would_block: Asio tries to read when async_read_some() begins, so trying here would only add a system
    // call.
    std::size_t read_some(boost::asio::mutable_buffer, error_code& error) noexcept override
    {
        error = boost::asio::error::would_block;
        return 0;
    }

    std::size_t take_some(
        [[maybe_unused]] boost::asio::mutable_buffer buffer, [[maybe_unused]] error_code& error) noexcept override
    {
        if constexpr (is_descriptor)
            return receive_some(stream_.native_handle(), buffer, error);
        else if constexpr (requires { stream_.read_some(buffer, error); })
            return stream_.read_some(buffer, error);
        error = boost::asio::error::operation_not_supported;
        return 0;
    }

    bool readable_now() noexcept override { return false; }

    std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept override
    {
        before_write();
        if constexpr (is_descriptor)
            return send_some(stream_.native_handle(), buffer, error);
        else
            return stream_.write_some(buffer, error);
    }

    std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept override
    {
        before_write();
        if constexpr (is_descriptor)
            return send_some(stream_.native_handle(), buffers, error);
        else
            return stream_.write_some(buffers, error);
    }

    std::size_t write_some([[maybe_unused]] piped_bytes const& bytes, error_code& error) noexcept override
    {
        before_write();
        if constexpr (is_descriptor)
            return bytes.pipe->give(stream_.native_handle(), bytes.size, error);
        error = boost::asio::error::operation_not_supported;
        return 0;
    }

    std::size_t take_into([[maybe_unused]] splice_pipe& pipe, [[maybe_unused]] error_code& error) noexcept override
    {
        if constexpr (is_descriptor)
        {
            auto const size = pipe.take(stream_.native_handle(), error);
            if (error == boost::asio::error::would_block)
                error.clear();
            return size;
        }
        return 0;
    }

    std::size_t discard(std::size_t limit, error_code& error) noexcept override
    {
        return traits::discard(stream_, limit, error);
    }

    void shutdown_send(error_code& error) noexcept override { traits::shutdown_send(stream_, error); }

    void reset() noexcept override
    {
        if (made_here())
            traits::reset(stream_);
        else
            close();
    }

    void close() noexcept override
    {
        if constexpr (std::is_same_v<decltype(stream_.lowest_layer().native_handle()), int>)
        {
            if (!made_here() && stream_.lowest_layer().is_open())
                give_up_copy(stream_.lowest_layer().native_handle());
        }
        traits::close(stream_);
    }

    bool has_input() noexcept override { return traits::has_input(stream_); }

    bool has_failed() noexcept override { return traits::has_failed(stream_); }

    bool has_hung_up() noexcept override { return traits::has_hung_up(stream_); }

    error_code take_failure() noexcept override { return traits::take_failure(stream_); }

    std::size_t unacknowledged() noexcept override { return traits::unacknowledged(stream_); }

    void set_dead_peer_timeout(deadlines::duration timeout) noexcept override
    {
        traits::set_dead_peer_timeout(stream_, timeout);
    }

    void set_no_delay_now() noexcept override
    {
        if constexpr (is_descriptor)
        {
            if (take_no_delay())
                set_no_delay(stream_.native_handle());
        }
    }

    duet::tcp_snapshot info(error_code& error) noexcept override { return traits::info(stream_, error); }

    void read(boost::asio::mutable_buffer buffer) override
    {
        auto const tell = [](channel_user& user, error_code error, std::size_t size) { user.on_read(error, size); };
        stream_.async_read_some(buffer, placed_handler{*user_, tell, read_memory_});
    }

    // The kind of wake makes no difference: Asio reports the current readiness of the socket.
    void wait_readable(wake) override
    {
        auto const tell = [](channel_user& user, error_code error) { user.on_read(error, 0); };
        stream_.async_wait(Stream::wait_read, placed_handler{*user_, tell, read_memory_});
    }

    void wait_writable() override
    {
        auto const tell = [](channel_user& user, error_code error) { user.on_writable(error); };
        stream_.async_wait(Stream::wait_write, owned_handler{*user_, tell});
    }

    void wait_gone() override
    {
        auto const tell = [](channel_user& user, error_code error) { user.on_gone(error); };
        stream_.async_wait(Stream::wait_error, owned_handler{*user_, tell});
    }

    void turn() override
    {
        if (turn_)
            return;
        boost::asio::post(stream_.get_executor(), owned_handler{*user_, [this](channel_user& user)
                                                      {
                                                          turn_ = false;
                                                          user.on_turn();
                                                      }});
        turn_ = true;
    }

    void cancel_read() noexcept override { traits::cancel(stream_); }

    void cancel_gone() noexcept override { traits::cancel(stream_); }

private:
    void before_write() noexcept
    {
        if constexpr (is_descriptor)
        {
            if (no_delay_is_due()) [[unlikely]]
                set_no_delay(stream_.native_handle());
        }
    }

    Stream& stream_;
    bool turn_ = false;
    operation_memory<192>
        read_memory_;  // of one pending read: 184 bytes for a socket with any_io_executor, in Boost 1.81
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
