// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TLS_TLS_ENGINE_HPP
#define DUET_DETAIL_TLS_TLS_ENGINE_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <duet/detail/tls/tls_settings.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Where an engine has its ciphertext from.
class tls_source
{
public:
    /// As channel::read_some().
    virtual std::size_t take(boost::asio::mutable_buffer buffer, error_code& error) noexcept = 0;

protected:
    ~tls_source() = default;
};

/// TLS without I/O: it takes ciphertext from a tls_source when it is asked for plaintext, and keeps the ciphertext that
/// it makes until somebody has sent it.
///
/// What it keeps is bounded: one record of input; of output, `batch` bytes of plaintext as records, and what TLS says
/// by itself up to `most_unsent`, after which it takes no more input.
///
/// So is what it does at once. What TLS says to itself, as an update of the keys, costs more than its bytes and gives
/// no plaintext: after `most_taken` bytes without any, read() would block although the source has more.
///
/// OpenSSL's queue of errors is the thread's: it is empty after each function. Memory that runs out is an error.
class tls_engine
{
public:
    static constexpr std::size_t record = 16 * 1024;  ///< plaintext of a record
    static constexpr std::size_t batch = 4 * record;
    static constexpr std::size_t most_unsent = batch + 8 * 1024;
    static constexpr std::size_t most_taken = 2 * record;  ///< enough for any record

    /// A client expects `host`, a name or an address. Throws boost::system::system_error.
    tls_engine(std::shared_ptr<tls_settings const> settings, std::string host);

    tls_engine(tls_engine const&) = delete;
    tls_engine& operator=(tls_engine const&) = delete;
    ~tls_engine() = default;

    // ---- State. ----------------------------------------------------------------------------------------------------

    bool handshaking() const noexcept { return !open_ && !failure_; }

    /// The handshake has ended well. The engine may have failed since.
    bool open() const noexcept { return open_; }

    /// The peer's close_notify was read, behind all plaintext.
    bool ended() const noexcept { return (::SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

    /// Our close_notify is among the output.
    bool finished() const noexcept { return finished_; }

    /// Why nothing can be read any more; none while something can. Not set by close_notify.
    error_code const& failure() const noexcept { return failure_; }

    /// Why nothing can be sent any more, if that has failed by itself: there was no memory.
    error_code const& send_failure() const noexcept { return send_failure_; }

    /// So much output waits that input has to.
    bool congested() const noexcept { return unsent() >= most_unsent; }

    // ---- From the peer. --------------------------------------------------------------------------------------------

    /// Output in the clear, in front of the handshake, which has not begun. Throws std::bad_alloc.
    void say_first(std::string_view bytes) { output_ += bytes; }

    /// Go on with the handshake as far as the source allows.
    void shake_hands(tls_source& from) noexcept;

    /// Read plaintext, from as many records as there are. 0: `error` is would_block, eof after close_notify, or the
    /// failure. The buffer must not be empty.
    std::size_t read(tls_source& from, boost::asio::mutable_buffer buffer, error_code& error) noexcept;

    /// True if read() would not block.
    bool readable(tls_source& from) noexcept;

    // ---- To the peer. ----------------------------------------------------------------------------------------------

    /// Make output of up to `batch` bytes. Returns how many of them were taken. Only after the handshake.
    std::size_t write(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept;

    /// Say close_notify, behind everything else. Later output is thrown away. Nothing is said before the handshake has
    /// ended, and after a failure: its alert was the last word.
    void finish() noexcept;

    boost::asio::const_buffer output() const noexcept { return boost::asio::buffer(output_) + sent_; }

    std::size_t unsent() const noexcept { return output_.size() - sent_; }

    /// So many bytes of the output were sent.
    void sent(std::size_t size) noexcept;

    // ---- Facts. ----------------------------------------------------------------------------------------------------

    ::SSL* native() const noexcept { return ssl_.get(); }

    tls_settings const& settings() const noexcept { return *origin_.settings; }

    std::string const& host() const noexcept { return origin_.host; }

private:
    struct bio;

    void expect(std::string const& host);
    bool expect(boost::asio::ip::address const& address) noexcept;
    void resume() noexcept;
    bool enter(tls_source& from) noexcept;
    error_code result_of(int result) noexcept;
    error_code reason_of(int result) noexcept;
    error_code fail_to_send(int result) noexcept;
    error_code fail(error_code error) noexcept;
    std::size_t seal(boost::asio::const_buffer bytes, error_code& error) noexcept;

    tls_session_origin origin_;
    openssl_ptr<::SSL> ssl_;
    tls_source* source_ = nullptr;  // while a function runs that may read
    std::string output_;
    std::size_t sent_ = 0;  // of output_
    error_code failure_;
    error_code send_failure_;
    error_code source_error_;  // why the source has no more; may be would_block
    std::uint32_t taken_ = 0;  // from the source, since a function runs that may read
    bool open_ = false;
    bool finished_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/tls/tls_engine.ipp>

#endif
