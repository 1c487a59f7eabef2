// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BEAST_HPP
#define DUET_BEAST_HPP

// Boost.Beast's WebSocket over a session. No other header of duet includes Beast, so duet.hpp leaves this one out;
// Beast's HTTP does not need it. Include it wherever a `boost::beast::websocket::stream` uses a session, directly or
// through another layer (`websocket::stream<asio::ssl::stream<duet::session>>`): Beast finds these functions by the
// type of their argument.
//
// A session has no blocking functions, so only Beast's asynchronous functions work.

#include <boost/asio/compose.hpp>
#include <boost/beast/core/role.hpp>

#include <utility>

#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Session>
struct teardown_operation
{
    template <class Self>
    void operator()(Self& self)
    {
        peer.close()(std::move(self));
    }

    template <class Self>
    void operator()(Self& self, error_code error, close_report const& report)
    {
        if (!error && !report.clean())
            error = report.error;
        self.complete(error);
    }

    Session& peer;
};

}  // namespace detail

/// Beast calls this on either side after the closing handshake. It does session::close(): what was written is
/// delivered, what the peer still sends is discarded, and the deadlines `close` and `close_total` apply. If the end was
/// not clean, the handler gets the error: reset, timed_out, dead_peer. session::report() has the details.
///
/// Cancellation: as session::close().
template <class Stream, class TeardownHandler>
void async_teardown(boost::beast::role_type, basic_session<Stream>& peer, TeardownHandler&& handler)
{
    using operation = detail::teardown_operation<basic_session<Stream>>;
    boost::asio::async_compose<TeardownHandler, void(error_code)>(operation{peer}, handler, peer);
}

/// Beast calls this when one of its own timeouts expires, to end every pending operation. It does session::abort().
template <class Stream>
void beast_close_socket(basic_session<Stream>& peer) noexcept
{
    peer.abort();
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
