// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The same by hand, with Asio's coroutines: reads what is there, calls the function that answers for one request after
// the other, and writes the answers together.

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include <boost/asio.hpp>

#include "messages.hpp"

using boost::asio::awaitable;
using boost::asio::co_spawn;
using boost::asio::detached;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;
namespace asio = boost::asio;

namespace {

awaitable<std::string> answer(std::string request)
{
    co_return request;
}

awaitable<void> serve(tcp::socket socket)
{
    try
    {
        requests::input input;
        std::string output;
        while (!input.wrong())
        {
            auto const room = asio::buffer(input.room(), input.room_size());
            std::size_t const size = co_await socket.async_read_some(room, use_awaitable);
            input.add(size);
            output.clear();
            while (auto const request = input.next())
            {
                std::string body{request->body};
                std::string const reply = co_await answer(std::move(body));
                requests::append(output, request->id, reply);
            }
            if (!output.empty())
                co_await async_write(socket, asio::buffer(output), use_awaitable);
        }
    }
    catch (std::exception const&)  // the end of the connection, too
    {
    }
}

awaitable<void> listen(tcp::acceptor& acceptor)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
        socket.set_option(tcp::no_delay{true});
        co_spawn(executor, serve(std::move(socket)), detached);
    }
}

}  // namespace

int main(int argc, char** argv)
{
    auto const port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0);
    asio::io_context context{1};
    tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), port}};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    co_spawn(context, listen(acceptor), detached);
    context.run();
}
