// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_SETTINGS_HPP
#define DUET_DETAIL_TLS_TLS_SETTINGS_HPP

#include <openssl/ssl.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <duet/error.hpp>
#include <duet/tls_error.hpp>
#include <duet/tls_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

struct openssl_deleter
{
    void operator()(::SSL_CTX* object) const noexcept { ::SSL_CTX_free(object); }
    void operator()(::SSL* object) const noexcept { ::SSL_free(object); }
    void operator()(::SSL_SESSION* object) const noexcept { ::SSL_SESSION_free(object); }
    void operator()(::BIO* object) const noexcept { ::BIO_free(object); }
    void operator()(::X509* object) const noexcept { ::X509_free(object); }
    void operator()(::EVP_PKEY* object) const noexcept { ::EVP_PKEY_free(object); }
};

template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_deleter>;

/// The sessions that a client may resume, by host. A ticket of TLS 1.3 is used once (RFC 8446, C.4), so taking one
/// removes it; one of TLS 1.2 comes back when the handshake has ended well. It has at most `most` hosts; one more
/// replaces another.
class tls_session_cache
{
public:
    static constexpr std::size_t most = 256;

    /// Throws std::bad_alloc.
    void put(std::string const& host, openssl_ptr<::SSL_SESSION> session);

    /// Null: there is none.
    openssl_ptr<::SSL_SESSION> take(std::string const& host) noexcept;

private:
    std::mutex mutex_;
    std::map<std::string, openssl_ptr<::SSL_SESSION>> sessions_;
};

/// The contents of a tls_context: they do not change. A session that has begun keeps its own.
class tls_settings
{
public:
    static std::shared_ptr<tls_settings const> client(tls_client_options const& options);
    static std::shared_ptr<tls_settings const> server(tls_server_options const& options);

    tls_settings(tls_settings const&) = delete;
    tls_settings& operator=(tls_settings const&) = delete;

    bool is_client() const noexcept { return client_; }

    bool verifies() const noexcept { return verifies_; }

    ::SSL_CTX* native() const noexcept { return context_.get(); }

    std::chrono::steady_clock::duration handshake_timeout() const noexcept { return handshake_timeout_; }

    tls_session_cache& cache() const noexcept { return cache_; }

    bool resumes() const noexcept { return resumes_; }

    /// A client's handshake has ended well. If it has resumed a session of TLS 1.2, keep that again: it may be used
    /// more than once, and the server need not send another ticket.
    static void keep_resumed(::SSL* ssl) noexcept;

private:
    explicit tls_settings(bool is_client);

    void use_minimum(tls_version minimum);
    void use_identity(tls_identity const& identity);
    void use_authorities(tls_pem const& authorities, bool ask_clients);
    void use_protocols(std::vector<std::string> const& protocols);

    static int choose_protocol(::SSL*, unsigned char const** chosen, unsigned char* size, unsigned char const* offered,
        unsigned int offered_size, void* self) noexcept;
    static int keep_session(::SSL* ssl, ::SSL_SESSION* session) noexcept;

    openssl_ptr<::SSL_CTX> context_;
    std::string protocols_;  // as ALPN encodes them
    mutable tls_session_cache cache_;
    std::chrono::steady_clock::duration handshake_timeout_{};
    bool client_;
    bool verifies_ = true;
    bool resumes_ = true;
};

/// The settings that sessions use which begin now. May be used from any thread.
class tls_settings_holder
{
public:
    explicit tls_settings_holder(std::shared_ptr<tls_settings const> first) noexcept : current_{std::move(first)} {}

    std::shared_ptr<tls_settings const> current() const noexcept
    {
        std::scoped_lock const lock{mutex_};
        return current_;
    }

    void replace(std::shared_ptr<tls_settings const> next);

private:
    mutable std::mutex mutex_;
    std::shared_ptr<tls_settings const> current_;
};

/// What an engine tells OpenSSL's callbacks of itself: see SSL_set_app_data().
struct tls_session_origin
{
    std::shared_ptr<tls_settings const> settings;
    std::string host;
};

/// The first error of this thread's queue, or no_memory if that is among them. The queue is empty afterwards.
error_code take_openssl_error() noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/tls/tls_settings.ipp>

#endif
