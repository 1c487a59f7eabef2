// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// To or from a server of bench/bulk: we send 8 bytes, the number of bytes that we want; it sends those. Then we send,
// it reads to our FIN, and answers with 8 bytes, the number of bytes that it got, and its FIN.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/socket.h>

#include "modes.hpp"
#include "pattern.hpp"
#include "system.hpp"

namespace load {
namespace {

constexpr std::size_t chunk = 65536;

void download(int descriptor, std::uint64_t wanted, std::vector<char>& buffer)
{
    for (std::uint64_t received = 0; received < wanted;)
    {
        ssize_t const size = recv(descriptor, buffer.data(), buffer.size(), 0);
        if (size < 0)
            fail("recv");
        if (size == 0)
            wrong("the server ended too early");
        received += static_cast<std::uint64_t>(size);
        if (received > wanted)
            wrong("the server sent too much");
    }
}

void upload(int descriptor, std::uint64_t bytes, pattern const& data)
{
    for (std::uint64_t sent = 0; sent < bytes;)
    {
        auto const size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk, bytes - sent));
        send_all(descriptor, data.at(sent), size);
        sent += size;
    }
}

}  // namespace

report run_bulk(options const& o)
{
    report result;
    pattern const data{chunk};
    std::vector<char> buffer(chunk);
    int const descriptor = connect_to(o.port, 0);
    std::uint64_t const down = o.mode == "down" ? o.bytes : 0;
    std::uint64_t const up = o.mode == "up" ? o.bytes : 0;

    result.begin = usage::of(o.server);
    send_all(descriptor, &down, sizeof down);
    download(descriptor, down, buffer);
    upload(descriptor, up, data);
    half_close(descriptor);
    std::uint64_t taken = 0;
    receive_all(descriptor, &taken, sizeof taken);
    result.end = usage::of(o.server);
    if (taken != up)
        wrong("the server got another number of bytes than we sent");
    result.bytes = o.bytes;
    result.requests = 1;
    result.count_end(receive_end(descriptor));
    return result;
}

}  // namespace load
