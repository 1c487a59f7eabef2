// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// fork() copies descriptors: what one process ends, goes on in the other.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.forked
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/forked.hpp"

#include <duet/inherited.hpp>
#include <duet/server.hpp>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using unix_protocol = asio::local::stream_protocol;

namespace {

asio::ip::tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

raw_address address_of(duet::acceptor const& listening)
{
    return raw_address::v4(listening.local_endpoint().port());
}

template <class Acceptor>
asio::awaitable<void> serve_one(Acceptor& listening)
{
    auto session = co_await listening.accept();
    co_await write(session, "served");
    co_await close(session);
}

/// A new client connects at once and is served.
template <class Acceptor>
void require_served(asio::io_context& context, Acceptor& listening, raw_address const& at)
{
    auto client = raw_socket::start_connect(at);
    BOOST_REQUIRE(client.wait_connected() == 0);
    run(context,
        [](Acceptor& from, raw_socket& peer) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<void> serving{executor, serve_one(from)};
            auto const hear = [&]
            {
                auto const heard = peer.recv_all();
                peer.close();
                return heard.data;
            };
            auto const heard = co_await in_thread(hear);
            BOOST_TEST(heard == "served");
            co_await serving.result();
        }(listening, client));
}

/// What a client of a running echo server hears.
std::string echoed(asio::io_context& context, duet::server const& serving, std::string const& text)
{
    auto client = raw_socket::start_connect(raw_address::v4(serving.local_endpoint().port()));
    BOOST_REQUIRE(client.wait_connected() == 0);
    std::string heard;
    run(context,
        [](raw_socket& peer, std::string const& word, std::string& into) -> asio::awaitable<void>
        {
            auto const talk = [&]
            {
                peer.send_all(word);
                peer.shutdown_write();
                auto const all = peer.recv_all();
                peer.close();
                return all.data;
            };
            into = co_await in_thread(talk);
        }(client, text, heard),
        {.leftover = leftover_work::dropped});
    return heard;
}

/// Its handlers fork, and the child destroys it, as exit() does.
asio::io_context static_context;
std::optional<duet::server> static_server;

}  // namespace

BOOST_AUTO_TEST_CASE(a_child_that_closes_or_destroys_its_copy_changes_nothing_for_the_parent)
{
    asio::io_context context;
    std::optional<duet::acceptor> listening{std::in_place, context, loopback};
    auto queued = raw_socket::connect(address_of(*listening));  // the child must not take it
    queued.shutdown_write();
    BOOST_TEST(in_child([&] { listening->close(); }) == 0);
    BOOST_TEST(in_child([&] { listening.reset(); }) == 0);
    BOOST_TEST(in_child(
                   [&]
                   {
                       context.notify_fork(asio::io_context::fork_child);
                       listening->close();
                       context.poll();
                   }) == 0);
    run(context, serve_one(*listening));
    BOOST_TEST(queued.recv_all().data == "served");
    require_served(context, *listening, address_of(*listening));
}

BOOST_AUTO_TEST_CASE(a_child_that_destroys_its_copy_leaves_what_the_parent_has_taken)
{
    asio::io_context context;
    std::optional<duet::acceptor> listening{std::in_place, context, loopback};
    auto first = raw_socket::connect(address_of(*listening));
    auto second = raw_socket::connect(address_of(*listening));
    first.shutdown_write();
    run(context, serve_one(*listening));
    BOOST_TEST(listening->counters().accepted == 2U);
    BOOST_TEST(in_child([&] { listening.reset(); }) == 0);
    {
        auto const session = run(context, listening->accept());
        BOOST_TEST(session.valid());
    }
    BOOST_TEST(second.recv_all().eof());
}

BOOST_AUTO_TEST_CASE(a_child_leaves_the_file_of_a_unix_domain_path)
{
    asio::io_context context;
    auto const path = "/tmp/duet-forked-" + std::to_string(::getpid());
    std::optional<duet::unix_acceptor> listening{std::in_place, context, unix_protocol::endpoint{path}};
    BOOST_TEST(in_child([&] { listening->close(); }) == 0);
    BOOST_TEST(in_child([&] { listening.reset(); }) == 0);
    BOOST_TEST(::access(path.c_str(), F_OK) == 0);
    require_served(context, *listening, raw_address::local(path));
    listening.reset();
    BOOST_TEST(::access(path.c_str(), F_OK) != 0);
}

// A program that binds, forks and lets the parent end; or workers that accept from their parent's listener.
BOOST_AUTO_TEST_CASE(a_child_that_accepts_serves_what_is_queued_when_it_closes)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto first = raw_socket::connect(address_of(listening));
    auto second = raw_socket::connect(address_of(listening));
    first.shutdown_write();
    second.shutdown_write();
    BOOST_TEST(in_child(
                   [&]
                   {
                       context.notify_fork(asio::io_context::fork_child);
                       run(context, serve_one(listening), {.leftover = leftover_work::dropped});
                       listening.close();
                       run(context, serve_one(listening), {.leftover = leftover_work::dropped});
                   }) == 0);
    BOOST_TEST(first.recv_some().data == "served");
    BOOST_TEST(second.recv_some().data == "served");
    require_served(context, listening, address_of(listening));
}

BOOST_AUTO_TEST_CASE(a_parent_that_closes_leaves_no_filter_on_its_childs_copy)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const at = address_of(listening);
    forked_child child;  // holds a copy
    auto served = raw_socket::connect(at);
    served.shutdown_write();
    listening.close();
    run(context, serve_one(listening));  // what was queued is this process's
    BOOST_TEST(served.recv_all().data == "served");
    auto late = raw_socket::start_connect(at);
    BOOST_TEST(late.wait_connected() == 0);  // in the child's queue
    BOOST_TEST(child.end() == 0);
    BOOST_TEST(late.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_close_leaves_no_filter_on_a_copy_that_the_program_made)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    descriptor const copy{::fcntl(listening.native_handle(), F_DUPFD_CLOEXEC, 0)};
    auto const at = address_of(listening);
    listening.close();
    BOOST_TEST(raw_socket::start_connect(at).wait_connected() == 0);
}

BOOST_AUTO_TEST_CASE(a_child_that_drains_aborts_or_destroys_a_server_changes_nothing_for_the_parent)
{
    asio::io_context context;
    std::optional<duet::server> serving{std::in_place, context, on_loopback(), echo};
    auto talking = client_of(*serving);
    serve_until_active(context, *serving, 1);
    auto const drained = [&]
    {
        context.notify_fork(asio::io_context::fork_child);
        run(context, drain(*serving, 0s), {.leftover = leftover_work::dropped});
    };
    BOOST_TEST(in_child(drained) == 0);
    auto const aborted = [&]
    {
        context.notify_fork(asio::io_context::fork_child);
        serving->abort();
        context.poll();
    };
    BOOST_TEST(in_child(aborted) == 0);
    BOOST_TEST(in_child([&] { serving.reset(); }) == 0);
    BOOST_TEST(echoed(context, *serving, "a new client") == "a new client");
    talking.send_all("an old client");
    serve(context, [&] { return unread_bytes(talking.fd()) > 0; });
    BOOST_TEST(talking.recv_some().data == "an old client");
}

// As exit() does with what is static, in a child that has not called notify_fork().
BOOST_AUTO_TEST_CASE(a_child_that_destroys_the_context_changes_nothing_for_the_parent)
{
    auto context = std::make_unique<asio::io_context>();
    std::optional<duet::server> serving{std::in_place, *context, on_loopback(), echo};
    auto first = client_of(*serving);
    auto second = client_of(*serving);  // with two, they wait in duet's epoll
    serve_until_active(*context, *serving, 2);
    auto const destroyed = [&]
    {
        serving.reset();
        context.reset();
    };
    BOOST_TEST(in_child(destroyed) == 0);
    for (auto* const client : {&first, &second})
    {
        client->send_all("still here");
        serve(*context, [&] { return unread_bytes(client->fd()) > 0; });
        BOOST_TEST(client->recv_some().data == "still here");
    }
    BOOST_TEST(echoed(*context, *serving, "a new client") == "a new client");
}

BOOST_AUTO_TEST_CASE(a_child_that_ends_a_session_leaves_the_connection_to_the_parent)
{
    auto const ends = std::vector<std::function<void(asio::io_context&, std::optional<duet::session>&)>>{
        [](asio::io_context&, std::optional<duet::session>& copy) { copy->abort(); },
        [](asio::io_context&, std::optional<duet::session>& copy) { copy.reset(); },
        [](asio::io_context& context, std::optional<duet::session>& copy)
        {
            context.notify_fork(asio::io_context::fork_child);
            auto const report = run(context, close(*copy), {.leftover = leftover_work::dropped});
            if (report.reason != duet::close_reason::dropped)
                throw std::runtime_error{"close() did more than to close"};
        },
    };
    for (auto const& end : ends)
    {
        asio::io_context context;
        auto pair = connected_pair();
        std::optional<duet::session> session{adopt(pair.server, context.get_executor())};
        pair.client.send_all("the parent's");
        BOOST_TEST(in_child([&] { end(context, session); }) == 0);
        auto const heard = run(context, read(*session));
        BOOST_TEST(heard == "the parent's");
        run(context, write(*session, "answer"));
        BOOST_TEST(pair.client.recv_exactly(6) == "answer");
        pair.client.close();
        auto const report = run(context, close(*session));
        BOOST_TEST(report.clean());
    }
}

BOOST_AUTO_TEST_CASE(a_child_that_aborts_a_session_leaves_the_parent_its_fin)
{
    asio::io_context context;
    auto pair = connected_pair();
    std::optional<duet::session> session{adopt(pair.server, context.get_executor())};
    BOOST_TEST(in_child([&] { session->abort(); }) == 0);
    session.reset();
    BOOST_TEST(pair.client.recv_all().eof());
}

BOOST_AUTO_TEST_CASE(a_session_of_the_childs_own_ends_as_ever)
{
    auto pair = connected_pair();
    BOOST_TEST(in_child(
                   [&]
                   {
                       asio::io_context context;
                       auto session = adopt(pair.server, context.get_executor());
                       session.abort();
                   }) == 0);
    pair.server.close();
    BOOST_TEST(pair.client.recv_some().error == ECONNRESET);
}

// The child of a handler calls exit() after exec has failed. The handler's thread is the only one in the child.
BOOST_AUTO_TEST_CASE(a_handlers_child_that_destroys_the_server_changes_nothing_for_the_parent)
{
    for (std::size_t const threads : {1U, 2U})
    {
        auto options = on_loopback();
        options.threads = threads;
        static_context.restart();
        static_server.emplace(static_context, options,
            [](duet::session peer) -> asio::awaitable<void>
            {
                auto const child = ::fork();
                if (child == 0)
                {
                    ::close(STDOUT_FILENO);
                    static_server.reset();
                    ::_exit(0);
                }
                int status = 0;
                ::waitpid(child, &status, 0);
                co_await write(peer, status == 0 ? "it has ended" : "it has failed");
            });
        for (int client = 0; client < 4; ++client)
            BOOST_TEST(echoed(static_context, *static_server, "") == "it has ended");
        static_server.reset();
    }
}
