// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_PROXY_HEADER_HPP
#define DUET_PROXY_HEADER_HPP

#include <boost/system/error_category.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <duet/detail/config.hpp>
#include <duet/endpoint.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

// The header of the PROXY protocol as bytes and as a value, without a session: see proxy_protocol.hpp for those. The
// specification is https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt.

/// Why a PROXY header was not accepted. timed_out is also duet::condition::timed_out.
enum class proxy_errc
{
    no_header = 1,  ///< the connection begins with something else
    bad_line,       ///< version 1: the line does not follow the specification
    line_too_long,  ///< version 1: no CR LF within 107 bytes
    bad_version,    ///< the signature of version 2, but another version
    bad_command,    ///< version 2: neither LOCAL nor PROXY
    bad_family,     ///< version 2: no such address family, or no such transport
    bad_length,     ///< version 2: the length has no room for the addresses
    bad_tlv,        ///< version 2: an entry behind the addresses reaches beyond the header, or its content is malformed
    bad_checksum,   ///< version 2: the CRC32c is wrong
    too_large,      ///< longer than proxy_options::limit; to send: longer than the 65,535 bytes that version 2 can say
    untrusted,      ///< the peer is not among proxy_options::trusted; nothing was read
    timed_out,      ///< no whole header within proxy_options::timeout
};

DUET_DECL boost::system::error_category const& proxy_category() noexcept;

inline error_code make_error_code(proxy_errc code) noexcept
{
    return {static_cast<int>(code), proxy_category()};
}

/// The two forms of the header: a line of text, and binary. Both say the endpoints; only version 2 has TLVs.
enum class proxy_version : std::uint8_t
{
    v1 = 1,
    v2 = 2,
};

/// The types of TLVs that the specification names. Types from 0xE0 to 0xEF are for programs of one's own.
enum class proxy_tlv_type : std::uint8_t
{
    alpn = 0x01,       ///< the protocol that the client and the proxy have agreed on, as "h2"
    authority = 0x02,  ///< the host name that the client has asked for (SNI)
    crc32c = 0x03,     ///< checked and removed by parse_proxy_header(), added by encode(): see proxy_header::checksum
    noop = 0x04,
    unique_id = 0x05,  ///< the proxy's name for the connection, up to 128 bytes
    ssl = 0x20,        ///< see proxy_ssl
    ssl_version = 0x21,
    ssl_common_name = 0x22,
    ssl_cipher = 0x23,
    ssl_signature = 0x24,
    ssl_key = 0x25,
    netns = 0x30,
};

/// One entry of type, length and value.
struct proxy_tlv
{
    proxy_tlv_type type{};     ///< also a value that the enumeration does not name
    std::string_view value{};  ///< refers to the proxy_tlvs
};

/// A sequence of TLVs, in the order in which they are in the header. It owns their bytes.
///
/// ```cpp
/// for (duet::proxy_tlv const each : header.tlvs)
///     remember(each.type, each.value);
/// ```
class proxy_tlvs
{
public:
    class iterator
    {
    public:
        using value_type = proxy_tlv;
        using difference_type = std::ptrdiff_t;

        iterator() noexcept = default;

        proxy_tlv operator*() const noexcept
        {
            return {static_cast<proxy_tlv_type>(rest_[0]), rest_.substr(head, size_of(rest_))};
        }

        iterator& operator++() noexcept
        {
            rest_.remove_prefix(head + size_of(rest_));
            return *this;
        }

        iterator operator++(int) noexcept
        {
            auto const before = *this;
            ++*this;
            return before;
        }

        friend bool operator==(iterator const& left, iterator const& right) noexcept
        {
            return left.rest_.size() == right.rest_.size();
        }

    private:
        friend class proxy_tlvs;

        explicit iterator(std::string_view rest) noexcept : rest_{rest} {}

        std::string_view rest_;
    };

    proxy_tlvs() noexcept = default;

    iterator begin() const noexcept { return iterator{bytes_}; }

    static iterator end() noexcept { return iterator{}; }

    bool empty() const noexcept { return bytes_.empty(); }

    /// The value of the first TLV of this type.
    DUET_DECL std::optional<std::string_view> find(proxy_tlv_type type) const noexcept;

    /// Append one. Throws session_error (proxy_errc::too_large) if the value has more than 65,535 bytes.
    DUET_DECL void add(proxy_tlv_type type, std::string_view value);

    /// As in the header.
    std::string const& bytes() const noexcept { return bytes_; }

    /// Take over the bytes of a header. False, and no change: they are no sequence of whole TLVs.
    DUET_DECL bool assign(std::string_view bytes);

private:
    static constexpr std::size_t head = 3;

    /// The size of the value at the begin of `from`, which has at least a head.
    static std::size_t size_of(std::string_view from) noexcept
    {
        return static_cast<std::size_t>(static_cast<std::uint8_t>(from[1])) << 8 |
               static_cast<std::size_t>(static_cast<std::uint8_t>(from[2]));
    }

    std::string bytes_;  // whole TLVs
};

/// What the proxy says of TLS between the client and itself.
struct proxy_ssl
{
    bool tls = false;                  ///< the client has connected over TLS
    bool certificate = false;          ///< the client has shown a certificate on this connection
    bool session_certificate = false;  ///< the client has shown one at least once in this TLS session
    bool verified = false;             ///< a certificate was shown, and the proxy has verified it
    proxy_tlvs details{};              ///< ssl_version, ssl_common_name, ssl_cipher, ssl_signature, ssl_key

    /// The value of a TLV of type ssl. Nothing if it is malformed.
    DUET_DECL static std::optional<proxy_ssl> from(std::string_view value);
};

/// The two ends of a connection that a proxy passes on: the client, and where the client has connected to.
struct proxy_ends
{
    any_endpoint source{};
    any_endpoint destination{};  ///< of the same kind as `source`
};

/// A PROXY header. It has members with destructors: name it before you pass it inside a co_await expression (g++ 12
/// destroys such a temporary twice).
struct proxy_header
{
    proxy_version version = proxy_version::v2;

    /// LOCAL: the proxy itself has connected, as for a health check. A received one has neither ends nor TLVs.
    bool local = false;

    /// The client uses datagrams; its endpoints are told as those of TCP. Version 1 cannot say that.
    bool datagram = false;

    /// Nothing if the proxy does not know, or cannot say (UNKNOWN, AF_UNSPEC).
    std::optional<proxy_ends> ends{};

    proxy_tlvs tlvs{};

    /// Received: there was a CRC32c, and it is right. To send: add one. Only version 2.
    bool checksum = false;

    // The TLVs that most programs look for. What is returned refers to `tlvs`.
    std::optional<std::string_view> alpn() const noexcept { return tlvs.find(proxy_tlv_type::alpn); }

    std::optional<std::string_view> authority() const noexcept { return tlvs.find(proxy_tlv_type::authority); }

    std::optional<std::string_view> unique_id() const noexcept { return tlvs.find(proxy_tlv_type::unique_id); }

    DUET_DECL std::optional<proxy_ssl> ssl() const;
};

/// The header as bytes, to be sent before everything else.
///
/// Version 1 has no TLVs. It says UNKNOWN for LOCAL, where there are no ends, or where they are none of TCP. Ends of
/// different families are both told as IPv6, ends of different kinds not at all. A mapped IPv4 address is one of IPv4.
/// Throws session_error (proxy_errc::too_large).
DUET_DECL std::string encode(proxy_header const& header);

/// What the first bytes of a connection are: see parse_proxy_header().
struct proxy_parsed
{
    error_code error{};  ///< no header, and none with any further bytes: a proxy_errc

    /// The size of the header, which is whole; 0 if it is not. Bytes behind it are the client's.
    std::size_t size = 0;

    /// If there is neither an error nor a whole header: at least so many bytes of it are still to come, so a read of no
    /// more than that takes none of the client's.
    std::size_t wanted = 0;

    std::optional<proxy_header> header{};
};

/// Parse the first bytes of a connection, as many as have arrived, even none. It reports what is wrong as soon as it
/// can tell. `limit` is the largest size of a header of version 2 that is accepted, in bytes, 16 of them before the
/// length's own; version 1 has the bound of the specification, 107 bytes.
DUET_DECL proxy_parsed parse_proxy_header(std::string_view bytes, std::size_t limit = 4096);

/// What a PROXY header has changed of a session: see session::proxied().
struct proxied
{
    proxy_header header{};
    any_endpoint proxy{};  ///< the peer of the connection itself, which has sent the header
    any_endpoint local{};  ///< the end of the connection itself on this side
};

}  // namespace DUET_ABI
}  // namespace duet

template <>
struct boost::system::is_error_code_enum<duet::proxy_errc> : std::true_type
{
};

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/proxy/encode.ipp>
#include <duet/detail/proxy/parse.ipp>
#endif

#endif
