// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TLS_FIXTURE_HPP
#define DUET_TEST_TLS_FIXTURE_HPP

// Sessions that speak TLS, in memory, on a clock that moves by itself; and the other end, which is OpenSSL alone and
// does exactly what the test says.

#include "session/operations.hpp"
#include "support/simulated_time.hpp"
#include "support/started.hpp"
#include "tls/certificates.hpp"

#include <duet/testing/memory_stream.hpp>
#include <duet/tls.hpp>

#include <openssl/err.h>

#include <array>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace duet_test {

using memory_tls_stream = duet::basic_tls_stream<duet::testing::memory_stream>;
using memory_tls_session = duet::basic_session<memory_tls_stream>;

/// An authority, and a server for "server.test" that it knows.
struct tls_world
{
    certificate_maker authority;
    credentials_pem server = authority.issue({.subject = "server", .names = "DNS:server.test,IP:192.0.2.7"});

    duet::tls_server_options server_options() const
    {
        duet::tls_server_options options;
        options.identity = server.identity();
        return options;
    }

    duet::tls_client_options client_options() const
    {
        duet::tls_client_options options;
        options.authorities.text = authority.pem();
        return options;
    }

    static tls_world const& get()
    {
        static tls_world const one;
        return one;
    }
};

/// OpenSSL at the other end of a stream that never blocks.
template <class Stream>
class basic_openssl_peer
{
public:
    basic_openssl_peer(Stream stream, duet::tls_context const& context, char const* version = nullptr)
        : stream_{std::move(stream)}, ssl_{::SSL_new(context.native_handle())}
    {
        in_ = ::BIO_new(::BIO_s_mem());
        out_ = ::BIO_new(::BIO_s_mem());
        ::SSL_set_bio(ssl_.get(), in_, out_);
        if (context.is_client())
            ::SSL_set_connect_state(ssl_.get());
        else
            ::SSL_set_accept_state(ssl_.get());
        ::SSL_set_verify(ssl_.get(), SSL_VERIFY_NONE, nullptr);
        if (version && std::string_view{version} == "1.2")
            ::SSL_set_max_proto_version(ssl_.get(), TLS1_2_VERSION);
    }

    ::SSL* ssl() noexcept { return ssl_.get(); }

    Stream& stream() noexcept { return stream_; }

    /// Move ciphertext in both directions, as far as it goes now.
    void pump()
    {
        std::array<char, 16384> room;
        duet::error_code error;
        while (takes)
        {
            auto const size = stream_.read_some(asio::buffer(room), error);
            if (size == 0)
                break;
            ::BIO_write(in_, room.data(), static_cast<int>(size));
        }
        if (takes && error == asio::error::eof)
            fin = true;
        if (error == asio::error::connection_reset)
            reset = true;
        for (;;)
        {
            if (unsent_.empty())
            {
                auto const size = ::BIO_read(out_, room.data(), room.size());
                if (size <= 0)
                    break;
                unsent_.assign(room.data(), static_cast<std::size_t>(size));
            }
            auto const size = stream_.write_some(asio::buffer(unsent_), error);
            unsent_.erase(0, size);
            if (error || size == 0)
                break;
        }
    }

    /// True when the handshake has ended.
    bool shakes_hands()
    {
        pump();
        if (last = ::SSL_do_handshake(ssl_.get()); last != 1)
            why();
        pump();
        return last == 1;
    }

    /// What has arrived up to now is added to `heard`.
    void hear()
    {
        pump();
        std::array<char, 16384> room;
        for (;;)
        {
            std::size_t size = 0;
            last = ::SSL_read_ex(ssl_.get(), room.data(), room.size(), &size);
            heard.append(room.data(), size);
            if (last != 1)
                break;
        }
        why();
        pump();
    }

    void say(std::string_view text)
    {
        std::size_t size = 0;
        last = ::SSL_write_ex(ssl_.get(), text.data(), text.size(), &size);
        why();
        pump();
    }

    bool ended() const { return (::SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

    void close_notify()
    {
        ::SSL_shutdown(ssl_.get());
        pump();
    }

    std::string heard;
    std::string reason;  // of the last failure
    bool fin = false;
    bool reset = false;
    bool takes = true;  // false: it reads nothing from the stream
    int last = 0;

private:
    void why()
    {
        if (auto const code = ::ERR_get_error())
            reason = ::ERR_reason_error_string(code) ? ::ERR_reason_error_string(code) : "?";
        ::ERR_clear_error();
    }

    Stream stream_;
    duet::detail::openssl_ptr<::SSL> ssl_;
    ::BIO* in_ = nullptr;
    ::BIO* out_ = nullptr;
    std::string unsent_;
};

using openssl_peer = basic_openssl_peer<duet::testing::memory_stream>;

/// A connection in memory with TLS on both ends.
class tls_talk
{
public:
    explicit tls_talk(std::size_t capacity = std::size_t{256} * 1024)
    {
        ends_.first.behaviour().capacity = ends_.second.behaviour().capacity = capacity;
    }

    duet::tls_context server_context = duet::tls_context::server(tls_world::get().server_options());
    duet::tls_context client_context = duet::tls_context::client(tls_world::get().client_options());
    std::string host = "server.test";
    duet::session_options options;

    memory_tls_session server() { return memory_tls_session{{std::move(ends_.first), server_context}, options}; }

    memory_tls_session client() { return memory_tls_session{{std::move(ends_.second), client_context, host}, options}; }

    openssl_peer raw_client(char const* version = nullptr)
    {
        return openssl_peer{std::move(ends_.second), client_context, version};
    }

    openssl_peer raw_server(char const* version = nullptr)
    {
        return openssl_peer{std::move(ends_.first), server_context, version};
    }

    duet::testing::memory_stream plain_client() { return std::move(ends_.second); }

    duet::testing::memory_stream plain_server() { return std::move(ends_.first); }

    /// Run `body(server, client)` after their handshake.
    template <class Body>
    void play(Body body)
    {
        time.run(converse(body));
    }

    /// Run `body(server, peer)`, after the handshake with OpenSSL as the client.
    template <class Body>
    void play_with_openssl(Body body, char const* version = nullptr)
    {
        time.run(converse_with_openssl(body, version));
    }

    /// Until it is true. It may do something each time that it is asked: every millisecond.
    template <class Predicate>
    asio::awaitable<void> until(Predicate predicate)
    {
        while (!predicate())
            co_await time.pause(std::chrono::milliseconds{1});
    }

    simulated_time time;
    asio::io_context& context = time.context;

private:
    template <class Body>
    asio::awaitable<void> converse(Body& body)
    {
        auto near = server();
        auto far = client();
        started<void> shaken{context.get_executor(), duet::handshake(near)};
        co_await duet::handshake(far);
        co_await shaken.result();
        co_await body(near, far);
    }

    template <class Body>
    asio::awaitable<void> converse_with_openssl(Body& body, char const* version)
    {
        auto near = server();
        auto far = raw_client(version);
        started<void> shaken{context.get_executor(), duet::handshake(near)};
        co_await until([&] { return far.shakes_hands(); });
        co_await shaken.result();
        co_await body(near, far);
    }

    std::pair<duet::testing::memory_stream, duet::testing::memory_stream> ends_{
        duet::testing::memory_stream::pair(time.context.get_executor())};
};

/// What the error is that `call` ends with, and its text.
template <class T>
asio::awaitable<std::pair<duet::error_code, std::string>> failure_of(asio::awaitable<T> call)
{
    try
    {
        co_await std::move(call);
    }
    catch (boost::system::system_error const& error)
    {
        co_return std::pair<duet::error_code, std::string>{error.code(), error.what()};
    }
    co_return std::pair<duet::error_code, std::string>{};
}

}  // namespace duet_test

#endif
