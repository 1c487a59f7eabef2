// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_ERROR_IPP
#define DUET_DETAIL_TLS_TLS_ERROR_IPP

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <duet/tls_error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // see error.ipp

class tls_category_type final : public boost::system::error_category
{
public:
    constexpr tls_category_type() noexcept : boost::system::error_category{0x3c1f7f0b5d8e4a61} {}

    char const* name() const noexcept override { return "duet.tls"; }

    std::string message(int value) const override
    {
        switch (static_cast<tls_errc>(value))
        {
        case tls_errc::truncated:
            return "the peer finished without close_notify";
        case tls_errc::handshake_cut:
            return "the peer finished during the TLS handshake";
        case tls_errc::handshake_timed_out:
            return "TLS handshake deadline passed";
        case tls_errc::no_context:
            return "the stream has no TLS context";
        case tls_errc::no_name:
            return "the name that the server's certificate has to show is missing";
        }
        return "unknown TLS error";
    }

    bool equivalent(int value, error_condition const& wanted) const noexcept override
    {
        switch (static_cast<tls_errc>(value))
        {
        case tls_errc::truncated:
        case tls_errc::handshake_cut:
            return wanted == make_error_condition(condition::truncated);
        case tls_errc::handshake_timed_out:
            return wanted == make_error_condition(condition::timed_out);
        case tls_errc::no_context:
        case tls_errc::no_name:
            break;
        }
        return boost::system::error_category::equivalent(value, wanted);
    }
};

class openssl_category_type final : public boost::system::error_category
{
public:
    constexpr openssl_category_type() noexcept : boost::system::error_category{0x6b0b2f8e91d3c75f} {}

    char const* name() const noexcept override { return "openssl"; }

    std::string message(int value) const override
    {
        auto const* const text = ::ERR_reason_error_string(static_cast<unsigned int>(value));
        return text ? text : "OpenSSL's error " + std::to_string(static_cast<unsigned int>(value));
    }
};

class openssl_verify_category_type final : public boost::system::error_category
{
public:
    constexpr openssl_verify_category_type() noexcept : boost::system::error_category{0x1a97d5c2e06f4b39} {}

    char const* name() const noexcept override { return "openssl.verify"; }

    std::string message(int value) const override { return ::X509_verify_cert_error_string(value); }
};

class tls_condition_category_type final : public boost::system::error_category
{
public:
    constexpr tls_condition_category_type() noexcept : boost::system::error_category{0x58e21bd74c90a3f6} {}

    char const* name() const noexcept override { return "duet.tls_condition"; }

    std::string message(int value) const override
    {
        switch (static_cast<tls_condition>(value))
        {
        case tls_condition::certificate:
            return "the certificate was not accepted";
        case tls_condition::certificate_expired:
            return "the certificate is out of date";
        case tls_condition::name_mismatch:
            return "the certificate is for another name";
        case tls_condition::unknown_issuer:
            return "the certificate's issuer is not trusted";
        case tls_condition::alert:
            return "ended by an alert of the peer";
        case tls_condition::protocol:
            return "not as TLS demands";
        }
        return "unknown TLS condition";
    }

    bool equivalent(error_code const& code, int wanted) const noexcept override
    {
        auto const kind = static_cast<tls_condition>(wanted);
        if (code.category() == openssl_verify_category())
            return kind == tls_condition::certificate || kind == kind_of_verify(code.value());
        if (code.category() == openssl_category())
            return kind == kind_of_reason(code.value());
        return false;
    }

private:
    static tls_condition kind_of_verify(int value) noexcept
    {
        switch (value)
        {
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return tls_condition::certificate_expired;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return tls_condition::name_mismatch;
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
            return tls_condition::unknown_issuer;
        default:
            return tls_condition::certificate;
        }
    }

    static tls_condition kind_of_reason(int value) noexcept
    {
        auto const code = static_cast<unsigned int>(value);
        if (ERR_GET_LIB(code) != ERR_LIB_SSL)
            return tls_condition::protocol;
        auto const reason = ERR_GET_REASON(code);
        if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
            return tls_condition::certificate;
        return reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256 ? tls_condition::alert
                                                                                    : tls_condition::protocol;
    }
};

#pragma GCC diagnostic pop

}  // namespace detail

inline boost::system::error_category const& tls_category() noexcept
{
    static detail::tls_category_type const category;
    return category;
}

inline boost::system::error_category const& tls_condition_category() noexcept
{
    static detail::tls_condition_category_type const category;
    return category;
}

inline boost::system::error_category const& openssl_category() noexcept
{
    static detail::openssl_category_type const category;
    return category;
}

inline boost::system::error_category const& openssl_verify_category() noexcept
{
    static detail::openssl_verify_category_type const category;
    return category;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
