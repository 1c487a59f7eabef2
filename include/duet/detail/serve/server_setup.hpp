// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SETUP_HPP
#define DUET_DETAIL_SERVE_SERVER_SETUP_HPP

#include <boost/asio/io_context.hpp>

#include <duet/acceptor.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// How a server's listeners accept.
DUET_DECL acceptor_options acceptor_options_of(server_options const& options);

/// The first listener, as address and port say.
DUET_DECL acceptor listen_for(boost::asio::io_context& context, server_options const& options);

/// Run, and go on when memory has run out: what was being begun is gone, and no more than that.
DUET_DECL void run_on(boost::asio::io_context& context);

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/serve/server_setup.ipp>
#endif

#endif
