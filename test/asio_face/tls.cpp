// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// TLS over a session: asio::ssl::stream on it, against OpenSSL's own programs. What TLS says at the end (close_notify),
// and what TCP says after it (FIN, not RST).

#define BOOST_TEST_MODULE asio_face.tls
#include <duet/session.hpp>

#include "asio_face/credentials.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/in_thread.hpp"
#include "support/mib.hpp"
#include "support/netns.hpp"
#include "support/process.hpp"
#include "support/started.hpp"
#include "support/wire.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace duet_test;
namespace ssl = asio::ssl;
namespace error = boost::asio::error;
using duet::error_code;

namespace {

// A network of our own, where it is to be had: then what was said is looked at, too.
struct own_network
{
    own_network() { refusal = enter_private_network().refusal; }

    static bool entered() { return refusal.empty(); }

    static inline std::string refusal;
};

ssl::context server_context()
{
    ssl::context result{ssl::context::tls_server};
    result.use_certificate_chain_file(credentials::certificate());
    result.use_private_key_file(credentials::key(), ssl::context::pem);
    return result;
}

ssl::context client_context()
{
    ssl::context result{ssl::context::tls_client};
    result.load_verify_file(credentials::certificate());
    result.set_verify_mode(ssl::verify_peer);
    result.set_verify_callback(ssl::host_name_verification{"localhost"});
    return result;
}

// The versions end differently: up to 1.2 a close_notify ends both directions.
struct version
{
    char const* name;
    char const* option;
};

std::array<version, 2> const versions{{{"TLS 1.3", "-tls1_3"}, {"TLS 1.2", "-tls1_2"}}};

// openssl s_client, to a port or to the path of a Unix-domain socket. It ends when the server does: its stdin stays
// open.
class s_client
{
public:
    s_client(std::vector<std::string> const& where, char const* const version_option)
        : process_{command(where, version_option), child_errors::merged}
    {
    }

    child_process& process() { return process_; }

private:
    static std::vector<std::string> command(std::vector<std::string> const& where, char const* const version_option)
    {
        std::vector<std::string> result{"openssl", "s_client", version_option, "-msg", "-servername", "localhost",
            "-CAfile", credentials::certificate(), "-verify_return_error"};
        result.insert(result.end(), where.begin(), where.end());
        return result;
    }

    child_process process_;
};

// openssl s_server, which answers each line with its reverse. It serves one connection.
class s_server
{
public:
    explicit s_server(char const* const version_option)
        : process_{{"openssl", "s_server", version_option, "-accept", "127.0.0.1:0", "-naccept", "1", "-rev", "-msg",
                       "-key", credentials::key(), "-cert", credentials::certificate()},
              child_errors::merged}
    {
        std::string_view const marker = "ACCEPT ";
        while (auto const line = process_.read_line())
        {
            if (!line->starts_with(marker))
                continue;
            port_ = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
            return;
        }
        throw std::runtime_error{"openssl s_server does not listen"};
    }

    std::uint16_t port() const { return port_; }

    child_process& process() { return process_; }

private:
    child_process process_;
    std::uint16_t port_ = 0;
};

bool contains(std::string const& text, std::string_view const part)
{
    return text.find(part) != std::string::npos;
}

// What is seen of a close_notify that OpenSSL's programs have sent or received (">>>", "<<<").
bool shows_close_notify(std::string const& said, std::string_view const arrow)
{
    for (std::size_t at = said.find("warning close_notify"); at != std::string::npos;
         at = said.find("warning close_notify", at + 1))
    {
        auto const line = said.rfind('\n', at) + 1;
        if (said.compare(line, arrow.size(), arrow) == 0)
            return true;
    }
    return false;
}

template <typename Tls>
asio::awaitable<std::string> read_line(Tls& tls)
{
    std::string buffer;
    auto const size = co_await asio::async_read_until(tls, asio::dynamic_buffer(buffer), '\n', asio::use_awaitable);
    buffer.resize(size);
    co_return buffer;
}

// A conversation with s_client, ended by us in the order of the layers.
template <typename Tls>
asio::awaitable<void> serve(Tls& tls)
{
    co_await tls.async_handshake(ssl::stream_base::server, asio::use_awaitable);
    auto const line = co_await read_line(tls);
    BOOST_TEST(line == "question\n");
    std::string const answer = std::string(1'000'000, 'a') + "\nanswered\n";
    co_await asio::async_write(tls, asio::buffer(answer), asio::use_awaitable);
    co_await tls.async_shutdown(asio::use_awaitable);  // our close_notify, and then the peer's
    duet::close_report const report = co_await tls.next_layer().close();
    BOOST_TEST_INFO(to_string(report.reason));
    BOOST_TEST(report.clean());
}

// What a server makes of what a raw peer does instead of shaking hands.
template <typename Peer>
error_code handshake_with(Peer const& act)
{
    return run(
        [&]() -> asio::awaitable<error_code>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto raw = connected_pair();
            auto context = server_context();
            ssl::stream<duet::session> tls{adopt(raw.client, executor), context};
            act(raw.server);
            error_code code;
            co_await tls.async_handshake(ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, code));
            tls.next_layer().abort();
            co_return code;
        });
}

}  // namespace

BOOST_TEST_GLOBAL_FIXTURE(own_network);
BOOST_TEST_GLOBAL_FIXTURE(credentials);

BOOST_AUTO_TEST_CASE(server_of_s_client)
{
    for (auto const& each : versions)
    {
        BOOST_TEST_CONTEXT(each.name)
        {
            std::optional<wire> capture;
            std::optional<mib> before;
            if (own_network::entered())
            {
                before = mib::now();
                capture.emplace();
            }
            else
            {
                BOOST_TEST_MESSAGE("the segments are not looked at: " << own_network::refusal);
            }
            raw_listener listener;
            s_client client{{"-connect", "127.0.0.1:" + std::to_string(listener.port())}, each.option};
            client.process().write("question\n");
            auto raw = listener.accept();
            auto const port = raw.remote_port();
            auto context = server_context();
            std::string const said = run(
                [&]() -> asio::awaitable<std::string>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    ssl::stream<duet::session> tls{adopt(raw, executor), context};
                    started<void> serving{executor, serve(tls)};
                    auto text = co_await in_thread([&] { return client.process().read_rest(); });
                    co_await serving.result();
                    co_return text;
                });
            BOOST_TEST(client.process().wait().code == 0);
            BOOST_TEST(contains(said, "answered\n"));
            BOOST_TEST(contains(said, "closed"));
            BOOST_TEST(!contains(said, "unexpected eof"));
            BOOST_TEST(!contains(said, "errno"));
            BOOST_TEST(shows_close_notify(said, "<<<"));
            BOOST_TEST(shows_close_notify(said, ">>>"));
            if (capture)
            {
                auto const segments = capture->between(port, listener.port());
                BOOST_TEST(segments.fin_after_last_byte(side::server));
                BOOST_TEST_INFO(segments.dump());
                BOOST_TEST(!segments.has_rst());
                BOOST_TEST(mib::since(*before)["Tcp.OutRsts"] == 0);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(server_of_s_client_over_a_unix_domain_socket)
{
    auto const path = (credentials::directory / "socket").string();
    raw_listener listener{raw_address::local(path)};
    s_client client{{"-unix", path}, versions[0].option};
    client.process().write("question\n");
    auto raw = listener.accept();
    auto context = server_context();
    std::string const said = run(
        [&]() -> asio::awaitable<std::string>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto session = adopt<duet::unix_session>(raw, executor);
            ssl::stream<duet::unix_session&> tls{session, context};
            started<void> serving{executor, serve(tls)};
            auto text = co_await in_thread([&] { return client.process().read_rest(); });
            co_await serving.result();
            co_return text;
        });
    BOOST_TEST(client.process().wait().code == 0);
    BOOST_TEST(contains(said, "answered\n"));
    BOOST_TEST(shows_close_notify(said, "<<<"));
    BOOST_TEST(!contains(said, "errno"));
}

BOOST_AUTO_TEST_CASE(client_of_s_server)
{
    for (auto const& each : versions)
    {
        BOOST_TEST_CONTEXT(each.name)
        {
            s_server server{each.option};
            auto context = client_context();
            auto raw = raw_socket::connect(raw_address::v4(server.port()));
            run(
                [&]() -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    auto session = adopt(raw, executor);
                    ssl::stream<duet::session&> tls{session, context};
                    co_await tls.async_handshake(ssl::stream_base::client, asio::use_awaitable);
                    for (int line = 0; line < 3; ++line)
                    {
                        co_await asio::async_write(tls, asio::buffer("abc\n", 4), asio::use_awaitable);
                        auto const reversed = co_await read_line(tls);
                        BOOST_TEST(reversed == "cba\n");
                    }
                    // s_server answers our close_notify with FIN and none of its own: no truncation, we had finished.
                    error_code end;
                    co_await tls.async_shutdown(asio::redirect_error(asio::use_awaitable, end));
                    BOOST_TEST_INFO(end.message());
                    BOOST_TEST((!end || end == ssl::error::stream_truncated));
                    auto const report = co_await session.close();
                    BOOST_TEST_INFO(to_string(report.reason));
                    BOOST_TEST(report.clean());
                });
            auto const said = server.process().read_rest();
            BOOST_TEST(shows_close_notify(said, "<<<"));
            BOOST_TEST(contains(said, "CONNECTION CLOSED"));
            BOOST_TEST(server.process().wait().code == 0);
        }
    }
}

// The peer is killed: the kernel says FIN for it, but TLS knows better.
BOOST_AUTO_TEST_CASE(p34_truncation_is_not_an_end)
{
    s_server server{versions[0].option};
    auto context = client_context();
    auto raw = raw_socket::connect(raw_address::v4(server.port()));
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            ssl::stream<duet::session> tls{adopt(raw, executor), context};
            co_await tls.async_handshake(ssl::stream_base::client, asio::use_awaitable);
            co_await asio::async_write(tls, asio::buffer("abc\n", 4), asio::use_awaitable);
            auto const line = co_await read_line(tls);
            BOOST_TEST(line == "cba\n");
            server.process().signal(SIGKILL);
            error_code code;
            std::array<char, 64> buffer;
            co_await tls.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, code));
            BOOST_TEST_INFO(code.message());
            BOOST_TEST((code == ssl::error::stream_truncated));
            BOOST_TEST((code == duet::condition::truncated));
            BOOST_TEST((code != duet::condition::ended));
            BOOST_TEST((code != duet::condition::reset));
            // The session below saw an orderly FIN, and ends as well as it can.
            auto const report = co_await tls.next_layer().close();
            BOOST_TEST_INFO(to_string(report.reason));
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(p17_a_reset_is_not_a_truncation)
{
    raw_listener listener;
    s_client client{{"-connect", "127.0.0.1:" + std::to_string(listener.port())}, versions[0].option};
    client.process().write("question\n");
    auto raw = listener.accept();
    auto context = server_context();
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            ssl::stream<duet::session> tls{adopt(raw, executor), context};
            co_await tls.async_handshake(ssl::stream_base::server, asio::use_awaitable);
            auto const line = co_await read_line(tls);
            BOOST_TEST(line == "question\n");
            tls.next_layer().abort();
            error_code code;
            std::array<char, 64> buffer;
            co_await tls.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, code));
            BOOST_TEST_INFO(code.message());
            BOOST_TEST((code == duet::errc::aborted));
        });
    auto const said = client.process().read_rest();
    BOOST_TEST(contains(said, "errno=104"));  // ECONNRESET
    BOOST_TEST(!shows_close_notify(said, "<<<"));
}

// What comes in plain text before the handshake is never taken for TLS data (CVE-2023-40217), and an end before it is
// no end of anything.
BOOST_AUTO_TEST_CASE(p35_no_handshake_with_plain_text)
{
    auto const plain = handshake_with(
        [](raw_socket& peer)
        {
            peer.send_all("GET / HTTP/1.1\r\n\r\n");
            peer.shutdown_write();
        });
    BOOST_TEST_INFO(plain.message());
    BOOST_TEST((plain.category() == error::get_ssl_category()));
    auto const nothing = handshake_with([](raw_socket& peer) { peer.shutdown_write(); });
    BOOST_TEST_INFO(nothing.message());
    BOOST_TEST((nothing == ssl::error::stream_truncated || nothing == error::eof));
    auto const half_a_record = handshake_with(
        [](raw_socket& peer)
        {
            peer.send_all(std::string{"\x16\x03\x01\x02\x00\x01", 6});
            peer.shutdown_write();
        });
    BOOST_TEST_INFO(half_a_record.message());
    BOOST_TEST((half_a_record == ssl::error::stream_truncated));
    auto const gone = handshake_with([](raw_socket& peer) { peer.reset(); });
    BOOST_TEST_INFO(gone.message());
    BOOST_TEST((gone == duet::condition::reset));
    auto const plain_and_gone = handshake_with(
        [](raw_socket& peer)
        {
            peer.send_all("GET / HTTP/1.1\r\n\r\n");
            peer.reset();
        });
    BOOST_TEST_INFO(plain_and_gone.message());
    BOOST_TEST((plain_and_gone.category() == error::get_ssl_category()));
}

// The certificate is not trusted: the handshake fails on both sides, and the session ends well.
BOOST_AUTO_TEST_CASE(p36_a_handshake_that_is_refused)
{
    s_server server{versions[0].option};
    ssl::context context{ssl::context::tls_client};
    context.set_verify_mode(ssl::verify_peer);
    auto raw = raw_socket::connect(raw_address::v4(server.port()));
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            ssl::stream<duet::session> tls{adopt(raw, executor), context};
            error_code code;
            co_await tls.async_handshake(ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, code));
            BOOST_TEST_INFO(code.message());
            BOOST_TEST((code.category() == error::get_ssl_category()));
            co_await tls.next_layer().close();
            BOOST_TEST((tls.next_layer().state() == duet::session_state::closed));
        });
    BOOST_TEST(contains(server.process().read_rest(), "unknown ca"));
}
