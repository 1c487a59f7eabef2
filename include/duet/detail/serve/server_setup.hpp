// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SETUP_HPP
#define DUET_DETAIL_SERVE_SERVER_SETUP_HPP

#include <boost/asio/io_context.hpp>

#include <duet/acceptor.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The acceptor options for a server's listeners.
DUET_DECL acceptor_options acceptor_options_of(server_options const& options);

/// Create the first listener, on the address and port of `options`.
DUET_DECL acceptor listen_for(boost::asio::io_context& context, server_options const& options);

/// Run the context, and go on after std::bad_alloc: only the operation that was being started is lost.
DUET_DECL void run_on(boost::asio::io_context& context);

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/serve/server_setup.ipp>
#endif

#endif
