// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_HEADERS_HPP
#define DUET_TEST_HEADERS_HPP

// PROXY headers byte by byte, written without the library.

#include <duet/proxy_header.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

inline std::ostream& boost_test_print_type(std::ostream& out, proxy_errc value)
{
    return out << make_error_code(value).message();
}

}  // namespace duet

namespace duet_test {

inline std::string bytes_of(std::vector<int> const& values)
{
    return {values.begin(), values.end()};
}

inline std::string number(std::size_t value, int bytes)
{
    std::string result;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        result += static_cast<char>(value >> shift & 0xff);
    return result;
}

inline std::string tlv(int type, std::string_view value)
{
    return bytes_of({type}) + number(value.size(), 2) + std::string{value};
}

/// Version 2, whose length is that of `rest`.
inline std::string binary(int version_and_command, int family_and_transport, std::string_view rest)
{
    return bytes_of({0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, version_and_command,
               family_and_transport}) +
           number(rest.size(), 2) + std::string{rest};
}

/// From 192.0.2.1:1027 to 198.51.100.7:443.
inline std::string const four_ends = bytes_of({192, 0, 2, 1, 198, 51, 100, 7, 4, 3, 1, 187});

/// From [2001:db8::1]:1027 to [::1]:443.
inline std::string const six_ends = bytes_of({0x20, 0x01, 0x0d, 0xb8}) + std::string(11, '\0') + bytes_of({1}) +
                                    std::string(15, '\0') + bytes_of({1, 4, 3, 1, 187});

inline std::string path(std::string_view name)
{
    std::string result{name};
    result.resize(108);
    return result;
}

inline std::string const unix_ends = path("/run/client") + path("/run/server");

/// One of each kind that is right.
inline std::vector<std::string> whole_headers()
{
    std::string const names = tlv(1, "h2") + tlv(2, "example.com") + tlv(0xe0, "") + tlv(4, std::string(300, '\0'));
    return {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        "PROXY TCP4 1.1.1.1 255.255.255.255 1 65535\r\n", "PROXY TCP4 255.255.255.255 1.1.1.1 65535 1\r\n",
        "PROXY TCP6 :: :: 0 0\r\n", "PROXY TCP6 1:: ::1:2 0 0\r\n",
        "PROXY TCP6 0:0:0:0:0:ffff:1.2.3.4 1:2:3:4:5:6:7:8 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n", "PROXY TCP6 2001:db8::1 ::1 1027 443\r\n",
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "PROXY UNKNOWN\r\n", "PROXY UNKNOWN x\r\n",
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        binary(0x20, 0x00, ""), binary(0x20, 0x11, four_ends), binary(0x20, 0x00, "any bytes"), binary(0x21, 0x00, ""),
        binary(0x21, 0x00, names), binary(0x21, 0x11, four_ends), binary(0x21, 0x12, four_ends),
        binary(0x21, 0x11, four_ends + names), binary(0x21, 0x21, six_ends), binary(0x21, 0x21, six_ends + names),
        binary(0x21, 0x31, unix_ends), binary(0x21, 0x32, unix_ends + names)};
}

inline std::string printable(std::string_view bytes)
{
    std::string result;
    for (char const each : bytes)
        result += each >= ' ' && each <= '~' ? each : '?';
    return result;
}

}  // namespace duet_test

#endif
