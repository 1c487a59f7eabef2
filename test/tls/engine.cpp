// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The engine alone: bytes in, bytes out, at every split of the input.

#define BOOST_TEST_MODULE tls.engine
#include "tls/certificates.hpp"

#include <duet/detail/tls/tls_engine.hpp>
#include <duet/tls_context.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

namespace asio = boost::asio;
using duet::error_code;
using duet::detail::tls_engine;

namespace {

/// What one engine has said and the other may take: up to `split` at once, the rest later.
class wire final : public duet::detail::tls_source
{
public:
    std::size_t take(asio::mutable_buffer buffer, error_code& error) noexcept override
    {
        auto const size = std::min({buffer.size(), bytes.size(), allowed});
        error = size > 0 ? error_code{} : end;
        std::memcpy(buffer.data(), bytes.data(), size);
        bytes.erase(0, size);
        allowed -= size;
        most_taken = std::max(most_taken, size);
        return size;
    }

    std::string bytes;
    std::size_t allowed = static_cast<std::size_t>(-1);
    error_code end = asio::error::would_block;
    std::size_t most_taken = 0;
};

struct both
{
    duet_test::certificate_maker authority;
    duet::tls_context server_context = make_server(authority);
    duet::tls_context client_context = make_client(authority);
    tls_engine server{server_context.settings(), {}};
    tls_engine client{client_context.settings(), "server.test"};
    wire to_server;
    wire to_client;

    static duet::tls_context make_server(duet_test::certificate_maker const& authority)
    {
        duet::tls_server_options options;
        options.identity = authority.issue({.subject = "server", .names = "DNS:server.test"}).identity();
        return duet::tls_context::server(options);
    }

    static duet::tls_context make_client(duet_test::certificate_maker const& authority)
    {
        duet::tls_client_options options;
        options.authorities.text = authority.pem();
        return duet::tls_context::client(options);
    }

    static void carry(tls_engine& from, wire& to)
    {
        auto const output = from.output();
        to.bytes.append(static_cast<char const*>(output.data()), output.size());
        from.sent(output.size());
    }

    void shake_hands()
    {
        for (int i = 0; i < 10 && (server.handshaking() || client.handshaking()); ++i)
        {
            client.shake_hands(to_client);
            carry(client, to_server);
            server.shake_hands(to_server);
            carry(server, to_client);
        }
        BOOST_REQUIRE(server.open());
        BOOST_REQUIRE(client.open());
    }

    static std::string read(tls_engine& from, wire& source, error_code& error)
    {
        std::string room(100'000, ' ');
        room.resize(from.read(source, asio::buffer(room), error));
        return room;
    }

    static void write(tls_engine& to, std::string const& text)
    {
        asio::const_buffer const buffer = asio::buffer(text);
        error_code error;
        BOOST_TEST(to.write({&buffer, 1}, error) == text.size());
        BOOST_TEST(!error);
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(bytes_go_both_ways_and_close_notify_is_the_end)
{
    both t;
    t.shake_hands();
    both::write(t.client, "question");
    both::carry(t.client, t.to_server);
    error_code error;
    BOOST_TEST(both::read(t.server, t.to_server, error) == "question");
    BOOST_TEST(both::read(t.server, t.to_server, error).empty());
    BOOST_TEST((error == asio::error::would_block));
    t.client.finish();
    both::carry(t.client, t.to_server);
    BOOST_TEST(t.server.readable(t.to_server));
    BOOST_TEST(both::read(t.server, t.to_server, error).empty());
    BOOST_TEST((error == asio::error::eof));
    BOOST_TEST(t.server.ended());
    both::write(t.server, "answer");
    both::carry(t.server, t.to_client);
    BOOST_TEST(both::read(t.client, t.to_client, error) == "answer");
}

BOOST_AUTO_TEST_CASE(the_handshake_and_data_come_right_at_every_split)
{
    std::size_t total = 0;
    {
        both t;
        t.client.shake_hands(t.to_client);
        both::carry(t.client, t.to_server);
        total = t.to_server.bytes.size();
    }
    for (std::size_t split = 0; split <= total; split += split < 16 ? 1 : 13)
    {
        both t;
        t.client.shake_hands(t.to_client);
        both::carry(t.client, t.to_server);
        t.to_server.allowed = split;
        t.server.shake_hands(t.to_server);
        BOOST_TEST(t.server.handshaking());
        t.to_server.allowed = static_cast<std::size_t>(-1);
        t.shake_hands();
    }

    both t;
    t.shake_hands();
    std::size_t const lengths[] = {1, 5, 100};
    for (auto const length : lengths)
    {
        std::size_t size = 1000;
        for (std::size_t split = 0; split <= size; ++split)
        {
            both::write(t.client, std::string(length, 'x'));
            both::write(t.client, std::string(length, 'y'));
            both::carry(t.client, t.to_server);
            size = t.to_server.bytes.size();
            t.to_server.allowed = split;
            error_code error;
            auto text = both::read(t.server, t.to_server, error);
            BOOST_TEST(t.server.readable(t.to_server) == false);
            t.to_server.allowed = static_cast<std::size_t>(-1);
            text += both::read(t.server, t.to_server, error);
            BOOST_TEST(text == std::string(length, 'x') + std::string(length, 'y'));
        }
    }
}

BOOST_AUTO_TEST_CASE(every_cut_is_told_as_what_it_is)
{
    both t;
    t.shake_hands();
    both::write(t.client, "12345");
    both::carry(t.client, t.to_server);
    t.to_server.end = asio::error::eof;
    error_code error;
    BOOST_TEST(both::read(t.server, t.to_server, error) == "12345");
    BOOST_TEST(both::read(t.server, t.to_server, error).empty());
    BOOST_TEST((error == duet::tls_errc::truncated));
    // The other direction goes on.
    both::write(t.server, "still");
    both::carry(t.server, t.to_client);
    BOOST_TEST(both::read(t.client, t.to_client, error) == "still");
    t.to_client.end = asio::error::connection_reset;
    BOOST_TEST(both::read(t.client, t.to_client, error).empty());
    BOOST_TEST((error == asio::error::connection_reset));
}

BOOST_AUTO_TEST_CASE(a_changed_byte_is_never_taken)
{
    both t;
    t.shake_hands();
    both::write(t.client, "12345");
    both::carry(t.client, t.to_server);
    t.to_server.bytes[8] ^= 1;
    error_code error;
    BOOST_TEST(both::read(t.server, t.to_server, error).empty());
    BOOST_TEST((error == duet::tls_condition::protocol));
    BOOST_TEST(t.server.unsent() > 0u);  // the alert
    both::carry(t.server, t.to_client);
    BOOST_TEST(both::read(t.client, t.to_client, error).empty());
    BOOST_TEST((error == duet::tls_condition::alert));
    BOOST_TEST(::ERR_peek_error() == 0u);
}

BOOST_AUTO_TEST_CASE(one_write_takes_no_more_than_a_batch)
{
    both t;
    t.shake_hands();
    std::string const data(1'000'000, 'x');
    asio::const_buffer const buffer = asio::buffer(data);
    error_code error;
    BOOST_TEST(t.server.write({&buffer, 1}, error) == tls_engine::batch);
    BOOST_TEST(t.server.unsent() < tls_engine::most_unsent);
}

BOOST_AUTO_TEST_CASE(small_buffers_share_a_record)
{
    both t;
    t.shake_hands();
    both::write(t.server, std::string(200, 'x'));
    auto const one = t.server.unsent();
    t.server.sent(one);
    std::string const half(100, 'x');
    asio::const_buffer const parts[] = {asio::buffer(half), asio::buffer(half)};
    error_code error;
    BOOST_TEST(t.server.write(parts, error) == 200u);
    BOOST_TEST(t.server.unsent() == one);
}

BOOST_AUTO_TEST_CASE(a_peer_that_asks_and_never_takes_the_answers_is_not_read_any_more)
{
    both t;
    t.shake_hands();
    error_code error;
    std::size_t rounds = 0;
    for (; rounds < 10'000 && !t.server.congested(); ++rounds)
    {
        ::SSL_key_update(t.client.native(), SSL_KEY_UPDATE_REQUESTED);
        both::write(t.client, "x");
        both::carry(t.client, t.to_server);
        BOOST_REQUIRE(both::read(t.server, t.to_server, error) == "x");
        both::write(t.server, "y");  // and the update with it
    }
    BOOST_TEST(t.server.congested());
    both::write(t.client, "x");
    both::carry(t.client, t.to_server);
    BOOST_TEST(both::read(t.server, t.to_server, error).empty());
    BOOST_TEST((error == asio::error::would_block));
    t.server.sent(t.server.unsent());
    BOOST_TEST(both::read(t.server, t.to_server, error) == "x");
}

BOOST_AUTO_TEST_CASE(input_is_taken_a_record_at_a_time)
{
    both t;
    t.shake_hands();
    for (int i = 0; i < 10; ++i)
    {
        both::write(t.client, std::string(60'000, 'x'));
        both::carry(t.client, t.to_server);
    }
    auto const all = t.to_server.bytes.size();
    error_code error;
    char byte = 0;
    BOOST_TEST(t.server.read(t.to_server, asio::buffer(&byte, 1), error) == 1u);
    BOOST_TEST(all - t.to_server.bytes.size() <= 17u * 1024);
}

// An update of the keys costs far more than its bytes: other sessions have their turns in between.
BOOST_AUTO_TEST_CASE(what_tls_says_to_itself_is_taken_with_pauses)
{
    both t;
    t.shake_hands();
    for (int i = 0; i < 5000; ++i)
    {
        BOOST_REQUIRE(::SSL_key_update(t.client.native(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        BOOST_REQUIRE(::SSL_do_handshake(t.client.native()) == 1);
        both::carry(t.client, t.to_server);
    }
    both::write(t.client, "x");
    both::carry(t.client, t.to_server);
    error_code error;
    std::string text;
    std::size_t calls = 0;
    for (; text.empty() && calls < 1000; ++calls)
    {
        auto const before = t.to_server.bytes.size();
        text = both::read(t.server, t.to_server, error);
        BOOST_TEST((text == "x" || error == asio::error::would_block));
        BOOST_TEST(before - t.to_server.bytes.size() <= tls_engine::most_taken + 2 * tls_engine::record);
    }
    BOOST_TEST(text == "x");
    BOOST_TEST(calls > 1u);
}
