// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TLS_LACK_OF_MEMORY_HPP
#define DUET_TEST_TLS_LACK_OF_MEMORY_HPP

// One allocation that fails, of duet or of OpenSSL, and sessions that meet it.

#include "session/session_fixture.hpp"
#include "support/adopt.hpp"
#include "support/descriptor.hpp"
#include "support/failing_allocations.hpp"
#include "support/raw_peer.hpp"
#include "tls/failing_openssl.hpp"

#include <duet/tls.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <exception>
#include <string>
#include <utility>

#include <fcntl.h>

namespace duet_test {

/// Whose allocation fails.
enum class owner
{
    duet,  // and Asio, and the C++ library
    openssl,
};

/// Lets one allocation fail while it lives.
struct lack
{
    lack(owner whose, long before) : of{whose}
    {
        (of == owner::duet ? allocations_before_failure : openssl_memory::before_failure) = before;
        left() = 1;
    }

    lack(lack const&) = delete;
    lack& operator=(lack const&) = delete;

    ~lack() { left() = 0; }

    long& left() const { return of == owner::duet ? allocations_to_fail : openssl_memory::to_fail; }

    /// False: fewer allocations were made.
    bool has_come() const { return left() == 0; }

    owner of;
};

inline bool is_of_openssl(std::exception_ptr const& failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (boost::system::system_error const& error)
    {
        return error.code().category() == duet::openssl_category();
    }
    catch (...)
    {
        return false;
    }
}

/// The two ends of a connection of the kernel's, with small buffers.
class tls_pair
{
    raw_pair pair_ = connected_pair(raw_address::v4(0), small_window);

public:
    tls_pair(
        asio::io_context& context, duet::tls_context const& server_context, duet::tls_context const& client_context)
        : server{stream_on(pair_.server, context, server_context, {})}, client{stream_on(pair_.client, context,
                                                                            client_context, "server.test")}
    {
    }

    duet::tls_session server;
    duet::tls_session client;

private:
    static duet::tls_stream stream_on(
        raw_socket& end, asio::io_context& context, duet::tls_context const& tls, std::string host)
    {
        asio::ip::tcp::socket socket{context.get_executor()};
        descriptor own{checked(::fcntl(end.fd(), F_DUPFD_CLOEXEC, 0), "dup")};
        end.close();
        socket.assign(asio::ip::tcp::v4(), own.get());
        own.release();
        socket.non_blocking(true);
        return {std::move(socket), tls, std::move(host)};
    }
};

}  // namespace duet_test

#endif
