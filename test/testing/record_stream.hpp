// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TESTING_RECORD_STREAM_HPP
#define DUET_TEST_TESTING_RECORD_STREAM_HPP

#include <duet/error.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>
#include <duet/testing/memory_stream.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace duet_test {

/// A layer with the manners of TLS, over a stream in memory: bytes travel in records, so it holds bytes in both
/// directions that the stream below has not; it has a goodbye of its own, the empty record, and a FIN without that is a
/// failure; and it cannot half-close.
class record_stream
{
public:
    using lower = duet::testing::memory_stream;
    using error_code = duet::error_code;
    using executor_type = lower::executor_type;
    using wait_type = lower::wait_type;

    static constexpr wait_type wait_read = lower::wait_read;
    static constexpr wait_type wait_write = lower::wait_write;
    static constexpr wait_type wait_error = lower::wait_error;

    explicit record_stream(lower below) : core_{std::make_shared<core>(std::move(below))} {}

    record_stream(record_stream&&) noexcept = default;

    ~record_stream()
    {
        if (core_)
            core_->below.close();
    }

    static std::pair<record_stream, record_stream> pair(executor_type const& executor)
    {
        auto ends = lower::pair(executor);
        return {record_stream{std::move(ends.first)}, record_stream{std::move(ends.second)}};
    }

    executor_type get_executor() const { return core_->below.get_executor(); }

    lower& lowest_layer() noexcept { return core_->below; }

    lower const& lowest_layer() const noexcept { return core_->below; }

    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers, error_code& error)
    {
        std::array<char, core::most> payload{};
        auto const size = boost::asio::buffer_copy(boost::asio::buffer(payload), buffers);
        return core_->write({payload.data(), size}, error);
    }

    template <class Handler>
    void async_read_some(boost::asio::mutable_buffer buffer, Handler handler)
    {
        core_->read(buffer, std::move(handler), true);
    }

    template <class Handler>
    void async_wait(wait_type what, Handler handler)
    {
        if (what == wait_read)
            core_->when_readable(std::move(handler), true);
        else if (what == wait_write)
            core_->when_writable(std::move(handler));
        else
            core_->below.async_wait(what, std::move(handler));
    }

    void shutdown_send(error_code& error) { core_->say_goodbye(error); }

    std::size_t discard(std::size_t limit, error_code& error)
    {
        auto& held = core_->held;
        core_->pull();
        auto const size = std::min(limit, held.size());
        held.erase(0, size);
        error = size > 0 ? error_code{} : core_->why_nothing();
        if (error == boost::asio::error::eof)
            error.clear();
        return size;
    }

    std::size_t unacknowledged() const { return core_->out.size() + core_->below.unacknowledged(); }

    bool has_input()
    {
        core_->pull();
        return core_->is_readable();
    }

    /// Bytes that it has taken from below, and nobody has read.
    std::size_t held() const { return core_->held.size(); }

private:
    struct core : std::enable_shared_from_this<core>
    {
        static constexpr std::size_t most = 1000;  // bytes of a record

        explicit core(lower stream) : below{std::move(stream)} {}

        // ---- From the peer.

        void pull()
        {
            std::array<char, 4096> room;
            error_code error;
            while (!error && !failure && !peer_said_goodbye)
            {
                in.append(room.data(), below.read_some(boost::asio::buffer(room), error));
                open_records();
            }
            if (!error || failure || peer_said_goodbye || error == boost::asio::error::would_block)
                return;
            failure = error == boost::asio::error::eof ? error_code{duet::errc::truncated} : error;
        }

        void open_records()
        {
            while (in.size() >= 2 && !peer_said_goodbye)
            {
                auto const size = std::size_t{byte(0)} * 256 + byte(1);
                if (in.size() < 2 + size)
                    break;
                held.append(in, 2, size);
                in.erase(0, 2 + size);
                peer_said_goodbye = size == 0;
            }
        }

        unsigned char byte(std::size_t place) const { return static_cast<unsigned char>(in[place]); }

        error_code why_nothing() const
        {
            if (peer_said_goodbye)
                return boost::asio::error::eof;
            return failure ? failure : error_code{boost::asio::error::would_block};
        }

        bool is_readable() const { return !held.empty() || failure || peer_said_goodbye; }

        template <class Handler>
        void when_readable(Handler handler, bool first)
        {
            pull();
            if (!is_readable())
                return below.async_wait(wait_read,
                    [self = shared_from_this(), done = std::move(handler)](error_code error) mutable
                    {
                        if (error)
                            done(error);
                        else
                            self->when_readable(std::move(done), false);
                    });
            if (!first)
                return handler(error_code{});
            boost::asio::post(
                below.get_executor(), [done = std::move(handler)]() mutable { std::move(done)(error_code{}); });
        }

        template <class Handler>
        void read(boost::asio::mutable_buffer buffer, Handler handler, bool first)
        {
            when_readable(
                [self = shared_from_this(), buffer, done = std::move(handler)](error_code error) mutable
                {
                    if (error)
                        return done(error, std::size_t{0});
                    if (!self->is_readable())  // it was discarded in the meantime
                        return self->read(buffer, std::move(done), false);
                    auto const size = std::min(buffer.size(), self->held.size());
                    std::memcpy(buffer.data(), self->held.data(), size);
                    self->held.erase(0, size);
                    done(size > 0 ? error_code{} : self->why_nothing(), size);
                },
                first);
        }

        // ---- To the peer.

        std::size_t write(std::string_view payload, error_code& error)
        {
            flush();
            error = said_goodbye ? error_code{boost::asio::error::broken_pipe} : failure;
            if (!error && !out.empty())
                error = boost::asio::error::would_block;
            if (error || payload.empty())
                return 0;
            seal(payload);
            flush();
            return payload.size();
        }

        void say_goodbye(error_code& error)
        {
            error =
                below.is_open() && !below.has_failed() ? error_code{} : error_code{boost::asio::error::not_connected};
            if (error || std::exchange(said_goodbye, true))
                return;
            seal({});
            flush();
        }

        void seal(std::string_view payload)
        {
            out += static_cast<char>(payload.size() / 256);
            out += static_cast<char>(payload.size() % 256);
            out += payload;
        }

        /// What the stream below does not take now is sent when it does.
        void flush()
        {
            error_code error;
            while (!out.empty() && !error)
                out.erase(0, below.write_some(boost::asio::buffer(out), error));
            if (error && error != boost::asio::error::would_block && !failure)
                failure = error;
            if (out.empty() || failure || flushing)
                return;
            flushing = true;
            below.async_wait(wait_write,
                [self = shared_from_this()](error_code)
                {
                    self->flushing = false;
                    self->flush();  // cancelled with all others, it goes on
                });
        }

        template <class Handler>
        void when_writable(Handler handler)
        {
            below.async_wait(wait_write,
                [self = shared_from_this(), done = std::move(handler)](error_code error) mutable
                {
                    if (error)
                        return done(error);
                    self->flush();
                    if (self->out.empty() || self->failure)
                        done(error);
                    else
                        self->when_writable(std::move(done));
                });
        }

        lower below;
        std::string in;    // from below, not a whole record yet
        std::string held;  // for a reader
        std::string out;   // for below
        bool flushing = false;
        bool said_goodbye = false;
        bool peer_said_goodbye = false;
        error_code failure;
    };

    std::shared_ptr<core> core_;
};

}  // namespace duet_test

template <>
struct duet::stream_traits<duet_test::record_stream>
{
    using stream_type = duet_test::record_stream;
    using lower = stream_traits<stream_type::lower>;
    using endpoint_type = lower::endpoint_type;
    using lowest_layer_type = stream_type::lower;
    using native_handle_type = lower::native_handle_type;

    static constexpr bool half_close = false;
    static constexpr bool close_says_fin = false;

    static void apply(stream_type&, session_options const&) noexcept {}

    static void prepare(stream_type&) noexcept {}

    static void shutdown_send(stream_type& stream, error_code& error) noexcept { stream.shutdown_send(error); }

    static void reset(stream_type& stream) noexcept { lower::reset(stream.lowest_layer()); }

    static void close(stream_type& stream) noexcept { lower::close(stream.lowest_layer()); }

    static void cancel(stream_type& stream) noexcept { lower::cancel(stream.lowest_layer()); }

    static std::size_t discard(stream_type& stream, std::size_t limit, error_code& error) noexcept
    {
        return stream.discard(limit, error);
    }

    static std::size_t unacknowledged(stream_type& stream) noexcept { return stream.unacknowledged(); }

    static bool has_input(stream_type& stream) noexcept { return stream.has_input(); }

    static bool has_failed(stream_type& stream) noexcept { return lower::has_failed(stream.lowest_layer()); }

    static bool has_hung_up(stream_type& stream) noexcept { return lower::has_hung_up(stream.lowest_layer()); }

    static error_code take_failure(stream_type& stream) noexcept { return lower::take_failure(stream.lowest_layer()); }

    static void set_dead_peer_timeout(stream_type&, deadlines::duration) noexcept {}

    static duet::tcp_snapshot info(stream_type& stream, error_code& error) noexcept
    {
        return lower::info(stream.lowest_layer(), error);
    }

    static std::string describe(endpoint_type const& endpoint) { return lower::describe(endpoint); }
};

#endif
