// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SETUP_IPP
#define DUET_DETAIL_SERVE_SERVER_SETUP_IPP

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <new>
#include <utility>

#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/serve/server_setup.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL acceptor_options acceptor_options_of(server_options const& options)
{
    acceptor_options result;
    result.backlog = options.backlog;
    result.reuse_port = options.share_port;
    result.session = options.session;
    result.on_resource_failure = options.on_resource_failure;
    return result;
}

/// Listen on the endpoint, and let the listeners of further threads join. The first one gets SO_REUSEPORT only now: a
/// socket that listens without it has the endpoint for itself, so a second server would have failed, or has made this
/// one fail.
inline acceptor listen_first(boost::asio::any_io_executor const& executor,
    boost::asio::ip::tcp::endpoint const& endpoint, server_options const& options)
{
    acceptor result{executor, endpoint, acceptor_options_of(options)};
    error_code ignored;  // the threads then share one socket
    if (options.threads > 1)
        allow_reuse_port(acceptor_access::descriptor(result), ignored);
    return result;
}

DUET_DECL acceptor listen_for(boost::asio::any_io_executor const& executor, server_options const& options)
{
    using boost::asio::ip::tcp;
    if (!options.address.empty())
    {
        auto const address = address_of(options.address);
        if (!address)
            throw session_error{boost::asio::error::invalid_argument, "listen", options.address, 0};
        return listen_first(executor, tcp::endpoint{*address, options.port}, options);
    }
    try
    {
        return listen_first(executor, tcp::endpoint{tcp::v6(), options.port}, options);
    }
    catch (session_error const& error)
    {
        // A system without IPv6 reports it when the socket is opened or when it is bound.
        if (error.code() != boost::asio::error::address_family_not_supported &&
            error.code() != boost::system::errc::address_not_available)
            throw;
    }
    return listen_first(executor, tcp::endpoint{tcp::v4(), options.port}, options);
}

DUET_DECL void run_on(boost::asio::io_context& own, boost::asio::io_context& first)
{
    for (;;)
    {
        std::exception_ptr failure;
        try
        {
            own.run();
            return;
        }
        catch (std::bad_alloc const&)
        {
            // Asio throws this when it has no memory to start an operation.
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        if (failure)
            boost::asio::post(first, [failure = std::move(failure)] { std::rethrow_exception(failure); });
    }
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
