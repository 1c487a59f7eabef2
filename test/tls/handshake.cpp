// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Handshakes: what they agree on, whom they refuse and what both sides are told of that, and how long they may take.

#define BOOST_TEST_MODULE tls.handshake
#include "tls/tls_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace asio = boost::asio;
using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::tls_condition;

namespace {

using told = std::pair<duet::error_code, std::string>;

struct both_told
{
    told server;
    told client;
    duet::tls_facts server_facts;
    duet::tls_facts client_facts;
    std::optional<duet::error_code> client_read;  // if only the server has failed
};

/// Both shake hands, and a byte goes each way.
asio::awaitable<void> shake(tls_talk& talk, both_told& result)
{
    auto server = talk.server();
    auto client = talk.client();
    started<told> other{talk.context.get_executor(), failure_of(duet::handshake(server))};
    result.client = co_await failure_of(duet::handshake(client));
    if (!result.client.first)
    {
        std::string byte(1, ' ');
        auto read = [](auto& session, std::string& room) -> asio::awaitable<void>
        { co_await session.read(asio::buffer(room)); };
        started<told> reading{talk.context.get_executor(), failure_of(read(client, byte))};
        result.server = co_await other.result();
        if (!result.server.first)
            co_await server.write("x");
        auto const said = co_await reading.result();
        if (said.first)
            result.client_read = said.first;
    }
    else
        result.server = co_await other.result();
    result.server_facts = duet::facts_of(server);
    result.client_facts = duet::facts_of(client);
    server.abort();
    client.abort();
}

both_told shake_hands(tls_talk& talk)
{
    both_told result;
    talk.time.run(shake(talk, result));
    return result;
}

both_told with_certificate(credentials_pem const& who, std::string const& host = "server.test")
{
    tls_talk talk;
    auto options = tls_world::get().server_options();
    options.identity = who.identity();
    talk.server_context = duet::tls_context::server(options);
    talk.host = host;
    return shake_hands(talk);
}

bool ends_with(told const& what, std::string const& text)
{
    BOOST_TEST_MESSAGE(what.second);
    return what.second.ends_with(text);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_agreed)
{
    tls_talk talk;
    auto const result = shake_hands(talk);
    BOOST_TEST(!result.client.first);
    BOOST_TEST(!result.server.first);
    BOOST_TEST(result.client_facts.version == "TLSv1.3");
    BOOST_TEST(result.server_facts.version == "TLSv1.3");
    BOOST_TEST(result.server_facts.host == "server.test");  // SNI
    BOOST_TEST(result.client_facts.subject == "CN=server");
    BOOST_TEST(result.client_facts.verified);
    BOOST_TEST(!result.client_facts.resumed);
    BOOST_TEST(!result.server_facts.verified);
    BOOST_TEST(result.client_facts.certificate == tls_world::get().server.certificate);
    BOOST_TEST(result.server_facts.subject.empty());
    BOOST_TEST(result.server_facts.cipher == result.client_facts.cipher);
}

BOOST_AUTO_TEST_CASE(a_certificate_of_an_authority_between_comes_with_that_ones)
{
    certificate_maker const between{"Authority Between", tls_world::get().authority};
    auto who = between.issue({.subject = "server", .names = "DNS:server.test"});
    auto const alone = with_certificate(who);
    BOOST_TEST((alone.client.first == tls_condition::unknown_issuer));
    BOOST_TEST((alone.server.first == tls_condition::alert));
    who.certificate += between.pem();
    auto const whole = with_certificate(who);
    BOOST_TEST(!whole.client.first);
    BOOST_TEST(!whole.server.first);
    BOOST_TEST(whole.client_facts.verified);
}

BOOST_AUTO_TEST_CASE(an_address_is_verified_as_such)
{
    BOOST_TEST(!with_certificate(tls_world::get().server, "192.0.2.7").client.first);
    auto const other = with_certificate(tls_world::get().server, "192.0.2.8");
    BOOST_TEST((other.client.first == tls_condition::name_mismatch));
}

// A zone says how to reach an address from here. No certificate has one.
BOOST_AUTO_TEST_CASE(an_address_is_verified_without_its_zone)
{
    auto const local = tls_world::get().authority.issue({.subject = "local", .names = "IP:fe80::7"});
    BOOST_TEST(!with_certificate(local, "fe80::7%1").client.first);
    auto const other = with_certificate(local, "fe80::8%1");
    BOOST_TEST((other.client.first == tls_condition::name_mismatch));
}

BOOST_AUTO_TEST_CASE(an_expired_certificate)
{
    auto const& world = tls_world::get();
    auto const old = world.authority.issue({.subject = "old", .names = "DNS:server.test", .from = -7200, .to = -3600});
    auto const result = with_certificate(old);
    BOOST_TEST((result.client.first == tls_condition::certificate_expired));
    BOOST_TEST((result.client.first == tls_condition::certificate));
    BOOST_TEST(!(result.client.first == tls_condition::name_mismatch));
    BOOST_TEST(ends_with(result.client, "handshake memory:a: certificate has expired"));
    // The alert has arrived before the end.
    BOOST_TEST((result.server.first == tls_condition::alert));
    BOOST_TEST(ends_with(result.server, "alert certificate expired"));
}

BOOST_AUTO_TEST_CASE(a_certificate_for_another_name)
{
    auto const result = with_certificate(tls_world::get().server, "other.test");
    BOOST_TEST((result.client.first == tls_condition::name_mismatch));
    BOOST_TEST((result.server.first == tls_condition::alert));
}

BOOST_AUTO_TEST_CASE(an_absolute_name_is_verified_without_its_dot)
{
    auto const result = with_certificate(tls_world::get().server, "server.test.");
    BOOST_TEST(!result.client.first);
    BOOST_TEST(result.server_facts.host == "server.test");
}

BOOST_AUTO_TEST_CASE(a_certificate_that_signs_itself)
{
    auto const result = with_certificate(certificate_maker::self_signed({.subject = "me", .names = "DNS:server.test"}));
    BOOST_TEST((result.client.first == tls_condition::unknown_issuer));
    BOOST_TEST((result.server.first == tls_condition::alert));
}

BOOST_AUTO_TEST_CASE(a_certificate_of_an_unknown_authority)
{
    certificate_maker const stranger{"Stranger"};
    auto const result = with_certificate(stranger.issue({.subject = "server", .names = "DNS:server.test"}));
    BOOST_TEST((result.client.first == tls_condition::unknown_issuer));
}

BOOST_AUTO_TEST_CASE(a_client_may_choose_not_to_verify)
{
    tls_talk talk;
    duet::tls_client_options options;
    options.verify = false;
    talk.client_context = duet::tls_context::client(options);
    auto const result = shake_hands(talk);
    BOOST_TEST(!result.client.first);
    BOOST_TEST(!result.client_facts.verified);
}

BOOST_AUTO_TEST_CASE(a_client_that_verifies_has_to_say_whom)
{
    tls_talk talk;
    talk.host = "";
    BOOST_CHECK_EXCEPTION(talk.client(), boost::system::system_error,
        [](auto const& error) { return error.code() == duet::tls_errc::no_name; });
}

BOOST_AUTO_TEST_CASE(the_trust_of_the_system_is_the_default)
{
    tls_talk talk;
    talk.client_context = duet::tls_context::client();
    auto const result = shake_hands(talk);
    BOOST_TEST((result.client.first == tls_condition::unknown_issuer));
}

BOOST_AUTO_TEST_CASE(protocols_are_chosen_as_the_server_prefers)
{
    for (auto const& [offered, chosen] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"http/1.1", "h2"}, "h2"}, {{"http/1.1"}, "http/1.1"}, {{}, ""}, {{"other"}, "refused"}})
    {
        tls_talk talk;
        auto server = tls_world::get().server_options();
        server.protocols = {"h2", "http/1.1"};
        auto client = tls_world::get().client_options();
        client.protocols = offered;
        talk.server_context = duet::tls_context::server(server);
        talk.client_context = duet::tls_context::client(client);
        auto const result = shake_hands(talk);
        if (chosen == "refused")
        {
            BOOST_TEST((result.client.first == tls_condition::alert));
            BOOST_TEST(ends_with(result.client, "alert no application protocol"));
            continue;
        }
        BOOST_TEST(result.client_facts.protocol == chosen);
        BOOST_TEST(result.server_facts.protocol == chosen);
    }
}

BOOST_AUTO_TEST_CASE(clients_show_certificates)
{
    auto const& world = tls_world::get();
    certificate_maker const stranger{"Stranger"};
    auto const known = world.authority.issue({.subject = "client"});
    auto const unknown = stranger.issue({.subject = "client"});
    using duet::client_certificates;
    auto const shake_with = [&](client_certificates wanted, credentials_pem const* shown)
    {
        tls_talk talk;
        auto server = world.server_options();
        server.clients = wanted;
        server.client_authorities.text = world.authority.pem();
        talk.server_context = duet::tls_context::server(server);
        auto client = world.client_options();
        if (shown)
            client.identity = shown->identity();
        talk.client_context = duet::tls_context::client(client);
        return shake_hands(talk);
    };

    auto const good = shake_with(client_certificates::required, &known);
    BOOST_TEST(!good.server.first);
    BOOST_TEST(good.server_facts.subject == "CN=client");
    BOOST_TEST(good.server_facts.verified);

    auto const none = shake_with(client_certificates::required, nullptr);
    BOOST_TEST((none.server.first == tls_condition::certificate));
    BOOST_REQUIRE(none.client_read);  // in TLS 1.3 the client is ready first
    BOOST_TEST((*none.client_read == tls_condition::alert));

    auto const optional = shake_with(client_certificates::optional, nullptr);
    BOOST_TEST(!optional.server.first);
    BOOST_TEST(!optional.server_facts.verified);

    auto const bad = shake_with(client_certificates::optional, &unknown);
    BOOST_TEST((bad.server.first == tls_condition::unknown_issuer));
    BOOST_REQUIRE(bad.client_read);
    BOOST_TEST((*bad.client_read == tls_condition::alert));
}

BOOST_AUTO_TEST_CASE(sessions_are_resumed_unless_not_wanted)
{
    for (bool const wanted : {true, false})
    {
        auto options = tls_world::get().client_options();
        options.resume = wanted;
        auto const client = duet::tls_context::client(options);
        auto const server = duet::tls_context::server(tls_world::get().server_options());
        for (int i = 0; i < 3; ++i)
        {
            tls_talk talk;
            talk.client_context = client;
            talk.server_context = server;
            auto const result = shake_hands(talk);
            BOOST_TEST(!result.client.first);
            BOOST_TEST(result.client_facts.resumed == (wanted && i > 0));
            BOOST_TEST(result.client_facts.verified);
        }
        tls_talk other;
        other.client_context = client;
        other.server_context = server;
        other.host = "192.0.2.7";
        BOOST_TEST(!shake_hands(other).client_facts.resumed);  // sessions are kept by host
    }
}

// The server of TLS 1.2 does not send another ticket with each resumption.
BOOST_AUTO_TEST_CASE(a_session_of_tls_1_2_is_resumed_more_than_once)
{
    tls_talk talk;
    ::SSL_CTX_set_max_proto_version(talk.server_context.native_handle(), TLS1_2_VERSION);
    for (int i = 0; i < 4; ++i)
    {
        tls_talk next;
        next.client_context = talk.client_context;
        next.server_context = talk.server_context;
        auto const result = shake_hands(next);
        BOOST_TEST(!result.client.first);
        BOOST_TEST(result.client_facts.version == "TLSv1.2");
        BOOST_TEST(result.client_facts.resumed == (i > 0));
        BOOST_TEST(result.client_facts.verified);
    }
}

BOOST_AUTO_TEST_CASE(certificates_are_replaced)
{
    auto const& world = tls_world::get();
    auto const context = duet::tls_context::server(world.server_options());
    tls_talk before;
    before.server_context = context;
    BOOST_TEST(shake_hands(before).client_facts.subject == "CN=server");

    tls_talk during;
    during.server_context = context;
    auto begun = during.server();
    auto next = world.server_options();
    next.identity = world.authority.issue({.subject = "next", .names = "DNS:server.test"}).identity();
    context.replace(next);

    tls_talk after;
    after.server_context = context;
    BOOST_TEST(shake_hands(after).client_facts.subject == "CN=next");

    // What had begun has the old ones, and what cannot be loaded changes nothing.
    BOOST_TEST(duet::facts_of(begun).subject.empty());
    next.identity.key.text = "no key";
    BOOST_CHECK_THROW(context.replace(next), boost::system::system_error);
    tls_talk still;
    still.server_context = context;
    BOOST_TEST(shake_hands(still).client_facts.subject == "CN=next");
    BOOST_CHECK_THROW(context.replace(duet::tls_client_options{}), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE(bad_files_are_named)
{
    auto const refused = [](duet::tls_server_options const& options) -> std::string
    {
        try
        {
            duet::tls_context::server(options);
        }
        catch (boost::system::system_error const& error)
        {
            return error.what();
        }
        return "nothing";
    };
    auto options = tls_world::get().server_options();
    options.identity.certificate = {.file = "/does/not/exist.pem"};
    BOOST_TEST(refused(options).starts_with("/does/not/exist.pem: No such file or directory"));
    options = tls_world::get().server_options();
    options.identity.key.text = "nonsense";
    BOOST_TEST(refused(options).starts_with("key (text): "));
    options = tls_world::get().server_options();
    options.identity.key.text = tls_world::get().authority.issue({.subject = "other"}).key;
    BOOST_TEST(refused(options).starts_with("key (text): key values mismatch"));
    options = {};
    BOOST_TEST(refused(options).starts_with("a TLS server needs a certificate"));
    BOOST_TEST(::ERR_peek_error() == 0u);
}

BOOST_AUTO_TEST_CASE(a_client_that_says_nothing_is_reset_when_the_time_is_over)
{
    tls_talk talk;
    auto options = tls_world::get().server_options();
    options.handshake_timeout = 4s;
    talk.server_context = duet::tls_context::server(options);
    auto const body = [](tls_talk& all) -> asio::awaitable<void>
    {
        auto server = all.server();
        auto peer = all.plain_client();
        auto const before = all.time.now();
        auto const failure = co_await failure_of(duet::handshake(server));
        BOOST_TEST((failure.first == duet::tls_errc::handshake_timed_out));
        BOOST_TEST((failure.first == condition::timed_out));
        BOOST_TEST(ends_with(failure, "handshake memory:b: TLS handshake deadline passed"));
        BOOST_TEST((all.time.now() - before >= 4s && all.time.now() - before < 4100ms));
        BOOST_TEST(peer.has_failed());
    };
    talk.time.run(body(talk));
}

BOOST_AUTO_TEST_CASE(a_cancelled_handshake_ends_the_session)
{
    tls_talk talk;
    auto const body = [](tls_talk& all) -> asio::awaitable<void>
    {
        auto server = all.server();
        auto peer = all.plain_client();
        started<void> shaking{all.context.get_executor(), duet::handshake(server)};
        co_await all.time.pause(1s);
        shaking.cancel();
        auto const failure = co_await failure_of(shaking.result());
        BOOST_TEST((failure.first == condition::cancelled));
        BOOST_TEST(peer.has_failed());
    };
    talk.time.run(body(talk));
}

BOOST_AUTO_TEST_CASE(a_peer_that_finishes_in_a_handshake)
{
    tls_talk talk;
    auto const body = [](tls_talk& all) -> asio::awaitable<void>
    {
        auto server = all.server();
        auto peer = all.plain_client();
        peer.close();
        auto const failure = co_await failure_of(duet::handshake(server));
        BOOST_TEST((failure.first == duet::tls_errc::handshake_cut));
        BOOST_TEST((failure.first == condition::truncated));
    };
    talk.time.run(body(talk));
}

BOOST_AUTO_TEST_CASE(plaintext_before_the_handshake_is_never_data)
{
    tls_talk talk;
    auto const body = [](tls_talk& all) -> asio::awaitable<void>
    {
        auto server = all.server();
        auto peer = all.plain_client();
        duet::error_code error;
        peer.write_some(asio::buffer("GET / HTTP/1.1\r\n\r\n", 18), error);
        auto const failure = co_await failure_of(duet::handshake(server));
        BOOST_TEST((failure.first == tls_condition::protocol));
        BOOST_TEST(ends_with(failure, "http request"));
        std::string room(100, ' ');
        auto read = [](auto& session, std::string& to) -> asio::awaitable<void>
        { co_await session.read_some(asio::buffer(to)); };
        auto const later = co_await failure_of(read(server, room));
        BOOST_TEST(later.first.failed());
        BOOST_TEST(server.bytes_received() == 0u);
    };
    talk.time.run(body(talk));
}

BOOST_AUTO_TEST_CASE(renegotiation_is_refused)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            ::SSL_clear_options(peer.ssl(), SSL_OP_NO_RENEGOTIATION);
            BOOST_TEST(::SSL_renegotiate(peer.ssl()) == 1);
            peer.shakes_hands();
            std::string room(5, ' ');
            auto read = [](auto& session, std::string& to) -> asio::awaitable<void>
            { co_await session.read_some(asio::buffer(to)); };
            started<told> reading{talk.context.get_executor(), failure_of(read(server, room))};
            co_await talk.time.pause(1s);
            peer.hear();
            BOOST_TEST(peer.reason == "no renegotiation");
            server.abort();
            co_await reading.result();
        },
        "1.2");
}

BOOST_AUTO_TEST_CASE(the_first_read_shakes_hands_if_nobody_has)
{
    tls_talk talk;
    auto const body = [](tls_talk& all) -> asio::awaitable<void>
    {
        auto server = all.server();
        auto client = all.client();
        started<std::size_t> writing{all.context.get_executor(), write(client, "hello")};
        std::string room(5, ' ');
        co_await server.read(asio::buffer(room));
        BOOST_TEST(room == "hello");
        co_await writing.result();
        server.abort();
        client.abort();
    };
    talk.time.run(body(talk));
}
