// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_FACTS_HPP
#define DUET_TLS_FACTS_HPP

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <new>
#include <string>

#include <duet/detail/tls/tls_settings.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a handshake has agreed on.
struct tls_facts
{
    std::string version;      ///< "TLSv1.3"
    std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
    std::string protocol;     ///< by ALPN; empty: none
    std::string host;         ///< at a server: whom the client asked for (SNI); at a client: whom it asked for
    bool resumed = false;     ///< an earlier session went on, without certificates
    bool verified = false;    ///< the peer has shown a certificate, now or in the session that was resumed, and it was
                              ///< verified
    std::string subject;      ///< of the peer's certificate, as RFC 2253 writes it; empty: it has shown none
    std::string certificate;  ///< the peer's certificate, as PEM; empty: it has shown none
};

namespace detail {

/// What has been written to a BIO in memory.
inline std::string text_of_bio(::BIO* bio)
{
    char* text = nullptr;
    auto const size = BIO_get_mem_data(bio, &text);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string{};
}

inline tls_facts read_tls_facts(::SSL* ssl)
{
    tls_facts facts;
    facts.version = ::SSL_get_version(ssl);
    if (auto const* const cipher = ::SSL_get_cipher_name(ssl))
        facts.cipher = cipher;
    unsigned char const* protocol = nullptr;
    unsigned int size = 0;
    ::SSL_get0_alpn_selected(ssl, &protocol, &size);
    facts.protocol.assign(reinterpret_cast<char const*>(protocol), size);
    if (auto const* const host = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
        facts.host = host;
    facts.resumed = ::SSL_session_reused(ssl) == 1;
    auto* const certificate = ::SSL_get0_peer_certificate(ssl);
    if (!certificate)
        return facts;
    facts.verified = (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0 && ::SSL_get_verify_result(ssl) == X509_V_OK;
    openssl_ptr<::BIO> const subject{::BIO_new(::BIO_s_mem())};
    openssl_ptr<::BIO> const pem{::BIO_new(::BIO_s_mem())};
    auto* const name = ::X509_get_subject_name(certificate);
    if (!subject || !pem || ::X509_NAME_print_ex(subject.get(), name, 0, XN_FLAG_RFC2253) < 0 ||
        ::PEM_write_bio_X509(pem.get(), certificate) != 1)
    {
        ::ERR_clear_error();
        throw std::bad_alloc{};  // a peer that has shown a certificate never seems to have shown none
    }
    facts.subject = text_of_bio(subject.get());
    facts.certificate = text_of_bio(pem.get());
    return facts;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
