// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_SETTINGS_IPP
#define DUET_DETAIL_TLS_TLS_SETTINGS_IPP

#include <boost/asio/error.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <new>
#include <utility>

#include <duet/detail/tls/tls_settings.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline error_code take_openssl_error() noexcept
{
    auto const code = ::ERR_get_error();
    // What lacks memory may be told behind what that has led to.
    bool lacks_memory = code == 0;
    for (auto next = code; next != 0; next = ::ERR_get_error())
        lacks_memory = lacks_memory || ERR_GET_REASON(next) == ERR_R_MALLOC_FAILURE;
    if (lacks_memory)
        return boost::asio::error::no_memory;
    if (ERR_SYSTEM_ERROR(code))
        return {ERR_GET_REASON(code), boost::system::system_category()};
    return {static_cast<int>(code), openssl_category()};
}

/// Throw OpenSSL's error, with what it is about.
[[noreturn]] inline void throw_tls_error(std::string const& about)
{
    throw system_error{take_openssl_error(), about};
}

inline std::string name_of(tls_pem const& pem, char const* what)
{
    return pem.text.empty() ? pem.file : std::string{what} + " (text)";
}

inline openssl_ptr<::BIO> open_pem(tls_pem const& pem, char const* what)
{
    ::ERR_clear_error();
    openssl_ptr<::BIO> source{pem.text.empty() ? ::BIO_new_file(pem.file.c_str(), "r")
                                               : ::BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size()))};
    if (!source)
        throw_tls_error(name_of(pem, what));
    return source;
}

/// An encrypted key has no password here: without this, OpenSSL asks at the terminal.
inline int no_password(char*, int, int, void*) noexcept
{
    return -1;
}

/// The certificates of a PEM. There is at least one.
inline std::vector<openssl_ptr<::X509>> read_certificates(tls_pem const& pem, char const* what)
{
    auto const source = open_pem(pem, what);
    std::vector<openssl_ptr<::X509>> all;
    while (openssl_ptr<::X509> next{::PEM_read_bio_X509(source.get(), nullptr, no_password, nullptr)})
        all.push_back(std::move(next));
    bool const is_end = ERR_GET_REASON(::ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (all.empty() || !is_end)
        throw_tls_error(name_of(pem, what));
    ::ERR_clear_error();
    return all;
}

// ---- The cache ------------------------------------------------------------------------------------------------------

inline void tls_session_cache::put(std::string const& host, openssl_ptr<::SSL_SESSION> session)
{
    std::scoped_lock const lock{mutex_};
    if (sessions_.size() >= most && !sessions_.contains(host))
        sessions_.erase(sessions_.begin());
    sessions_[host] = std::move(session);
}

inline openssl_ptr<::SSL_SESSION> tls_session_cache::take(std::string const& host) noexcept
{
    std::scoped_lock const lock{mutex_};
    auto const found = sessions_.find(host);
    if (found == sessions_.end())
        return nullptr;
    auto result = std::move(found->second);
    sessions_.erase(found);
    return result;
}

// ---- The settings ---------------------------------------------------------------------------------------------------

inline tls_settings::tls_settings(bool is_client) : client_{is_client}
{
    ::ERR_clear_error();
    context_.reset(::SSL_CTX_new(is_client ? ::TLS_client_method() : ::TLS_server_method()));
    if (!context_)
        throw_tls_error("SSL_CTX_new");
    ::SSL_CTX_set_options(native(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    ::SSL_CTX_set_mode(native(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    ::SSL_CTX_set_default_passwd_cb(native(), no_password);
}

inline std::shared_ptr<tls_settings const> tls_settings::client(tls_client_options const& options)
{
    std::shared_ptr<tls_settings> const made{new tls_settings{true}};
    made->verifies_ = options.verify;
    made->resumes_ = options.resume;
    made->handshake_timeout_ = options.handshake_timeout;
    made->use_minimum(options.minimum);
    made->use_identity(options.identity);
    auto* const context = made->native();
    if (!options.authorities.empty())
        made->use_authorities(options.authorities, false);
    else if (options.verify && ::SSL_CTX_set_default_verify_paths(context) != 1)
        throw_tls_error("the system's certificates");
    ::SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    made->use_protocols(options.protocols);
    if (options.resume)
    {
        ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        ::SSL_CTX_sess_set_new_cb(context, keep_session);
    }
    else
        ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return made;
}

inline std::shared_ptr<tls_settings const> tls_settings::server(tls_server_options const& options)
{
    std::shared_ptr<tls_settings> const made{new tls_settings{false}};
    if (options.identity.certificate.empty())
        throw system_error{boost::asio::error::invalid_argument, "a TLS server needs a certificate"};
    made->resumes_ = options.resume;
    made->verifies_ = options.clients != client_certificates::none;
    made->handshake_timeout_ = options.handshake_timeout;
    made->use_minimum(options.minimum);
    made->use_identity(options.identity);
    made->use_protocols(options.protocols);
    auto* const context = made->native();
    constexpr unsigned char name[] = "duet";
    ::SSL_CTX_set_session_id_context(context, name, sizeof name);
    if (made->verifies_)
    {
        if (options.client_authorities.empty())
            throw system_error{
                boost::asio::error::invalid_argument, "a TLS server that verifies clients needs their authorities"};
        made->use_authorities(options.client_authorities, true);
        bool const required = options.clients == client_certificates::required;
        ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    }
    if (!options.resume)
    {
        ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        ::SSL_CTX_set_num_tickets(context, 0);
    }
    return made;
}

inline void tls_settings::use_minimum(tls_version minimum)
{
    int const least = minimum == tls_version::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (::SSL_CTX_set_min_proto_version(native(), least) != 1)
        throw_tls_error("the least version of TLS");
}

inline void tls_settings::use_identity(tls_identity const& identity)
{
    if (identity.certificate.empty())
        return;
    auto chain = read_certificates(identity.certificate, "certificate");
    auto const about = name_of(identity.certificate, "certificate");
    if (::SSL_CTX_use_certificate(native(), chain.front().get()) != 1)
        throw_tls_error(about);
    for (auto next = chain.begin() + 1; next != chain.end(); ++next)
        if (::SSL_CTX_add1_chain_cert(native(), next->get()) != 1)
            throw_tls_error(about);
    auto const& where = identity.key.empty() ? identity.certificate : identity.key;
    auto const source = open_pem(where, "key");
    openssl_ptr<::EVP_PKEY> const key{::PEM_read_bio_PrivateKey(source.get(), nullptr, no_password, nullptr)};
    if (!key || ::SSL_CTX_use_PrivateKey(native(), key.get()) != 1 || ::SSL_CTX_check_private_key(native()) != 1)
        throw_tls_error(name_of(where, "key"));
}

inline void tls_settings::use_authorities(tls_pem const& authorities, bool ask_clients)
{
    auto* const store = ::SSL_CTX_get_cert_store(native());
    for (auto const& each : read_certificates(authorities, "authorities"))
    {
        if (::X509_STORE_add_cert(store, each.get()) != 1)
            throw_tls_error(name_of(authorities, "authorities"));
        if (ask_clients && ::SSL_CTX_add_client_CA(native(), each.get()) != 1)
            throw_tls_error(name_of(authorities, "authorities"));
    }
}

inline void tls_settings::use_protocols(std::vector<std::string> const& protocols)
{
    for (auto const& each : protocols)
    {
        if (each.empty() || each.size() > 255)
            throw system_error{boost::asio::error::invalid_argument, "a protocol's name has 1 to 255 bytes"};
        protocols_ += static_cast<char>(each.size());
        protocols_ += each;
    }
    if (protocols_.empty())
        return;
    auto const* const wire = reinterpret_cast<unsigned char const*>(protocols_.data());
    if (!client_)
        ::SSL_CTX_set_alpn_select_cb(native(), choose_protocol, this);
    else if (::SSL_CTX_set_alpn_protos(native(), wire, static_cast<unsigned int>(protocols_.size())) != 0)
        throw_tls_error("ALPN");
}

inline int tls_settings::choose_protocol(::SSL*, unsigned char const** chosen, unsigned char* size,
    unsigned char const* offered, unsigned int offered_size, void* self) noexcept
{
    auto const& ours = static_cast<tls_settings*>(self)->protocols_;
    unsigned char* found = nullptr;
    auto const* const wire = reinterpret_cast<unsigned char const*>(ours.data());
    auto const result =
        ::SSL_select_next_proto(&found, size, wire, static_cast<unsigned int>(ours.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// A callback of OpenSSL. 0: the session stays OpenSSL's. The cache has a copy, because OpenSSL spoils the session of a
/// connection that ends without close_notify.
inline int tls_settings::keep_session(::SSL* ssl, ::SSL_SESSION* session) noexcept
{
    auto const* const origin = static_cast<tls_session_origin*>(SSL_get_app_data(ssl));
    if (!origin || origin->host.empty() || ::SSL_SESSION_is_resumable(session) != 1)
        return 0;
    ::ERR_set_mark();
    try
    {
        if (openssl_ptr<::SSL_SESSION> copy{::SSL_SESSION_dup(session)})
            origin->settings->cache().put(origin->host, std::move(copy));
    }
    catch (std::bad_alloc const&)
    {
        // Then it is not resumed.
    }
    ::ERR_pop_to_mark();  // the connection goes on without
    return 0;
}

inline void tls_settings::keep_resumed(::SSL* ssl) noexcept
{
    if (::SSL_is_server(ssl) == 0 && ::SSL_session_reused(ssl) == 1 && ::SSL_version(ssl) < TLS1_3_VERSION)
        keep_session(ssl, ::SSL_get_session(ssl));
}

inline void tls_settings_holder::replace(std::shared_ptr<tls_settings const> next)
{
    if (next->is_client() != current()->is_client())
        throw system_error{boost::asio::error::invalid_argument, "a TLS context stays one of clients, or of servers"};
    std::scoped_lock const lock{mutex_};
    current_.swap(next);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
