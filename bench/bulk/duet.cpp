// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// As posix.c, with duet.

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include <duet/duet.hpp>

#include "transfer.hpp"

int main(int argc, char** argv)
{
    asio::io_context context;
    auto const port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    duet::server server{context, {.port = port, .address = "127.0.0.1"}, transfer<duet::session>};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, server);
}
