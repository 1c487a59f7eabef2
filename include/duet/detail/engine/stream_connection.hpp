// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP
#define DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP

#include <boost/asio/io_context.hpp>

#include <string>
#include <utility>

#include <duet/detail/channel/stream_channels.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// A connection on a stream. It owns the stream, its channels and its endpoints.
template <class Stream>
class stream_connection final : public connection
{
    using traits = stream_traits<Stream>;
    using channels = stream_channels<Stream>;

public:
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename traits::endpoint_type;

    static constexpr bool may_splice = channels::may_splice;

    stream_connection(
        Stream&& stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options)
        : connection{stream.get_executor(), options}, channels_{std::move(stream), *this}, local_{local}, remote_{
                                                                                                              remote}
    {
        use(channels_.asio());
    }

    /// For a connected descriptor, which begin() takes over.
    stream_connection(executor_type const& executor, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options)
        : stream_connection{Stream{executor}, local, remote, options}
    {
    }

    /// Let the sockets of a context use a reactor. Only one thread may run the context.
    static void prepare(boost::asio::io_context& context) noexcept { channels::prepare(context); }

    /// Call this before the first operation. Takes over `descriptor`, a connected, non-blocking socket (-1: the stream
    /// already has it), and uses the reactor of the context if that suits. On an error the caller still owns the
    /// descriptor.
    error_code begin(int descriptor = -1) noexcept
    {
        error_code error;
        if (auto* const first = channels_.begin(plain_context(), local_, descriptor, error))
            use(*first);
        return error;
    }

    /// For programs that use the stream directly: from now on the socket waits in Asio's reactor.
    Stream& stream() noexcept
    {
        if (!life().released())
        {
            error_code error;
            if (auto* const next = channels_.leave_reactor(local_, error))
                change_channel(*next);
            else if (error)
                out_of_memory();
        }
        return channels_.stream();
    }

    auto native_handle() noexcept { return channels_.native_handle(); }

    decltype(auto) get_executor() noexcept { return channels_.stream().get_executor(); }

    endpoint_type const& local() const noexcept { return local_; }

    endpoint_type const& remote() const noexcept { return remote_; }

    std::string describe_peer() const override { return traits::describe(remote_); }

private:
    ~stream_connection() = default;

    /// Not inlined: if two references are released in one function, g++ 12 warns of a use after free, wrongly.
    [[gnu::noinline]] void dispose() noexcept override { delete this; }

    void on_released() noexcept override { channels_.end(); }

    channels channels_;
    endpoint_type local_;
    endpoint_type remote_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
