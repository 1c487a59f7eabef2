// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server with a handler that is none. It is not to compile, and one line says why.

#include <duet/server.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace {

using boost::asio::awaitable;

RESULT handler(PARAMETER)
{
    co_return VALUE;
}

}  // namespace

int main()
{
    boost::asio::io_context context;
    duet::server const server{context, {}, handler};
}
