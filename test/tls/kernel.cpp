// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// TLS on sockets of the kernel, in Asio's reactor and in duet's, with peers that others have written; and relays.

#define BOOST_TEST_MODULE tls.kernel
#include "session/session_fixture.hpp"
#include "support/process.hpp"
#include "tls/certificates.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/relay.hpp>
#include <duet/tls.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>

using namespace duet_test;
using asio::ip::tcp;

namespace {

/// The text of PEMs in files, for programs that want them there.
class files
{
public:
    files()
    {
        std::string name = (std::filesystem::temp_directory_path() / "duet-tls-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error{"mkdtemp"};
        directory_ = name;
        put("authority.pem", tls_world::get().authority.pem());
        put("server.pem", tls_world::get().server.certificate + tls_world::get().server.key);
    }

    ~files()
    {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    files(files const&) = delete;
    files& operator=(files const&) = delete;

    std::string path(std::string const& name) const { return (directory_ / name).string(); }

private:
    void put(std::string const& name, std::string const& text) const { std::ofstream{path(name)} << text; }

    std::filesystem::path directory_;
};

duet::tls_context server_context()
{
    return duet::tls_context::server(tls_world::get().server_options());
}

duet::tls_context client_context()
{
    return duet::tls_context::client(tls_world::get().client_options());
}

/// A session on a socket that is connected, as an acceptor or a connector will make it.
duet::tls_session secure(tcp::socket socket, duet::tls_context const& context, std::string host = {})
{
    auto const local = socket.local_endpoint();
    auto const remote = socket.remote_endpoint();
    duet::session_options const options;
    socket.non_blocking(true);
    auto& io = static_cast<asio::io_context&>(asio::query(socket.get_executor(), asio::execution::context));
    prepare(io);
    descriptor own{socket.release()};
    auto made = duet::detail::tls_access::begin<duet::tls_session>(
        io.get_executor(), own.get(), local, remote, options, context, std::move(host));
    own.release();
    return made;
}

struct connected_ends
{
    explicit connected_ends(asio::any_io_executor const& executor) : near{executor}, far{executor}
    {
        tcp::acceptor listener{executor, {asio::ip::address_v4::loopback(), 0}};
        far.connect(listener.local_endpoint());
        near = listener.accept();
    }

    tcp::socket near;
    tcp::socket far;
};

/// The two sessions of a connection, before their handshake.
struct secure_ends
{
    explicit secure_ends(asio::any_io_executor const& executor, std::string host = "server.test")
        : secure_ends{connected_ends{executor}, std::move(host)}
    {
    }

    secure_ends(connected_ends ends, std::string host)
        : server{secure(std::move(ends.near), server_context())}, client{secure(std::move(ends.far), client_context(),
                                                                      std::move(host))}
    {
    }

    duet::tls_session server;
    duet::tls_session client;
};

asio::awaitable<void> shake_hands(secure_ends& of)
{
    auto const executor = co_await asio::this_coro::executor;
    started<void> shaking{executor, duet::handshake(of.server)};
    co_await duet::handshake(of.client);
    co_await shaking.result();
}

asio::awaitable<void> echo(duet::tls_session& peer)
{
    std::string room(65536, ' ');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(room, size));
    }
    co_await peer.shutdown_send();
}

asio::awaitable<std::string> read_all(duet::tls_session& peer)
{
    auto all = co_await peer.read_all(std::size_t{1} << 26);
    co_return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(bulk_goes_both_ways_at_once)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            secure_ends ends{executor};
            co_await shake_hands(ends);
            auto& [server, client] = ends;
            BOOST_TEST(duet::facts_of(client).version == "TLSv1.3");

            auto const data = pattern(5'000'000);
            started<void> echoing{executor, echo(server)};
            started<std::size_t> writing{executor, write(client, data)};
            std::string back(data.size(), ' ');
            co_await client.read(asio::buffer(back));
            BOOST_TEST((back == data));
            co_await writing.result();
            co_await client.shutdown_send();
            co_await echoing.result();
            auto const size = co_await client.read_some(asio::buffer(back));
            BOOST_TEST(size == 0u);
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
            auto const other = co_await server.close();
            BOOST_TEST(other.clean());
        }());
}

// The engine takes so many with pauses, and no event of the socket tells that there are more.
BOOST_AUTO_TEST_CASE(a_read_goes_on_behind_many_updates_of_the_keys)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            secure_ends ends{executor};
            co_await shake_hands(ends);
            auto& [server, client] = ends;
            auto* const tls = duet::native_tls(client);
            for (int i = 0; i < 5000; ++i)
            {
                BOOST_REQUIRE(::SSL_key_update(tls, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
                BOOST_REQUIRE(::SSL_do_handshake(tls) == 1);
            }
            started<std::size_t> writing{executor, write(client, "at last")};
            std::string room(7, ' ');
            co_await server.read(asio::buffer(room));
            BOOST_TEST(room == "at last");
            co_await writing.result();
            started<duet::close_report> closing{executor, close(client)};
            auto const report = co_await server.close();
            BOOST_TEST(report.clean());
            auto const other = co_await closing.result();
            BOOST_TEST(other.clean());
        }());
}

BOOST_AUTO_TEST_CASE(a_refused_server_always_gets_the_alert)
{
    for (int i = 0; i < 20; ++i)
    {
        asio::io_context context;
        run(context,
            []() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                secure_ends ends{executor, "other.test"};
                auto& [server, client] = ends;
                started<void> shaking{executor, duet::handshake(server)};
                auto const mine = co_await failure_of(duet::handshake(client));
                auto const theirs = co_await failure_of(shaking.result());
                BOOST_TEST((mine.first == duet::tls_condition::name_mismatch));
                BOOST_TEST((theirs.first == duet::tls_condition::alert));
                BOOST_TEST((client.state() == duet::session_state::closed));
                BOOST_TEST((server.state() == duet::session_state::closed));
            }());
    }
}

BOOST_AUTO_TEST_CASE(openssl_s_client_speaks_and_finishes)
{
    files const pem;
    for (std::string const version : {"-tls1_2", "-tls1_3"})
    {
        asio::io_context context;
        run(context,
            [](files const& where, std::string const& option) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                tcp::acceptor listener{executor, {asio::ip::address_v4::loopback(), 0}};
                auto const port = std::to_string(listener.local_endpoint().port());
                child_process client{{"openssl", "s_client", "-quiet", "-verify_quiet", "-verify_return_error", option,
                                         "-CAfile", where.path("authority.pem"), "-verify_hostname", "server.test",
                                         "-connect", "127.0.0.1:" + port},
                    child_errors::merged};
                client.write("hello\n");
                auto socket = co_await listener.async_accept(asio::use_awaitable);
                auto server = secure(std::move(socket), server_context());
                co_await duet::handshake(server);
                std::string line(6, ' ');
                co_await server.read(asio::buffer(line));
                BOOST_TEST(line == "hello\n");
                co_await server.write("and good bye\n");
                auto const report = co_await server.close();
                BOOST_TEST(report.clean());
                auto const said = co_await in_thread([&] { return client.read_rest(); });
                BOOST_TEST(said.find("and good bye\n") != std::string::npos);
                BOOST_TEST(client.wait().code == 0);
            }(pem, version));
    }
}

BOOST_AUTO_TEST_CASE(pythons_server_is_talked_to_and_half_closes)
{
    files const pem;
    std::string const script = R"(
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
raw, _ = listener.accept()
peer = context.wrap_socket(raw, server_side=True)
total = 0
while True:
    data = peer.recv(65536)
    if not data:
        break
    total += len(data)
peer.sendall(b'%d bytes' % total)
peer.unwrap()
)";
    asio::io_context context;
    run(context,
        [](files const& where, std::string const& text) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            child_process server{{"python3", "-c", text, where.path("server.pem")}};
            auto const port = co_await in_thread([&] { return server.read_line(); });
            tcp::socket socket{executor};
            socket.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port.value()))});
            auto client = secure(std::move(socket), client_context(), "server.test");
            co_await duet::handshake(client);
            auto const data = pattern(300'000);
            co_await client.write(data);
            co_await client.shutdown_send();
            auto const answer = co_await client.read_all(100);
            BOOST_TEST(answer == "300000 bytes");
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
            BOOST_TEST(server.wait().code == 0);
        }(pem, script));
}

BOOST_AUTO_TEST_CASE(a_relay_from_tls_to_tcp_passes_each_end_on)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            secure_ends front{executor};
            co_await shake_hands(front);
            auto& [server, client] = front;
            connected_ends back{executor};
            duet::session to_backend{std::move(back.far)};
            duet::session backend{std::move(back.near)};
            started<duet::relay_report> relaying{executor, duet::relay(server, to_backend)};

            auto const data = pattern(200'000);
            started<std::size_t> writing{executor, write(client, data)};
            std::string there(data.size(), ' ');
            co_await backend.read(asio::buffer(there));
            BOOST_TEST((there == data));
            co_await writing.result();
            co_await client.shutdown_send();
            auto const end = co_await backend.read_some(asio::buffer(there));
            BOOST_TEST(end == 0u);  // and the other direction goes on
            started<std::string> reading{executor, read_all(client)};
            co_await backend.write(data);
            co_await backend.shutdown_send();
            auto const answer = co_await reading.result();
            BOOST_TEST((answer == data));
            auto const report = co_await relaying.result();
            BOOST_TEST(report.forward.finished);
            BOOST_TEST(report.backward.finished);
            BOOST_TEST(report.first.clean());
            BOOST_TEST(report.second.clean());
            co_await client.close();
            co_await backend.close();
        }());
}

BOOST_AUTO_TEST_CASE(a_relay_from_tls_to_tls)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            secure_ends front{executor};
            secure_ends back{executor};
            auto& [server, client] = front;
            auto& [backend, to_backend] = back;
            started<duet::relay_report> relaying{executor, duet::relay(server, to_backend)};  // shakes hands, too
            started<void> echoing{executor, echo(backend)};
            co_await client.write("hello");
            co_await client.shutdown_send();
            auto const answer = co_await client.read_all(100);
            BOOST_TEST(answer == "hello");
            co_await echoing.result();
            auto const report = co_await relaying.result();
            BOOST_TEST(report.first.clean());
            BOOST_TEST(report.second.clean());
            co_await client.close();
            co_await backend.close();
        }());
}

BOOST_AUTO_TEST_CASE(the_socket_may_move_to_asios_reactor_under_way)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            secure_ends ends{executor};
            auto& [server, client] = ends;
            started<void> echoing{executor, echo(server)};
            co_await client.write("before");
            std::string room(6, ' ');
            co_await client.read(asio::buffer(room));
            BOOST_TEST(room == "before");
            BOOST_TEST(server.lowest_layer().is_open());  // while a read waits
            co_await client.write("behind");
            co_await client.read(asio::buffer(room));
            BOOST_TEST(room == "behind");
            co_await client.shutdown_send();
            co_await echoing.result();
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
            co_await server.close();
        }());
}
