// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_RAW_ADDRESS_HPP
#define DUET_TEST_RAW_ADDRESS_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sys/socket.h>

namespace duet_test {

// A socket address. from() takes Asio's endpoints.
class raw_address
{
public:
    static raw_address v4(std::uint16_t port);  // 127.0.0.1
    static raw_address v6(std::uint16_t port);  // ::1

    // A Unix-domain address. A name that begins with a null character is abstract: no file, gone with its socket.
    static raw_address local(std::string_view name);

    template <typename Endpoint>
    static raw_address from(Endpoint const& endpoint)
    {
        return raw_address{endpoint.data(), endpoint.size()};
    }

    raw_address(void const* address, std::size_t size);

    sockaddr const* data() const noexcept { return reinterpret_cast<sockaddr const*>(&storage_); }

    socklen_t size() const noexcept { return size_; }

    int family() const noexcept { return storage_.ss_family; }

    std::uint16_t port() const noexcept;  // 0 for a Unix-domain address

private:
    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

}  // namespace duet_test

#endif
