// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// TLS that is out of memory at one allocation after the other, those of OpenSSL among them: a session ends with an
// error or goes on, and nothing hangs, leaks, or arrives other than it was sent. A server stays alive.

#define BOOST_TEST_MODULE tls.out_of_memory
#include "session/session_fixture.hpp"
#include "support/adopt.hpp"
#include "support/descriptor.hpp"
#include "support/fd.hpp"
#include "support/raw_peer.hpp"
#include "support/wait.hpp"
#include "tls/lack_of_memory.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/tls_connector.hpp>
#include <duet/tls_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>

using namespace duet_test;

BOOST_TEST_GLOBAL_FIXTURE(openssl_memory);

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

/// What became of one end.
struct outcome
{
    std::string heard;
    std::exception_ptr failure;
    std::optional<duet::close_report> report;

    bool completed() const { return report && report->clean(); }

    /// True if it was told of the lack. OpenSSL does not call each lack by its name.
    bool lacked_memory() const
    {
        if (report && !report->clean())
            return report->error == boost::system::errc::not_enough_memory;
        return failure && (is_of_memory(failure) || is_of_openssl(failure));
    }
};

struct talk_result
{
    outcome server;
    outcome client;
    bool escaped = false;  // Asio had no memory: the exception left run(), and a coroutine is destroyed
    bool has_come = false;
};

std::string const question = pattern(20'000);  // more than fits into the stream
std::string const answer = pattern(6'000, 7);

template <class Session>
asio::awaitable<void> serve(Session peer, outcome& result)
{
    co_await duet::handshake(peer);
    std::string room(question.size(), ' ');
    while (result.heard.size() < question.size())
    {
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (size == 0)
            break;
        result.heard.append(room, 0, size);
    }
    co_await peer.write(answer);
    auto const report = co_await peer.close();
    result.report = report;
}

template <class Session>
asio::awaitable<void> ask(Session peer, outcome& result)
{
    co_await duet::handshake(peer);
    co_await peer.write(asio::buffer(question.data(), 10'000));
    ::SSL_key_update(duet::native_tls(peer), SSL_KEY_UPDATE_REQUESTED);  // the server's read has to answer
    co_await peer.write(asio::buffer(question.data() + 10'000, 10'000));
    std::string room(answer.size(), ' ');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (size == 0)
            break;
        result.heard.append(room, 0, size);
    }
    auto const report = co_await peer.close();
    result.report = report;
}

template <class Session>
void begin(asio::io_context& context, Session server, Session client, talk_result& result)
{
    auto const note = [](outcome& of) { return [&of](std::exception_ptr thrown) { of.failure = std::move(thrown); }; };
    asio::co_spawn(context, serve(std::move(server), result.server), note(result.server));
    asio::co_spawn(context, ask(std::move(client), result.client), note(result.client));
}

/// In memory: it needs nobody else. The streams themselves have no answer to a lack of memory.
talk_result talk_without_openssl_memory(long before)
{
    talk_result result;
    tls_talk talk{4 * 1024};
    begin(talk.context, talk.server(), talk.client(), result);
    {
        lack const here{owner::openssl, before};
        while (talk.time.step())
        {
        }
        result.has_come = here.has_come();
    }
    BOOST_TEST_INFO("it hangs");
    BOOST_TEST(talk.context.stopped());
    return result;
}

talk_result talk_without_memory(long before)
{
    static auto const server_context = duet::tls_context::server(tls_world::get().server_options());
    static auto const client_context = duet::tls_context::client(tls_world::get().client_options());
    no_leaked_descriptors const watched;
    talk_result result;
    asio::io_context context;
    prepare(context);
    tls_pair ends{context, server_context, client_context};
    begin(context, std::move(ends.server), std::move(ends.client), result);
    {
        lack const here{owner::duet, before};
        auto const deadline = guard_clock::now() + run_guard;
        while (!context.stopped() && guard_clock::now() < deadline)
        {
            try
            {
                context.run_until(deadline);
            }
            catch (std::bad_alloc const&)
            {
                result.escaped = true;
            }
        }
        result.has_come = here.has_come();
    }
    BOOST_TEST_INFO("it hangs");
    BOOST_TEST(context.stopped());
    return result;
}

void check(outcome const& of, std::string const& sent)
{
    BOOST_TEST(sent.starts_with(of.heard));
    if (of.completed())
        BOOST_TEST(of.heard.size() == sent.size());
}

std::string text_of(outcome const& of)
{
    if (of.failure)
        return duet::detail::text_of(of.failure);
    return of.report ? std::string{to_string(of.report->reason)} + ", " + of.report->error.message() : "nothing";
}

/// Every `step`th allocation in turn.
void every_one_may_fail(talk_result (*talk)(long), long step)
{
    for (long before = 0;; before += step)
    {
        BOOST_TEST_CONTEXT("allocation " << before)
        {
            auto const result = talk(before);
            check(result.server, question);
            check(result.client, answer);
            bool const both = result.server.completed() && result.client.completed();
            bool const told = result.server.lacked_memory() || result.client.lacked_memory();
            BOOST_TEST_INFO("server: " << text_of(result.server) << ", client: " << text_of(result.client));
            BOOST_TEST((both || told || result.escaped));
            BOOST_TEST(::ERR_peek_error() == 0U);
            if (!result.has_come)
            {
                BOOST_TEST(both);
                BOOST_TEST(before > 20);
                BOOST_TEST_MESSAGE("allocations: " << before);
                return;
            }
        }
    }
}

}  // namespace

// The first engine of all makes what the others share.
BOOST_AUTO_TEST_CASE(a_stream_is_not_made_and_the_next_one_is)
{
    auto const server = duet::tls_context::server(tls_world::get().server_options());
    auto const client = duet::tls_context::client(tls_world::get().client_options());
    for (auto const whose : {owner::openssl, owner::duet})
        for (auto const* const context : {&client, &server})
        {
            long before = 0;
            for (bool made = false; !made; ++before)
                BOOST_TEST_CONTEXT("allocation " << before)
                {
                    BOOST_REQUIRE(before < 1000);
                    simulated_time time;
                    duet::testing::memory_stream below{time.context.get_executor()};
                    std::exception_ptr failure;
                    bool has_come = false;
                    try
                    {
                        lack const here{whose, before};
                        auto const note = [&] { has_come = here.has_come(); };
                        try
                        {
                            memory_tls_stream const stream{std::move(below), *context, "server.test"};
                            note();
                        }
                        catch (...)
                        {
                            note();
                            throw;
                        }
                    }
                    catch (std::exception const&)
                    {
                        failure = std::current_exception();
                    }
                    made = !has_come;
                    BOOST_TEST_INFO((failure ? duet::detail::text_of(failure) : ""));
                    BOOST_TEST((!failure || is_of_memory(failure) || is_of_openssl(failure)));
                    BOOST_TEST((!made || !failure));
                }
            BOOST_TEST(before > 1);
        }
}

BOOST_AUTO_TEST_CASE(sessions_without_memory)
{
    every_one_may_fail(talk_without_memory, 1);
}

BOOST_AUTO_TEST_CASE(sessions_whose_openssl_has_no_memory)
{
    talk_without_openssl_memory(1'000'000);  // OpenSSL makes things that it keeps
    every_one_may_fail(talk_without_openssl_memory, 41);
}

namespace {

asio::awaitable<void> echo(duet::tls_session peer)
{
    std::string room(100, ' ');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(room.data(), size));
    }
}

struct visit
{
    bool answered = false;
    bool ended = false;
};

asio::awaitable<void> ask_server(duet::tls_connector connector, asio::ip::tcp::endpoint at, visit& result)
{
    duet::tls_session peer = co_await connector.connect(at);
    std::string room(5, ' ');
    co_await peer.write("hello");
    co_await peer.read(asio::buffer(room));
    result.answered = room == "hello";
    co_await peer.close();
}

void run_until(asio::io_context& context, bool const& ended, bool& escaped)
{
    auto const deadline = guard_clock::now() + run_guard;
    while (!ended && !escaped && guard_clock::now() < deadline)
    {
        try
        {
            context.restart();
            context.run_one_for(std::chrono::milliseconds{50});
        }
        catch (std::bad_alloc const&)
        {
            escaped = true;
        }
    }
}

/// A client meets a server while an allocation of either fails, and another one does later. False: there were fewer.
bool visit_without_memory(owner whose, long before)
{
    static auto const server_context = duet::tls_context::server(tls_world::get().server_options());
    static auto const client_context = duet::tls_context::client(tls_world::get().client_options());
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::tls_server server{context, {.address = "127.0.0.1"}, server_context, echo};
    auto const begin_visit = [&](visit& of)
    {
        duet::tls_connector by{context, client_context, {}, "server.test"};
        asio::co_spawn(context, ask_server(std::move(by), server.local_endpoint(), of),
            [&of](std::exception_ptr const&) { of.ended = true; });
    };
    visit first;
    visit second;
    bool escaped = false;
    bool has_come = false;
    begin_visit(first);
    {
        lack const here{whose, before};
        run_until(context, first.ended, escaped);
        has_come = here.has_come();
    }
    BOOST_TEST((first.ended || escaped));
    BOOST_TEST((first.answered || has_come));
    escaped = false;
    begin_visit(second);
    run_until(context, second.ended, escaped);
    BOOST_TEST(second.answered);
    server.abort();
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST_INFO("it hangs");
    BOOST_TEST(context.stopped());
    return has_come;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_server_stays_alive)
{
    for (auto const& [whose, step] : {std::pair{owner::duet, 1L}, std::pair{owner::openssl, 53L}})
    {
        long before = 0;
        for (bool more = true; more; before += step)
            BOOST_TEST_CONTEXT("allocation " << before) more = visit_without_memory(whose, before);
        BOOST_TEST(before > 20);
    }
}

#endif
