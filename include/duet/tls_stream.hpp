// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_STREAM_HPP
#define DUET_TLS_STREAM_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <duet/detail/channel/stream_requirements.hpp>
#include <duet/detail/tls/tls_engine.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tls_context.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {
struct tls_stream_access;
}

/// A connected stream, and the TLS that a session will speak on it. Only a session uses it.
template <class Stream>
class basic_tls_stream
{
public:
    using next_layer_type = Stream;
    using executor_type = typename Stream::executor_type;
    using lowest_layer_type = typename stream_traits<Stream>::lowest_layer_type;

    /// A server's side. Throws std::bad_alloc, or boost::system::system_error.
    basic_tls_stream(Stream stream, tls_context const& context) : basic_tls_stream{std::move(stream), context, {}} {}

    /// A client's side: the server's certificate has to be for `host`, a name or an address, which is also told the
    /// server (SNI).
    basic_tls_stream(Stream stream, tls_context const& context, std::string host)
        : engine_{std::make_unique<detail::tls_engine>(context.settings(), std::move(host))},
          stream_{std::move(stream)}, executor_{stream_->get_executor()}
    {
    }

    basic_tls_stream(basic_tls_stream&&) noexcept = default;

    executor_type get_executor() const noexcept { return executor_; }

    Stream& next_layer() noexcept { return lent_ ? *lent_ : *stream_; }

    Stream const& next_layer() const noexcept { return lent_ ? *lent_ : *stream_; }

    lowest_layer_type& lowest_layer() noexcept { return next_layer().lowest_layer(); }

    lowest_layer_type const& lowest_layer() const noexcept { return next_layer().lowest_layer(); }

private:
    friend detail::tls_stream_access;

    explicit basic_tls_stream(executor_type const& executor) : executor_{executor} {}

    std::unique_ptr<detail::tls_engine> engine_;
    std::optional<Stream> stream_;
    Stream* lent_ = nullptr;  // in a session, its channels have the stream
    executor_type executor_;
};

using tls_stream =
    basic_tls_stream<boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::any_io_executor>>;

/// What a session asks of a stream. Its channels are those of the stream below, with TLS on top: see
/// detail/tls/tls_channels.hpp.
template <class Stream>
struct stream_traits<basic_tls_stream<Stream>>
{
    using stream_type = basic_tls_stream<Stream>;
    using below = stream_traits<Stream>;
    using endpoint_type = typename below::endpoint_type;
    using lowest_layer_type = typename below::lowest_layer_type;
    using native_handle_type = typename below::native_handle_type;

    static constexpr bool half_close = below::half_close;

    static void apply(stream_type& stream, session_options const& options) noexcept
    {
        below::apply(stream.next_layer(), options);
    }

    static void prepare(stream_type& stream) noexcept { below::prepare(stream.next_layer()); }

    static std::string describe(endpoint_type const& endpoint) { return below::describe(endpoint); }
};

namespace detail {

/// No function of the stream itself is used.
template <class Stream>
struct stream_requirements<basic_tls_stream<Stream>>
{
    static constexpr bool checked = stream_requirements<Stream>::checked;
};

struct tls_stream_access
{
    template <class Stream>
    static std::unique_ptr<tls_engine> engine(basic_tls_stream<Stream>& stream) noexcept
    {
        return std::move(stream.engine_);
    }

    template <class Stream>
    static Stream below(basic_tls_stream<Stream>& stream) noexcept
    {
        return std::move(*stream.stream_);
    }

    /// A stream whose TLS has begun on another one.
    template <class Stream>
    static basic_tls_stream<Stream> with(Stream stream, std::unique_ptr<tls_engine> engine)
    {
        basic_tls_stream<Stream> result{stream.get_executor()};
        result.engine_ = std::move(engine);
        result.stream_.emplace(std::move(stream));
        return result;
    }

    template <class Stream>
    static basic_tls_stream<Stream> empty(typename Stream::executor_type const& executor)
    {
        return basic_tls_stream<Stream>{executor};
    }

    template <class Stream>
    static void lend(basic_tls_stream<Stream>& to, Stream& stream) noexcept
    {
        to.lent_ = &stream;
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
