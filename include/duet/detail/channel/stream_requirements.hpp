// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_STREAM_REQUIREMENTS_HPP
#define DUET_DETAIL_CHANNEL_STREAM_REQUIREMENTS_HPP

#include <duet/session_stream.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Instantiated once for each stream: names what is missing, or may throw.
template <class Stream>
struct stream_requirements
{
    static constexpr bool traits = has_stream_traits<Stream>;

    static_assert(movable_stream<Stream>, "duet: the stream cannot be moved: see session_stream");
    static_assert(has_executor<Stream>,
        "duet: Stream::executor_type, convertible to any_io_executor, or stream.get_executor() is missing: see "
        "session_stream");
    static_assert(readable_stream<Stream>,
        "duet: stream.async_read_some(mutable_buffer, handler) is missing: see session_stream");
    static_assert(writable_stream<Stream>,
        "duet: stream.write_some(buffers, error), of a const_buffer or of a span of them, is missing: see "
        "session_stream");
    static_assert(waitable_stream<Stream>,
        "duet: stream.async_wait(what, handler), or Stream::wait_read, wait_write or wait_error is missing: see "
        "session_stream");

    static_assert(traits, "duet: stream_traits<Stream> is not specialised: see session_stream");
    static_assert(!traits || has_traits_types<Stream>,
        "duet: stream_traits<Stream>::endpoint_type, lowest_layer_type or native_handle_type is missing: see "
        "session_stream");
    static_assert(!traits || has_lowest_layer<Stream>,
        "duet: stream.lowest_layer(), or its local_endpoint(error), remote_endpoint(error) or native_handle(), is "
        "missing, or does not have the type that stream_traits<Stream> says: see session_stream");
    static_assert(
        !traits || says_half_close<Stream>, "duet: stream_traits<Stream>::half_close is missing: see session_stream");
    static_assert(!traits || has_apply<Stream>,
        "duet: stream_traits<Stream>::apply(stream, options) is missing: see session_stream");
    static_assert(
        !traits || has_prepare<Stream>, "duet: stream_traits<Stream>::prepare(stream) is missing: see session_stream");
    static_assert(!traits || has_shutdown_send<Stream>,
        "duet: stream_traits<Stream>::shutdown_send(stream, error) is missing: see session_stream");
    static_assert(
        !traits || has_reset<Stream>, "duet: stream_traits<Stream>::reset(stream) is missing: see session_stream");
    static_assert(
        !traits || has_close<Stream>, "duet: stream_traits<Stream>::close(stream) is missing: see session_stream");
    static_assert(
        !traits || has_cancel<Stream>, "duet: stream_traits<Stream>::cancel(stream) is missing: see session_stream");
    static_assert(!traits || has_discard<Stream>,
        "duet: stream_traits<Stream>::discard(stream, limit, error) is missing: see session_stream");
    static_assert(!traits || has_unacknowledged<Stream>,
        "duet: stream_traits<Stream>::unacknowledged(stream) is missing: see session_stream");
    static_assert(!traits || has_has_input<Stream>,
        "duet: stream_traits<Stream>::has_input(stream) is missing: see session_stream");
    static_assert(!traits || has_has_failed<Stream>,
        "duet: stream_traits<Stream>::has_failed(stream) is missing: see session_stream");
    static_assert(!traits || has_has_hung_up<Stream>,
        "duet: stream_traits<Stream>::has_hung_up(stream) is missing: see session_stream");
    static_assert(!traits || has_take_failure<Stream>,
        "duet: stream_traits<Stream>::take_failure(stream) is missing: see session_stream");
    static_assert(!traits || has_set_dead_peer_timeout<Stream>,
        "duet: stream_traits<Stream>::set_dead_peer_timeout(stream, timeout) is missing: see session_stream");
    static_assert(
        !traits || has_info<Stream>, "duet: stream_traits<Stream>::info(stream, error) is missing: see session_stream");
    static_assert(!traits || has_describe<Stream>,
        "duet: stream_traits<Stream>::describe(endpoint) is missing: see session_stream");

    static_assert(!has_apply<Stream> || noexcept_apply<Stream>,
        "duet: stream_traits<Stream>::apply(stream, options) is not noexcept: see session_stream");
    static_assert(!has_prepare<Stream> || noexcept_prepare<Stream>,
        "duet: stream_traits<Stream>::prepare(stream) is not noexcept: see session_stream");
    static_assert(!has_shutdown_send<Stream> || noexcept_shutdown_send<Stream>,
        "duet: stream_traits<Stream>::shutdown_send(stream, error) is not noexcept: see session_stream");
    static_assert(!has_reset<Stream> || noexcept_reset<Stream>,
        "duet: stream_traits<Stream>::reset(stream) is not noexcept: see session_stream");
    static_assert(!has_close<Stream> || noexcept_close<Stream>,
        "duet: stream_traits<Stream>::close(stream) is not noexcept: see session_stream");
    static_assert(!has_cancel<Stream> || noexcept_cancel<Stream>,
        "duet: stream_traits<Stream>::cancel(stream) is not noexcept: see session_stream");
    static_assert(!has_discard<Stream> || noexcept_discard<Stream>,
        "duet: stream_traits<Stream>::discard(stream, limit, error) is not noexcept: see session_stream");
    static_assert(!has_unacknowledged<Stream> || noexcept_unacknowledged<Stream>,
        "duet: stream_traits<Stream>::unacknowledged(stream) is not noexcept: see session_stream");
    static_assert(!has_has_input<Stream> || noexcept_has_input<Stream>,
        "duet: stream_traits<Stream>::has_input(stream) is not noexcept: see session_stream");
    static_assert(!has_has_failed<Stream> || noexcept_has_failed<Stream>,
        "duet: stream_traits<Stream>::has_failed(stream) is not noexcept: see session_stream");
    static_assert(!has_has_hung_up<Stream> || noexcept_has_hung_up<Stream>,
        "duet: stream_traits<Stream>::has_hung_up(stream) is not noexcept: see session_stream");
    static_assert(!has_take_failure<Stream> || noexcept_take_failure<Stream>,
        "duet: stream_traits<Stream>::take_failure(stream) is not noexcept: see session_stream");
    static_assert(!has_set_dead_peer_timeout<Stream> || noexcept_set_dead_peer_timeout<Stream>,
        "duet: stream_traits<Stream>::set_dead_peer_timeout(stream, timeout) is not noexcept: see session_stream");
    static_assert(!has_info<Stream> || noexcept_info<Stream>,
        "duet: stream_traits<Stream>::info(stream, error) is not noexcept: see session_stream");

    static constexpr bool checked = true;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
