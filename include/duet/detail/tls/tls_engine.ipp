// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_ENGINE_IPP
#define DUET_DETAIL_TLS_TLS_ENGINE_IPP

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>
#include <new>
#include <utility>

#include <duet/detail/tls/tls_engine.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// OpenSSL's view of the engine: reads come from the source, writes become output.
struct tls_engine::bio
{
    static tls_engine& engine(::BIO* object) noexcept { return *static_cast<tls_engine*>(::BIO_get_data(object)); }

    static int read(::BIO* object, char* data, int size) noexcept
    {
        auto& self = engine(object);
        ::BIO_clear_retry_flags(object);
        self.source_error_ = boost::asio::error::would_block;
        std::size_t taken = 0;
        if (self.source_ && !self.congested() && self.taken_ < most_taken)
        {
            self.source_error_.clear();
            auto const room = boost::asio::buffer(data, static_cast<std::size_t>(size));
            taken = self.source_->take(room, self.source_error_);
            self.taken_ += static_cast<std::uint32_t>(taken);
        }
        if (taken > 0)
            return static_cast<int>(taken);
        // Whatever it is, for OpenSSL there is nothing at present: result_of() tells what it is. So a FIN leaves the
        // send side alone.
        ::BIO_set_retry_read(object);
        return -1;
    }

    static int write(::BIO* object, char const* data, int size) noexcept
    {
        auto& self = engine(object);
        ::BIO_clear_retry_flags(object);
        try
        {
            if (!self.finished_)
                self.output_.append(data, static_cast<std::size_t>(size));
            return size;
        }
        catch (std::bad_alloc const&)
        {
            // From OpenSSL 3.2 on SSL_shutdown() does not tell.
            self.send_failure_ = boost::asio::error::no_memory;
            return -1;
        }
    }

    static long control(::BIO*, int what, long, void*) noexcept { return what == BIO_CTRL_FLUSH ? 1 : 0; }

    static int create(::BIO* object) noexcept
    {
        ::BIO_set_init(object, 1);
        return 1;
    }

    static ::BIO_METHOD* make_method()
    {
        // BIO_get_new_index() fails for good if its first call has no memory. Its numbers are above this one.
        auto* const made = ::BIO_meth_new(BIO_TYPE_START | BIO_TYPE_SOURCE_SINK, "duet");
        if (!made)
            throw_tls_error("BIO_meth_new");  // the next engine tries again
        ::BIO_meth_set_read(made, read);
        ::BIO_meth_set_write(made, write);
        ::BIO_meth_set_ctrl(made, control);
        ::BIO_meth_set_create(made, create);
        return made;
    }

    /// Never freed: engines may outlive static objects.
    static ::BIO_METHOD* method()
    {
        static ::BIO_METHOD* const one = make_method();
        return one;
    }
};

inline tls_engine::tls_engine(std::shared_ptr<tls_settings const> settings, std::string host)
    : origin_{std::move(settings), std::move(host)}
{
    if (!origin_.settings)
        throw system_error{tls_errc::no_context};
    ::ERR_clear_error();
    ssl_.reset(::SSL_new(origin_.settings->native()));
    auto* const link = ssl_ ? ::BIO_new(bio::method()) : nullptr;
    if (!link)
        throw_tls_error("SSL_new");
    ::BIO_set_data(link, this);
    ::SSL_set_bio(ssl_.get(), link, link);
    if (SSL_set_app_data(ssl_.get(), &origin_) != 1)
        throw_tls_error("SSL_set_app_data");
    ::SSL_set_read_ahead(ssl_.get(), 1);  // a record's header and its body with one read
    if (!origin_.settings->is_client())
    {
        ::SSL_set_accept_state(ssl_.get());
        return;
    }
    ::SSL_set_connect_state(ssl_.get());
    expect(origin_.host);
    resume();
}

/// Whom the client expects.
inline void tls_engine::expect(std::string const& host)
{
    bool const verifies = origin_.settings->verifies();
    if (host.empty())
    {
        if (verifies)
            throw system_error{tls_errc::no_name};
        return;
    }
    error_code no_address;
    auto const address = boost::asio::ip::make_address(host, no_address);
    if (!no_address)
    {
        if (verifies && !expect(address))
            throw_tls_error(host);
        return;
    }
    // The dot that makes a name absolute is in no certificate, and not sent (RFC 6066, 3).
    auto const name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
    ::SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (verifies && ::SSL_set1_host(ssl_.get(), name.c_str()) != 1)
        throw_tls_error(host);
    // As SSL_set_tlsext_host_name(), whose cast is one of C.
    auto* const text = const_cast<char*>(name.c_str());
    if (::SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, text) != 1)
        throw_tls_error(host);
}

/// Certificates know no zones: the bytes of the address count. False: no memory.
inline bool tls_engine::expect(boost::asio::ip::address const& address) noexcept
{
    auto const set = [this](auto const& bytes)
    { return ::X509_VERIFY_PARAM_set1_ip(::SSL_get0_param(ssl_.get()), bytes.data(), bytes.size()) == 1; };
    return address.is_v6() ? set(address.to_v6().to_bytes()) : set(address.to_v4().to_bytes());
}

inline void tls_engine::resume() noexcept
{
    if (!origin_.settings->resumes() || origin_.host.empty())
        return;
    if (auto const session = origin_.settings->cache().take(origin_.host))
        ::SSL_set_session(ssl_.get(), session.get());
    ::ERR_clear_error();
}

/// Begin a function that may read. False: there is nothing to read any more.
inline bool tls_engine::enter(tls_source& from) noexcept
{
    source_ = &from;
    taken_ = 0;
    source_error_.clear();
    ::ERR_clear_error();
    return !failure_;
}

inline error_code tls_engine::fail(error_code error) noexcept
{
    if (!failure_)
        failure_ = error;
    return failure_;
}

/// Why nothing can be sent any more. OpenSSL may keep a part of what it could not hand over: not a byte may follow.
inline error_code tls_engine::fail_to_send(int result) noexcept
{
    auto const reason = reason_of(result);
    if (!send_failure_)
        send_failure_ = reason;
    fail(send_failure_);
    return send_failure_;
}

/// What a function of OpenSSL means that has not succeeded.
inline error_code tls_engine::result_of(int result) noexcept
{
    auto const reason = reason_of(result);
    return reason == boost::asio::error::eof || reason == boost::asio::error::would_block ? reason : fail(reason);
}

inline error_code tls_engine::reason_of(int result) noexcept
{
    source_ = nullptr;
    auto const what = ::SSL_get_error(ssl_.get(), result);
    if (what == SSL_ERROR_ZERO_RETURN)
        return boost::asio::error::eof;
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE)
    {
        if (!source_error_ || source_error_ == boost::asio::error::would_block ||
            source_error_ == boost::asio::error::try_again)
            return boost::asio::error::would_block;
        if (source_error_ == boost::asio::error::eof)
            return open_ ? tls_errc::truncated : tls_errc::handshake_cut;
        return source_error_;
    }
    auto const reason = ::ERR_peek_error();
    if (ERR_GET_LIB(reason) == ERR_LIB_SSL && ERR_GET_REASON(reason) == SSL_R_CERTIFICATE_VERIFY_FAILED)
    {
        ::ERR_clear_error();
        auto const verified = ::SSL_get_verify_result(ssl_.get());
        if (verified == X509_V_ERR_OUT_OF_MEM)
            return boost::asio::error::no_memory;
        return {static_cast<int>(verified), openssl_verify_category()};
    }
    return take_openssl_error();
}

inline void tls_engine::shake_hands(tls_source& from) noexcept
{
    if (open_ || !enter(from))
        return;
    auto const result = ::SSL_do_handshake(ssl_.get());
    source_ = nullptr;
    if (result == 1)
    {
        open_ = true;
        tls_settings::keep_resumed(ssl_.get());
    }
    else if (result_of(result) == boost::asio::error::eof)
        fail(tls_errc::handshake_cut);
}

inline std::size_t tls_engine::read(tls_source& from, boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    std::size_t total = 0;
    error.clear();
    while (total < buffer.size() && enter(from))
    {
        std::size_t size = 0;
        auto const rest = buffer + total;
        auto const result = ::SSL_read_ex(ssl_.get(), rest.data(), rest.size(), &size);
        total += size;
        if (result == 1)
            continue;
        error = result_of(result);
        break;
    }
    source_ = nullptr;
    if (total > 0)
        error.clear();  // it comes again
    else if (!error)
        error = failure_;
    return total;
}

inline bool tls_engine::readable(tls_source& from) noexcept
{
    if (!enter(from))
        return true;
    std::size_t size = 0;
    std::array<char, 1> byte{};
    auto const result = ::SSL_peek_ex(ssl_.get(), byte.data(), byte.size(), &size);
    source_ = nullptr;
    return result == 1 || result_of(result) != boost::asio::error::would_block;
}

/// Make records of `bytes`.
inline std::size_t tls_engine::seal(boost::asio::const_buffer bytes, error_code& error) noexcept
{
    std::size_t total = 0;
    while (total < bytes.size())
    {
        std::size_t size = 0;
        auto const rest = bytes + total;
        auto const result = ::SSL_write_ex(ssl_.get(), rest.data(), std::min(rest.size(), record), &size);
        total += size;
        if (result == 1)
            continue;
        error = fail_to_send(result);
        break;
    }
    return total;
}

inline std::size_t tls_engine::write(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept
{
    error.clear();
    ::ERR_clear_error();
    if (finished_)
        error = boost::asio::error::broken_pipe;
    else if (send_failure_)
        error = send_failure_;
    else if (failure_ && failure_ != tls_errc::truncated)
        error = failure_;
    std::size_t total = 0;
    for (auto next = buffers.begin(); next != buffers.end() && total < batch && !error;)
    {
        if (next->size() >= record / 4 || next + 1 == buffers.end())
        {
            auto const part = boost::asio::buffer(*next, batch - total);
            total += seal(part, error);
            ++next;
            continue;
        }
        // Small buffers, a header and a body for instance, share a record.
        std::array<char, record> together;
        std::size_t size = 0;
        for (; next != buffers.end() && size + next->size() <= std::min(together.size(), batch - total); ++next)
            size += boost::asio::buffer_copy(boost::asio::buffer(together) + size, *next);
        if (size == 0)
            break;
        total += seal(boost::asio::buffer(together, size), error);
    }
    if (total > 0)
        error.clear();
    return total;
}

inline void tls_engine::finish() noexcept
{
    if (finished_)
        return;
    ::ERR_clear_error();
    bool const may_say = open_ && !send_failure_ && (!failure_ || failure_ == tls_errc::truncated);
    if (auto const result = may_say ? ::SSL_shutdown(ssl_.get()) : 0; result < 0)
        fail_to_send(result);
    ::ERR_clear_error();
    finished_ = true;
}

inline void tls_engine::sent(std::size_t size) noexcept
{
    sent_ += size;
    if (sent_ < output_.size())
        return;
    sent_ = 0;
    if (output_.capacity() > 1024)
        std::string{}.swap(output_);  // an idle session needs none
    else
        output_.clear();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
