// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SETUP_IPP
#define DUET_DETAIL_SERVE_SERVER_SETUP_IPP

#include <boost/asio/ip/address.hpp>

#include <new>

#include <duet/detail/serve/server_setup.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

DUET_DECL acceptor_options acceptor_options_of(server_options const& options)
{
    acceptor_options result;
    result.backlog = options.backlog;
    result.reuse_port = options.threads > 1;
    result.session = options.session;
    result.on_resource_failure = options.on_resource_failure;
    // With a limit on sessions, a client must stay in the kernel's queue until its turn, so accept one at a time.
    if (options.max_sessions != 0)
        result.batch = 1;
    return result;
}

DUET_DECL acceptor listen_for(boost::asio::io_context& context, server_options const& options)
{
    using boost::asio::ip::tcp;
    auto const accept_options = acceptor_options_of(options);
    if (!options.address.empty())
    {
        error_code error;
        auto const address = boost::asio::ip::make_address(options.address, error);
        if (error)
            throw session_error{error, "listen", options.address, 0};
        return acceptor{context, tcp::endpoint{address, options.port}, accept_options};
    }
    try
    {
        return acceptor{context, tcp::endpoint{tcp::v6(), options.port}, accept_options};
    }
    catch (session_error const& error)
    {
        // A system without IPv6 reports it when the socket is opened or when it is bound.
        if (error.code() != boost::asio::error::address_family_not_supported &&
            error.code() != boost::system::errc::address_not_available)
            throw;
    }
    return acceptor{context, tcp::endpoint{tcp::v4(), options.port}, accept_options};
}

DUET_DECL void run_on(boost::asio::io_context& context)
{
    for (bool over = false; !over;)
    {
        try
        {
            context.run();
            over = true;
        }
        catch (std::bad_alloc const&)
        {
            // Asio throws this when it has no memory to start an operation.
        }
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
