// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_ERROR_HPP
#define DUET_TLS_ERROR_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#include <string>
#include <type_traits>

#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What duet itself has to say of TLS. Reasons that OpenSSL gives have categories of their own: "openssl" and
/// "openssl.verify". Compare with a tls_condition, or with a duet::condition.
enum class tls_errc
{
    truncated = 1,        ///< FIN without close_notify: the peer was cut off, or is careless. condition::truncated
    handshake_cut,        ///< the peer's FIN during the handshake. condition::truncated
    handshake_timed_out,  ///< the handshake took too long. condition::timed_out
    no_context,           ///< the stream was made without a tls_context
    no_name,              ///< a client has to say whom it expects, unless it does not verify
};

/// The kinds of failures of TLS that a program can tell apart: `if (error.code() ==
/// duet::tls_condition::name_mismatch)`.
enum class tls_condition
{
    certificate = 1,      ///< the peer's certificate was not accepted, for whatever reason
    certificate_expired,  ///< it has expired, or is not valid yet
    name_mismatch,        ///< it is for another name or address
    unknown_issuer,       ///< nobody who is trusted has issued it: self-signed, or the chain is incomplete
    alert,                ///< the peer has ended the connection and told why
    protocol,             ///< what the peer sent is not TLS, or breaks its rules
};

boost::system::error_category const& tls_category() noexcept;
boost::system::error_category const& tls_condition_category() noexcept;

/// OpenSSL's error codes, as ERR_get_error() returns them.
boost::system::error_category const& openssl_category() noexcept;

/// The results of OpenSSL's verification of a certificate, X509_V_ERR_....
boost::system::error_category const& openssl_verify_category() noexcept;

inline error_code make_error_code(tls_errc code) noexcept
{
    return {static_cast<int>(code), tls_category()};
}

inline error_condition make_error_condition(tls_condition value) noexcept
{
    return {static_cast<int>(value), tls_condition_category()};
}

}  // namespace DUET_ABI
}  // namespace duet

template <>
struct boost::system::is_error_code_enum<duet::tls_errc> : std::true_type
{
};

template <>
struct boost::system::is_error_condition_enum<duet::tls_condition> : std::true_type
{
};

#include <duet/detail/tls/tls_error.ipp>

#endif
