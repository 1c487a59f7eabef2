// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BEAST_HPP
#define DUET_BEAST_HPP

// Boost.Beast's WebSocket over a session. The only header of duet that knows Beast, so duet.hpp leaves it out; Beast's
// HTTP needs nothing of it. Include it wherever a `boost::beast::websocket::stream` stands on a session, directly or
// with a layer between (`websocket::stream<asio::ssl::stream<duet::session>>`): Beast finds these functions by the type
// of their argument.
//
// A session has no calls that wait, so only Beast's asynchronous functions are to be had.

#include <boost/asio/compose.hpp>
#include <boost/beast/core/role.hpp>

#include <utility>

#include <duet/session.hpp>

namespace duet {
inline namespace v0 {
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

/// Beast calls it when the closing handshake is over, on either side: it is session::close(). What was written is
/// delivered, what the peer still sends is discarded, and the deadlines `close` and `close_total` hold. The handler
/// gets the error of an end that was not clean: reset, timed_out, dead_peer. session::report() tells more.
///
/// Cancellation: as session::close().
template <class Stream, class TeardownHandler>
void async_teardown(boost::beast::role_type, basic_session<Stream>& peer, TeardownHandler&& handler)
{
    using operation = detail::teardown_operation<basic_session<Stream>>;
    boost::asio::async_compose<TeardownHandler, void(error_code)>(operation{peer}, handler, peer);
}

/// Beast calls it when one of its own timeouts passes, to end every pending operation: it is session::abort().
template <class Stream>
void beast_close_socket(basic_session<Stream>& peer) noexcept
{
    peer.abort();
}

}  // namespace v0
}  // namespace duet

#endif
