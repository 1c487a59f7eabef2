// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session over a Unix-domain socket: the same life, with the names and the deadlines of this kind.

#define BOOST_TEST_MODULE session.unix_domain
#include <duet/session.hpp>

#include "session/unix_domain_fixture.hpp"
#include "support/fd.hpp"
#include "support/in_thread.hpp"
#include "support/started.hpp"

#include <boost/asio/local/connect_pair.hpp>
#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <stdlib.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace duet_test::unix_domain;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using unix_protocol = asio::local::stream_protocol;

namespace {

class temporary_directory
{
public:
    temporary_directory() : path_{(std::filesystem::temp_directory_path() / "duet-unix-XXXXXX").string()}
    {
        if (::mkdtemp(path_.data()) == nullptr)
            throw_errno("mkdtemp");
    }

    ~temporary_directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;

    std::string file(std::string_view const name) const { return path_ + '/' + std::string{name}; }

private:
    std::string path_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(a_whole_conversation)

namespace {

// The client asks, says FIN, and reads the answer and the server's FIN behind it.
asio::awaitable<void> ask(duet::unix_session& session)
{
    co_await write(session, "b\na\n");
    co_await session.shutdown_send();
    BOOST_TEST((session.state() == duet::session_state::half_closed_local));
    auto const answer = co_await session.read_all(100);
    BOOST_TEST(answer == "a\nb\n");
    auto const report = co_await session.close();
    BOOST_TEST_INFO(to_string(report.reason));
    BOOST_TEST((report.reason == duet::close_reason::clean));
    BOOST_TEST(report.bytes_sent == 4U);
    BOOST_TEST(report.bytes_received == 4U);
    BOOST_TEST(report.bytes_unacknowledged == 0U);
}

asio::awaitable<void> answer(duet::unix_session& session)
{
    auto const question = co_await session.read_all(100);
    BOOST_TEST(question == "b\na\n");
    BOOST_TEST((session.state() == duet::session_state::half_closed_remote));
    co_await write(session, "a\nb\n");
    auto const report = co_await session.close();
    BOOST_TEST_INFO(to_string(report.reason));
    BOOST_TEST((report.reason == duet::close_reason::clean));
}

}  // namespace

BOOST_AUTO_TEST_CASE(between_two_sessions_over_a_socket_pair)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    unix_protocol::socket one{context};
    unix_protocol::socket other{context};
    asio::local::connect_pair(one, other);
    duet::unix_session client{std::move(one)};
    duet::unix_session server{std::move(other)};
    BOOST_TEST(
        duet::stream_traits<duet::unix_session::stream_type>::describe(client.remote_endpoint()) == "unix:(unnamed)");
    run_all(context, {}, ask(client), answer(server));
    BOOST_TEST((client.state() == duet::session_state::closed));
    BOOST_TEST((server.state() == duet::session_state::closed));
}

BOOST_AUTO_TEST_CASE(by_path_and_by_abstract_name)
{
    temporary_directory const directory;
    for (auto const& name : {directory.file("socket"), abstract_name()})
    {
        asio::io_context context;
        raw_pair raw = connected_pair(raw_address::local(name));
        auto client = adopt<duet::unix_session>(raw.client, context.get_executor());
        auto server = adopt<duet::unix_session>(raw.server, context.get_executor());
        BOOST_TEST(client.remote_endpoint().path() == name);
        BOOST_TEST(client.local_endpoint().path() == "");
        BOOST_TEST(server.local_endpoint().path() == name);
        run_all(context, {}, ask(client), answer(server));
        BOOST_TEST(client.remote_endpoint().path() == name);  // still known
    }
}

BOOST_AUTO_TEST_CASE(p04_8_mib_and_the_end_behind_them)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            std::string const text(long_stream, 'x');
            started<std::size_t> writing{executor, write(p.session, text)};
            co_await settle();
            started<void> finishing{executor, shutdown_send(p.session)};
            co_await settle();
            BOOST_TEST(!finishing.done());
            co_await expect_error(write(p.session, "late"), duet::errc::send_finished);
            auto const got = co_await in_thread([&] { return p.peer.recv_all(); });
            BOOST_TEST(got.error == 0);
            BOOST_TEST((got.data == text));
            auto const size = co_await writing.result();
            BOOST_TEST(size == long_stream);
            co_await finishing.result();
            co_await p.session.shutdown_send();  // P13
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(an_error_names_its_peer)
{
    using traits = duet::stream_traits<duet::unix_session::stream_type>;
    BOOST_TEST(traits::describe(unix_protocol::endpoint{"/run/duet"}) == "unix:/run/duet");
    BOOST_TEST(traits::describe(unix_protocol::endpoint{std::string{"\0duet", 5}}) == "unix:@duet");
    BOOST_TEST(traits::describe(unix_protocol::endpoint{}) == "unix:(unnamed)");
    run(
        [&]() -> asio::awaitable<void>
        {
            temporary_directory const directory;
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor, {}, directory.file("socket")};
            p.session.abort();
            std::string what;
            try
            {
                co_await read(p.session);
            }
            catch (duet::session_error const& failure)
            {
                what = failure.what();
            }
            BOOST_TEST_INFO(what);
            BOOST_TEST(what.starts_with("read_some unix:" + directory.file("socket") + ": "));
        });
}

BOOST_AUTO_TEST_CASE(what_only_tcp_has)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::session_options options;
            options.send_buffer_size = 32 * 1024;  // this one it has
            pair_of p{executor, options};
            duet::error_code code;
            auto const info = p.session.tcp_info(code);
            BOOST_TEST((code == error::operation_not_supported));
            BOOST_TEST((info.state == duet::tcp_state::unknown));
            int size = 0;
            socklen_t length = sizeof size;
            checked(::getsockopt(p.session.native_handle(), SOL_SOCKET, SO_SNDBUF, &size, &length), "SO_SNDBUF");
            BOOST_TEST(size == 2 * options.send_buffer_size);  // Linux doubles it
            // A dead_peer timeout means nothing here, and does no harm.
            duet::deadlines limits;
            limits.dead_peer = 3s;
            p.session.set_deadlines(limits);
            co_await write(p.session, "still here");
            BOOST_TEST(p.peer.recv_exactly(10) == "still here");
            p.session.abort();
            p.session.tcp_info(code);
            BOOST_TEST((code == error::bad_descriptor));
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(deadlines)

BOOST_AUTO_TEST_CASE(of_a_read_and_of_a_write)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::deadlines limits;
            limits.read = 50ms;
            limits.write = 50ms;
            pair_of p{executor, with(limits)};
            co_await expect_error(read(p.session), duet::errc::read_timed_out);
            p.peer.send_all("late");
            auto const text = co_await read(p.session);  // it stays usable
            BOOST_TEST(text == "late");
            co_await expect_error(write(p.session, std::string(long_stream, 'x')), duet::errc::write_timed_out);
            co_await expect_error(write(p.session, "x"), duet::errc::send_poisoned);
        });
}

BOOST_AUTO_TEST_CASE(p07_of_an_idle_and_of_a_half_closed_session)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::deadlines idle;
            idle.idle = 50ms;
            duet::deadlines half_closed;
            half_closed.half_closed = 50ms;
            pair_of p{executor, with(idle)};
            pair_of q{executor, with(half_closed)};
            co_await q.session.shutdown_send();
            co_await expect_error(read(p.session), duet::errc::idle_timed_out);
            co_await expect_error(read(q.session), duet::errc::half_closed_timed_out);
            BOOST_TEST(p.peer.recv_some().eof());
            BOOST_TEST(p.peer.send_some("x").error == EPIPE);
            BOOST_TEST(q.peer.send_some("x").error == EPIPE);
        });
}

BOOST_AUTO_TEST_CASE(p30_of_close)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::deadlines limits;
            limits.close = 50ms;
            pair_of p{executor, with(limits)};
            auto const report = co_await p.session.close();
            BOOST_TEST((report.reason == duet::close_reason::timed_out));
            BOOST_TEST((report.error == duet::errc::close_timed_out));
            BOOST_TEST(p.peer.send_some("x").error == EPIPE);

            // It has finished, but never reads our last words.
            pair_of q{executor, with(limits)};
            co_await write(q.session, "last words");
            q.peer.shutdown_write();
            auto const other = co_await q.session.close();
            BOOST_TEST_INFO(to_string(other.reason));
            BOOST_TEST((other.reason == duet::close_reason::timed_out));
            BOOST_TEST(other.bytes_unacknowledged > 0U);
        });
}

BOOST_AUTO_TEST_SUITE_END()
