// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connecting with TLS: whom a client believes, and what it is told when it does not.

#define BOOST_TEST_MODULE tls.connector
#include "support/coro.hpp"
#include "support/started.hpp"
#include "tls/tls_server_fixture.hpp"

#include <duet/tls_connector.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::tls_condition;
using duet::tls_errc;

namespace {

asio::awaitable<void> echo(duet::tls_session peer)
{
    std::string buffer(4096, '\0');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
    }
}

struct fixture : tls_server_fixture
{
    fixture() { serve(echo); }

    /// The server is somebody else from now on.
    void be(credentials_pem const& somebody)
    {
        auto options = tls_world::get().server_options();
        options.identity = somebody.identity();
        tls.replace(options);
    }

    duet::tls_connector connector(std::string name = "server.test")
    {
        return duet::tls_connector{context, client_context, {.timeout = 5s}, std::move(name)};
    }

    auto endpoint() const { return serving->local_endpoint(); }

    std::string port() const { return std::to_string(endpoint().port()); }

    /// Let the body's coroutine run to its end while the clock goes on.
    template <class Body>
    void play(Body body)
    {
        started<void> playing{context.get_executor(), body()};
        go_on_until([&] { return playing.done(); });
        duet_test::run(context, playing.result(), {.leftover = leftover_work::dropped});
    }

    /// The error of a connect that has to fail.
    asio::awaitable<duet::connect_error> refusal(duet::tls_connector& by)
    {
        std::optional<duet::connect_error> result;
        try
        {
            auto const peer = co_await by.connect(endpoint());
        }
        catch (duet::connect_error const& error)
        {
            result.emplace(error);
        }
        co_return result.value();
    }
};

asio::awaitable<std::string> exchange(duet::tls_session& peer, std::string question)
{
    co_await peer.write(question);
    std::string answer(question.size(), ' ');
    co_await peer.read(asio::buffer(answer));
    co_return answer;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_session_is_ready_when_it_is_handed_out, fixture)
{
    play(
        [&]() -> asio::awaitable<void>
        {
            auto by = connector();
            auto peer = co_await by.connect(endpoint());
            auto const facts = duet::facts_of(peer);
            BOOST_TEST(facts.verified);
            BOOST_TEST(facts.host == "server.test");
            auto const answer = co_await exchange(peer, "hello");
            BOOST_TEST(answer == "hello");
            auto const end = co_await peer.close();
            BOOST_TEST(end.clean());
        });
}

BOOST_FIXTURE_TEST_CASE(the_name_that_was_connected_to_is_expected, fixture)
{
    be(tls_world::get().authority.issue({.subject = "local", .names = "DNS:localhost,IP:127.0.0.1"}));
    play(
        [&]() -> asio::awaitable<void>
        {
            auto by = connector({});
            auto named = co_await by.connect("localhost", port());
            BOOST_TEST(duet::facts_of(named).host == "localhost");
            auto addressed = co_await by.connect("127.0.0.1", port());
            BOOST_TEST(duet::facts_of(addressed).verified);
            auto direct = co_await by.connect(endpoint());
            BOOST_TEST(duet::facts_of(direct).verified);
            co_await named.close();
            co_await addressed.close();
            co_await direct.close();
        });
}

BOOST_FIXTURE_TEST_CASE(a_certificate_that_is_not_good_is_refused_with_its_reason, fixture)
{
    struct one
    {
        credentials_pem server;
        tls_condition expected;
        char const* text;
    };
    certificate_maker const stranger{"A Stranger"};
    auto const& authority = tls_world::get().authority;
    one const all[] = {
        {authority.issue({.subject = "old", .names = "DNS:server.test", .from = -7200, .to = -3600}),
            tls_condition::certificate_expired, "certificate has expired"},
        {authority.issue({.subject = "other", .names = "DNS:other.test"}), tls_condition::name_mismatch,
            "hostname mismatch"},
        {certificate_maker::self_signed({.subject = "self", .names = "DNS:server.test"}), tls_condition::unknown_issuer,
            "self-signed certificate"},
        {stranger.issue({.subject = "strange", .names = "DNS:server.test"}), tls_condition::unknown_issuer,
            "unable to get local issuer certificate"},
    };
    std::size_t failures = 0;
    for (auto const& each : all)
    {
        be(each.server);
        play(
            [&]() -> asio::awaitable<void>
            {
                auto by = connector();
                auto const error = co_await refusal(by);
                BOOST_TEST((error.code() == each.expected));
                BOOST_TEST((error.code() == tls_condition::certificate));
                std::string const text = error.what();
                BOOST_TEST(text.starts_with("connect 127.0.0.1:" + port() + ": "));
                BOOST_TEST_INFO(text);
                BOOST_TEST(text.find(each.text) != std::string::npos);
                BOOST_REQUIRE(error.attempts().size() == 1U);
                BOOST_TEST((error.attempts()[0].error == error.code()));
            });
        until_ended(++failures);  // the server has read the alert
        BOOST_TEST((ends.back().code() == tls_condition::alert));
    }
    BOOST_TEST(serving->counters().handshake_failures == failures);
}

BOOST_FIXTURE_TEST_CASE(whoever_does_not_verify_takes_anybody, fixture)
{
    be(certificate_maker::self_signed({.subject = "self", .names = "DNS:other.test"}));
    client_context.replace(duet::tls_client_options{.verify = false});
    play(
        [&]() -> asio::awaitable<void>
        {
            auto by = connector();
            auto peer = co_await by.connect(endpoint());
            BOOST_TEST(!duet::facts_of(peer).verified);
            co_await peer.close();
        });
}

BOOST_FIXTURE_TEST_CASE(a_server_that_says_nothing_has_its_time, fixture)
{
    tcp::acceptor silent{context, {asio::ip::make_address("127.0.0.1"), 0}};
    auto by = connector();
    started<duet::tls_session> connecting{context.get_executor(), by.connect(silent.local_endpoint())};
    tcp::socket socket{context};
    bool accepted = false;
    silent.async_accept(socket, [&](duet::error_code const&) { accepted = true; });
    until([&] { return accepted && socket.available() > 0; });
    clock.run_ready();
    clock.advance(10s - 2 * tick);
    BOOST_TEST(!connecting.done());
    clock.advance(3 * tick);
    until([&] { return connecting.done(); });
    try
    {
        duet_test::run(context, connecting.result(), {.leftover = leftover_work::dropped});
        BOOST_ERROR("it has connected");
    }
    catch (duet::connect_error const& error)
    {
        BOOST_TEST((error.code() == tls_errc::handshake_timed_out));
        BOOST_TEST((error.code() == condition::timed_out));
    }
}

BOOST_FIXTURE_TEST_CASE(a_connect_is_cancelled_during_the_handshake, fixture)
{
    tcp::acceptor silent{context, {asio::ip::make_address("127.0.0.1"), 0}};
    auto by = connector();
    started<duet::tls_session> connecting{context.get_executor(), by.connect(silent.local_endpoint())};
    tcp::socket socket{context};
    bool accepted = false;
    silent.async_accept(socket, [&](duet::error_code const&) { accepted = true; });
    until([&] { return accepted && socket.available() > 0; });
    connecting.cancel();
    until([&] { return connecting.done(); });
    duet_test::run(
        context, expect_error(connecting.result(), condition::cancelled), {.leftover = leftover_work::dropped});
}

BOOST_FIXTURE_TEST_CASE(a_failed_handshake_is_tried_again, fixture)
{
    be(tls_world::get().authority.issue({.subject = "other", .names = "DNS:other.test"}));
    play(
        [&]() -> asio::awaitable<void>
        {
            auto by = connector();
            std::size_t tries = 0;
            by.on_retry(
                [&](duet::connect_retry const& retry)
                {
                    ++tries;
                    BOOST_TEST((retry.error.code() == tls_condition::name_mismatch));
                    be(tls_world::get().server);
                });
            duet::retry_options const retry{.delays = {.initial = 10ms, .maximum = 10ms}};
            auto peer = co_await by.connect(endpoint(), retry);
            BOOST_TEST(tries == 1U);
            co_await peer.close();
        });
}

BOOST_FIXTURE_TEST_CASE(a_later_connect_resumes, fixture)
{
    play(
        [&]() -> asio::awaitable<void>
        {
            auto by = connector();
            for (bool const again : {false, true})
            {
                auto peer = co_await by.connect(endpoint());
                BOOST_TEST(duet::facts_of(peer).resumed == again);
                auto const answer = co_await exchange(peer, "the ticket comes with the answer");
                BOOST_TEST(answer.size() == 32U);
                co_await peer.close();
            }
        });
}

BOOST_FIXTURE_TEST_CASE(a_connection_is_kept, fixture)
{
    play(
        [&]() -> asio::awaitable<void>
        {
            duet::tls_kept_connection kept{connector(), endpoint(), {.initial = 1ms, .maximum = 1ms}};
            int times = 0;
            auto const handler = [&](duet::tls_session& peer, duet::kept_trial& trial) -> asio::awaitable<bool>
            {
                trial.succeeded();
                auto const answer = co_await exchange(peer, "again");
                BOOST_TEST(answer == "again");
                co_return ++times < 3;
            };
            co_await kept.run(handler);
            BOOST_TEST(times == 3);
        });
}

BOOST_FIXTURE_TEST_CASE(a_context_for_servers_is_refused, fixture)
{
    BOOST_CHECK_THROW((duet::tls_connector{context, tls}), duet::session_error);
}
