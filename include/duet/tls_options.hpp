// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_OPTIONS_HPP
#define DUET_TLS_OPTIONS_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Versions of TLS. Older ones are not offered and not accepted.
enum class tls_version : std::uint8_t
{
    tls_1_2,
    tls_1_3,
};

/// Something in PEM, from a file or as text. Both empty: there is none. If both are given, the text counts.
struct tls_pem
{
    std::string file{};
    std::string text{};

    bool empty() const noexcept { return file.empty() && text.empty(); }
};

/// Who this side is: its certificate, followed by those of the issuers in between, and the private key. A key that is
/// empty is looked for beside the certificate. Encrypted keys are refused.
struct tls_identity
{
    tls_pem certificate{};
    tls_pem key{};
};

/// What a server asks of its clients' certificates.
enum class client_certificates : std::uint8_t
{
    none,      ///< they are not asked for one
    optional,  ///< one that is sent has to be valid
    required,  ///< a client without a valid one is refused
};

/// The options of a tls_context for clients.
struct tls_client_options
{
    /// Whose certificates to trust. Empty: the authorities that the system's OpenSSL trusts.
    tls_pem authorities{};

    /// False: accept a server whoever it is. Then the connection is no secret from somebody on the way.
    bool verify = true;

    /// For servers that ask for one. Empty: none.
    tls_identity identity{};

    /// Protocols to offer (ALPN), the preferred one first: "h2", "http/1.1".
    std::vector<std::string> protocols{};

    tls_version minimum = tls_version::tls_1_2;

    /// Keep the sessions of each host and resume them, which saves the verification and a part of the handshake.
    bool resume = true;

    /// The longest time for a handshake. Progress does not extend it.
    std::chrono::steady_clock::duration handshake_timeout = std::chrono::seconds{10};
};

/// The options of a tls_context for servers.
struct tls_server_options
{
    tls_identity identity{};

    /// Protocols that the server speaks (ALPN), the preferred one first. A client that offers others only is refused;
    /// one that offers none is accepted. Empty: ALPN is not answered.
    std::vector<std::string> protocols{};

    client_certificates clients = client_certificates::none;

    /// Who may issue the clients' certificates. Required unless `clients` is none.
    tls_pem client_authorities{};

    tls_version minimum = tls_version::tls_1_2;

    /// Offer clients tickets with which they resume.
    bool resume = true;

    /// The longest time for a handshake. Progress does not extend it.
    std::chrono::steady_clock::duration handshake_timeout = std::chrono::seconds{10};
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
