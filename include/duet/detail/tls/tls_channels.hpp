// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_CHANNELS_HPP
#define DUET_DETAIL_TLS_TLS_CHANNELS_HPP

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <utility>

#include <duet/detail/channel/stream_channels.hpp>
#include <duet/detail/tls/tls_channel.hpp>
#include <duet/error.hpp>
#include <duet/tls_stream.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The channels of the stream below, chosen as for that stream alone, and TLS on top.
template <class Stream>
struct stream_channels<basic_tls_stream<Stream>>
{
    using below_channels = stream_channels<Stream>;
    using executor_type = typename Stream::executor_type;

    static_assert(
        requires(Stream & below, boost::asio::mutable_buffer room, error_code& error) { below.read_some(room, error); },
        "duet: TLS needs stream.read_some(buffer, error), which does not block");

    /// splice(2) would move ciphertext.
    static constexpr bool may_splice = false;

    stream_channels(basic_tls_stream<Stream>&& stream, channel_user& user)
        : tls_{user}, stream_{tls_stream_access::empty<Stream>(stream.get_executor())}, below_{tls_stream_access::below(
                                                                                                   stream),
                                                                                            tls_.as_user()}
    {
        tls_.use(tls_stream_access::engine(stream));
        tls_.use(below_.first());
    }

    /// Give it an engine before the first operation.
    stream_channels(executor_type const& executor, channel_user& user)
        : tls_{user}, stream_{tls_stream_access::empty<Stream>(executor)}, below_{executor, tls_.as_user()}
    {
        tls_.use(below_.first());
    }

    static void prepare(boost::asio::io_context& context) noexcept { below_channels::prepare(context); }

    bool has_stream() const noexcept { return below_.has_stream(); }

    basic_tls_stream<Stream>& stream() noexcept
    {
        tls_stream_access::lend(stream_, below_.stream());
        return stream_;
    }

    channel& first() noexcept { return tls_; }

    tls_channel& tls() noexcept { return tls_; }

    auto native_handle() noexcept { return below_.native_handle(); }

    template <class Endpoint>
    channel* begin(channel_user&, boost::asio::io_context* context, executor_type const& executor,
        Endpoint const& local, int descriptor, error_code& error) noexcept
    {
        auto* const below = below_.begin(tls_.as_user(), context, executor, local, descriptor, error);
        if (!below)
            return nullptr;
        tls_.use(*below);
        return &tls_;
    }

    template <class Connecting>
    channel& begin_connected(Connecting& from) noexcept
    {
        tls_.use(below_.begin_connected(from));
        return tls_;
    }

    template <class Endpoint>
    channel* leave_reactor(
        channel_user&, executor_type const& executor, Endpoint const& local, error_code& error) noexcept
    {
        auto* const below = below_.leave_reactor(tls_.as_user(), executor, local, error);
        if (!below)
            return nullptr;
        tls_.move_to(*below);
        return &tls_;
    }

    /// See tls_access::move_to().
    int give_away(error_code& error) noexcept { return below_.give_away(error); }

    void end() noexcept { below_.end(); }

private:
    tls_channel tls_;
    basic_tls_stream<Stream> stream_;
    below_channels below_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
