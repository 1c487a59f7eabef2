// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SETUP_HPP
#define DUET_DETAIL_SERVE_SERVER_SETUP_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <type_traits>
#include <vector>

#include <duet/acceptor.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The acceptor options for a server's first listener.
DUET_DECL acceptor_options acceptor_options_of(server_options const& options);

/// Create the first listener, on the address and port of `options`.
DUET_DECL acceptor listen_for(boost::asio::any_io_executor const& executor, server_options const& options);

/// The first of these listeners; if there are none, a new one as `options` say.
template <class Protocol>
basic_acceptor<Protocol> take_over(boost::asio::any_io_executor const& executor,
    std::vector<inherited_descriptor> const& inherited, server_options const& options)
{
    if (!inherited.empty())
        return basic_acceptor<Protocol>{executor, inherited.front(), acceptor_options_of(options)};
    if constexpr (std::is_same_v<Protocol, boost::asio::ip::tcp>)
        return listen_for(executor, options);
    else
        throw session_error{boost::asio::error::invalid_argument, "listen", "no inherited descriptor", 0};
}

/// Run the context of an additional thread, and go on after exceptions: std::bad_alloc loses only the operation that
/// was being started; others leave the run() of the `first` context. (Without memory for that, the program ends.)
DUET_DECL void run_on(boost::asio::io_context& own, boost::asio::io_context& first);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/serve/server_setup.ipp>
#endif

#endif
