// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_CONTEXT_HPP
#define DUET_TLS_CONTEXT_HPP

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include <duet/detail/tls/tls_settings.hpp>
#include <duet/error.hpp>
#include <duet/tls_error.hpp>
#include <duet/tls_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What the TLS sessions of a program have in common: certificates, keys, whom to trust, the sessions to resume. A copy
/// is cheap and is the same context. It may be gone before its sessions.
///
/// A client's sessions verify the server's chain and name unless told otherwise. Nobody renegotiates, and TLS 1.2 is
/// the least.
///
/// ```cpp
/// duet::tls_server_options options;
/// options.identity = {{.file = "chain.pem"}, {.file = "key.pem"}};
/// auto const context = duet::tls_context::server(options);
/// ```
///
/// Errors: each constructing function throws boost::system::system_error; what() names the file and OpenSSL's reason.
///
/// Distinct objects: safe. Shared objects: safe.
class tls_context
{
public:
    static tls_context client(tls_client_options const& options = {})
    {
        return tls_context{std::make_shared<detail::tls_settings_holder>(detail::tls_settings::client(options))};
    }

    static tls_context server(tls_server_options const& options)
    {
        return tls_context{std::make_shared<detail::tls_settings_holder>(detail::tls_settings::server(options))};
    }

    /// Use other certificates, keys and options from now on. Sessions that exist, or that have begun their handshake,
    /// keep the old ones; later handshakes of every copy of this context have the new ones, and tickets of the old ones
    /// are not accepted any more. Throws as server(), and then nothing has changed; invalid_argument if this is not a
    /// context of its kind.
    void replace(tls_server_options const& options) const { holder_->replace(detail::tls_settings::server(options)); }

    void replace(tls_client_options const& options) const { holder_->replace(detail::tls_settings::client(options)); }

    bool is_client() const noexcept { return holder_->current()->is_client(); }

    /// OpenSSL's object, for what this class does not cover: set it before the first session. The pointer stays valid
    /// as long as the context exists and replace() is not called.
    ::SSL_CTX* native_handle() const noexcept { return holder_->current()->native(); }

    /// The longest time that a handshake may take.
    std::chrono::steady_clock::duration handshake_timeout() const noexcept
    {
        return holder_->current()->handshake_timeout();
    }

    /// For duet itself: what a session that begins now uses.
    std::shared_ptr<detail::tls_settings const> settings() const noexcept { return holder_->current(); }

private:
    explicit tls_context(std::shared_ptr<detail::tls_settings_holder> holder) noexcept : holder_{std::move(holder)} {}

    std::shared_ptr<detail::tls_settings_holder> holder_;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
