// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session on a stream that lacks one thing, or may throw. It is not to compile, and the error names what is wrong.

#include <duet/session.hpp>
#include <duet/testing/memory_stream.hpp>

#include <cstddef>

namespace {

struct incomplete_stream : duet::testing::memory_stream
{
#if defined(WITHOUT_MEMBER)
    void async_wait() = delete;  // hides the one of memory_stream
#endif
};

}  // namespace

#if !defined(WITHOUT_TRAITS)
template <>
struct duet::stream_traits<incomplete_stream> : duet::stream_traits<duet::testing::memory_stream>
{
#if defined(WITHOUT_FUNCTION)
    static void reset() = delete;
#elif defined(WITHOUT_NOEXCEPT)
    using base = duet::stream_traits<duet::testing::memory_stream>;
    using stream_type = incomplete_stream;

    // Each is found by its own name.
    static void apply(stream_type& stream, duet::session_options const& options)
    {
        base::apply(stream, options);
    }
    static void prepare(stream_type& stream)
    {
        base::prepare(stream);
    }
    static void shutdown_send(stream_type& stream, duet::error_code& error)
    {
        base::shutdown_send(stream, error);
    }
    static void reset(stream_type& stream)
    {
        base::reset(stream);
    }
    static void close(stream_type& stream)
    {
        base::close(stream);
    }
    static void cancel(stream_type& stream)
    {
        base::cancel(stream);
    }
    static std::size_t discard(stream_type& stream, std::size_t limit, duet::error_code& error)
    {
        return base::discard(stream, limit, error);
    }
    static std::size_t unacknowledged(stream_type& stream)
    {
        return base::unacknowledged(stream);
    }
    static bool has_input(stream_type& stream)
    {
        return base::has_input(stream);
    }
    static bool has_failed(stream_type& stream)
    {
        return base::has_failed(stream);
    }
    static bool has_hung_up(stream_type& stream)
    {
        return base::has_hung_up(stream);
    }
    static duet::error_code take_failure(stream_type& stream)
    {
        return base::take_failure(stream);
    }
    static void set_dead_peer_timeout(stream_type& stream, duet::deadlines::duration timeout)
    {
        base::set_dead_peer_timeout(stream, timeout);
    }
    static duet::tcp_snapshot info(stream_type& stream, duet::error_code& error)
    {
        return base::info(stream, error);
    }
#endif
};
#endif

static_assert(sizeof(duet::basic_session<incomplete_stream>) > 0);
