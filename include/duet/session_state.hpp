// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_STATE_HPP
#define DUET_SESSION_STATE_HPP

#include <cstdint>
#include <utility>

#include <duet/close_report.hpp>
#include <duet/detail/config.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/session_handle.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/post_mortem.hpp>
#include <duet/proxy_header.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a session tells of itself. None of these functions throws, waits or asks the peer. Those of a session that is
/// empty answer for one that has ended without a byte.
template <class Stream>
class basic_session_state
{
public:
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename stream_traits<Stream>::endpoint_type;
    using endpoint_result = typename detail::session_handle<Stream>::endpoint_result;

    /// False if the session is empty: default-constructed, or moved from.
    bool valid() const noexcept { return static_cast<bool>(connection_); }

    duet::receive_state receive_state() const noexcept { return connection_.life().receive(); }

    duet::send_state send_state() const noexcept { return connection_.life().send(); }

    session_state state() const noexcept { return connection_.life().state(); }

    /// Who ended the connection and how; close_reason::none while it lives.
    duet::close_reason close_reason() const noexcept { return report().reason; }

    /// The first terminal error, if there was one.
    error_code error() const noexcept { return connection_ ? connection_->error() : error_code{errc::closed}; }

    /// What close() would report now.
    close_report report() const noexcept { return connection_ ? connection_->report() : detail::report_of_nothing(); }

    /// Who ended the connection, in which direction and phase, and the first errors: to_string() makes a line of it.
    duet::post_mortem post_mortem() const noexcept
    {
        return connection_ ? connection_->post_mortem() : duet::post_mortem{};
    }

    /// The endpoints at accept or connect, an IPv4 address always as such; they stay when the connection is gone. But
    /// of all the addresses of a listener on all of them, the one that the client has chosen is asked of the system by
    /// the first call of local_endpoint(); if that comes after the end, it returns the listener's. If a proxy has told
    /// of the client, they are the client's: see proxied().
    /// Those of TCP are values, others references that stay valid as long as a session object refers to the connection.
    endpoint_result local_endpoint() const noexcept { return connection_.local(); }

    endpoint_result remote_endpoint() const noexcept { return connection_.remote(); }

    /// The PROXY header that was accepted for this session, and the endpoints of the connection itself: see
    /// proxy_protocol.hpp. Null if there was none. Valid as long as a session object refers to the connection.
    duet::proxied const* proxied() const noexcept { return connection_ ? connection_->proxied() : nullptr; }

    std::uint64_t bytes_received() const noexcept { return connection_ ? connection_->bytes_received() : 0; }

    std::uint64_t bytes_sent() const noexcept { return connection_ ? connection_->bytes_sent() : 0; }

    /// Bytes of writes under way that the kernel has not accepted yet.
    std::uint64_t bytes_queued() const noexcept { return connection_ ? connection_->bytes_queued() : 0; }

    /// True if the connection may carry another exchange: both directions are open, no operation is under way, the
    /// session was not asked to finish, and nothing has arrived: no bytes, no FIN, no reset. Costs one system call at
    /// most. What is on its way cannot be known.
    bool reusable() const noexcept { return connection_ && connection_->reusable(); }

    /// The kernel's view. Errors: operation_not_supported if there is none (not Linux, not TCP); bad_descriptor after
    /// the end.
    duet::tcp_snapshot tcp_info(error_code& error) const noexcept { return connection_.info(error); }

    duet::deadlines deadlines() const noexcept { return connection_.limits(); }

    /// Change the deadlines, from now on. A pending operation keeps its deadline.
    void set_deadlines(duet::deadlines const& values) noexcept { connection_.call(&connection::set_deadlines, values); }

    /// A moved-from session still has its executor. A default-constructed one has none: an empty any_io_executor;
    /// another type of executor must not be asked for.
    executor_type get_executor() const noexcept { return connection_.get_executor(); }

protected:
    using handle = detail::session_handle<Stream>;
    using connection = detail::stream_connection<Stream>;

    basic_session_state() noexcept = default;
    explicit basic_session_state(handle held) noexcept : connection_{std::move(held)} {}
    basic_session_state(basic_session_state&&) noexcept = default;
    basic_session_state& operator=(basic_session_state&&) noexcept = default;
    ~basic_session_state() = default;

    handle connection_;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
