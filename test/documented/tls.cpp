// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/tls.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.tls
#include <duet/connector.hpp>
#include <duet/proxy_protocol.hpp>
#include <duet/run.hpp>
#include <duet/server.hpp>
#include <duet/tls.hpp>
#include <duet/tls_acceptor.hpp>
#include <duet/tls_connector.hpp>
#include <duet/tls_server.hpp>

#include "asio_face/credentials.hpp"
#include "support/coro.hpp"
#include "support/started.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using duet_test::credentials;

namespace documented {

// tls_context.hpp
[[maybe_unused]] duet::tls_context a_server()
{
    duet::tls_server_options options;
    options.identity = {{.file = "chain.pem"}, {.file = "key.pem"}};
    auto const context = duet::tls_context::server(options);
    return context;
}

// tls.hpp
[[maybe_unused]] asio::awaitable<void> a_client(asio::ip::tcp::socket socket, duet::tls_context context)
{
    duet::tls_session peer{duet::tls_stream{std::move(socket), context, "example.com"}};
    co_await duet::handshake(peer);
    co_await peer.write("GET / HTTP/1.0\r\n\r\n");
}

// proxying.md
[[maybe_unused]] asio::awaitable<void> forward_over_tls(duet::session& client, duet::tls_context tls)
{
    duet::tls_connector connector{client.get_executor(), tls};
    connector.send_first(encode(duet::proxy_header_of(client)));
    duet::tls_session backend = co_await connector.connect("backend.example", "443");
}

// tls_server.hpp
template <class Session>
asio::awaitable<void> echo(Session peer);

template <class Session>
asio::awaitable<void> echo(Session peer)
{
    co_await peer.close();
}

[[maybe_unused]] int both(asio::io_context& context, duet::tls_context const& tls)
{
    duet::server plain{context, {.port = 7777}, echo<duet::session>};
    duet::tls_server server{context, {.port = 7778}, tls, echo<duet::tls_session>};
    return duet::run(context, plain, server);
}

// tls_connector.hpp
[[maybe_unused]] asio::awaitable<void> a_connect(asio::any_io_executor executor)
{
    using namespace std::chrono_literals;
    duet::tls_connector connector{executor, duet::tls_context::client(), {.timeout = 5s}};
    duet::tls_session peer = co_await connector.connect("example.com", "443");
    co_await peer.close();
}

// tls_acceptor.hpp
[[maybe_unused]] asio::awaitable<void> accepting(asio::any_io_executor executor, duet::tls_context tls)
{
    duet::tls_acceptor acceptor{executor, {boost::asio::ip::tcp::v6(), 7778}, tls};
    for (;;)
    {
        duet::tls_session peer = co_await acceptor.accept();
        asio::co_spawn(executor, echo(std::move(peer)), asio::detached);
    }
}

asio::awaitable<void> echo_lines(duet::session peer, ssl::context& credentials)
{
    ssl::stream<duet::session> tls{std::move(peer), credentials};
    co_await tls.async_handshake(ssl::stream_base::server, asio::use_awaitable);
    std::string buffer;
    duet::error_code error;
    for (;;)
    {
        std::size_t const size = co_await asio::async_read_until(
            tls, asio::dynamic_buffer(buffer, 4096), '\n', asio::redirect_error(asio::use_awaitable, error));
        if (error)
            break;
        co_await asio::async_write(tls, asio::buffer(buffer, size), asio::use_awaitable);
        buffer.erase(0, size);
    }
    if (error != asio::error::eof && error != duet::errc::draining)
        throw duet::system_error{error};  // the session is reset
    // Say goodbye in the order of the layers: close_notify here, FIN by the server when this returns.
    co_await tls.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
}

asio::awaitable<std::string> ask(
    duet::session peer, std::string const& host, ssl::context& trusted, std::string question)
{
    ssl::stream<duet::session> tls{std::move(peer), trusted};
    tls.set_verify_mode(ssl::verify_peer);
    tls.set_verify_callback(ssl::host_name_verification{host});
    SSL_set_tlsext_host_name(tls.native_handle(), host.c_str());  // SNI
    co_await tls.async_handshake(ssl::stream_base::client, asio::use_awaitable);
    co_await asio::async_write(tls, asio::buffer(question), asio::use_awaitable);
    std::string answer;
    co_await asio::async_read_until(tls, asio::dynamic_buffer(answer, 4096), '\n', asio::use_awaitable);
    co_await tls.async_shutdown(asio::use_awaitable);
    co_await tls.next_layer().close();
    co_return answer;
}

}  // namespace documented

BOOST_TEST_GLOBAL_FIXTURE(credentials);

namespace {

asio::awaitable<void> drain(duet::server& server)
{
    auto const report = co_await server.drain(duet_test::run_guard);
    BOOST_TEST(report.aborted == 0U);
}

void serve(bool by_drain)
{
    using documented::echo_lines;
    std::string const certificate_file = duet_test::credentials::certificate();
    std::string const key_file = duet_test::credentials::key();
    asio::io_context context;
    duet::close_report end;
    duet::server_options options;
    options.address = "127.0.0.1";
    options.on_session_end = [&](duet::session_end const& told) { end = told.report; };
    ssl::context credentials{ssl::context::tls_server};
    credentials.use_certificate_chain_file(certificate_file);
    credentials.use_private_key_file(key_file, ssl::context::pem);
    duet::server server{context, options, [&](duet::session peer) { return echo_lines(std::move(peer), credentials); }};

    ssl::context trusted{ssl::context::tls_client};
    trusted.set_default_verify_paths();  // what the system trusts

    trusted.load_verify_file(certificate_file);
    duet_test::run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session peer = co_await connector.connect(server.local_endpoint());
            if (!by_drain)
            {
                std::string const host = "localhost";
                auto const answer = co_await documented::ask(std::move(peer), host, trusted, "hello\n");
                BOOST_TEST(answer == "hello\n");
                co_await drain(server);
                co_return;
            }
            ssl::stream<duet::session> tls{std::move(peer), trusted};
            co_await tls.async_handshake(ssl::stream_base::client, asio::use_awaitable);
            duet_test::started<void> draining{context.get_executor(), drain(server)};
            std::string nothing;
            duet::error_code error;
            auto token = asio::redirect_error(asio::use_awaitable, error);
            co_await asio::async_read_until(tls, asio::dynamic_buffer(nothing), '\n', token);
            BOOST_TEST((error == asio::error::eof));  // close_notify, and not a truncation
            co_await tls.async_shutdown(token);
            co_await tls.next_layer().close();
            co_await draining.result();
        }());
    BOOST_TEST(end.clean());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_conversation_ends_in_the_order_of_the_layers)
{
    serve(false);
}

BOOST_AUTO_TEST_CASE(a_drain_says_close_notify)
{
    serve(true);
}
