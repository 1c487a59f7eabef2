// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Answers each request with what it says: serve_requests(). A message stands behind its size in four bytes, and begins
// with an id of eight.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include <duet/duet.hpp>

namespace asio = boost::asio;

namespace {

asio::awaitable<std::string> answer(std::string request)
{
    co_return request;
}

asio::awaitable<void> serve(duet::session peer)
{
    co_await duet::serve_requests(
        peer, duet::length_prefix{.bytes = 4}, 65536, answer, duet::serve_requests_options{.max_concurrent = 256});
}

}  // namespace

int main(int argc, char** argv)
{
    asio::io_context context;
    duet::server_options options{.address = "127.0.0.1"};
    if (argc > 1)
        options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    duet::server server{context, options, serve};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, {.print = true}, server);
}
