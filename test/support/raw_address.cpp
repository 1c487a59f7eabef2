// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/raw_address.hpp"

#include <cstring>
#include <stdexcept>

#include <netinet/in.h>
#include <sys/un.h>

namespace duet_test {

raw_address raw_address::v4(std::uint16_t const port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return raw_address{&address, sizeof address};
}

raw_address raw_address::v6(std::uint16_t const port)
{
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    return raw_address{&address, sizeof address};
}

raw_address raw_address::local(std::string_view const name)
{
    sockaddr_un address{};
    if (name.size() >= sizeof address.sun_path)
        throw std::length_error{"Unix-domain name too long"};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    // A path ends with its null character, an abstract name with its last one.
    std::size_t const terminator = name.starts_with('\0') ? 0 : 1;
    return raw_address{&address, offsetof(sockaddr_un, sun_path) + name.size() + terminator};
}

raw_address::raw_address(void const* const address, std::size_t const size) : size_{static_cast<socklen_t>(size)}
{
    if (size > sizeof storage_)
        throw std::length_error{"socket address too long"};
    std::memcpy(&storage_, address, size);
}

// sockaddr_in and sockaddr_in6 have the port in the same place.
std::uint16_t raw_address::port() const noexcept
{
    if (family() != AF_INET && family() != AF_INET6)
        return 0;
    sockaddr_in address;
    std::memcpy(&address, &storage_, sizeof address);
    return ntohs(address.sin_port);
}

}  // namespace duet_test
