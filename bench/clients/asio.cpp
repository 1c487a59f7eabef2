// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connect, ask, read the answer, FIN, read to the server's, close: with Asio's coroutines, as its examples write it.

#include <cstdint>
#include <exception>
#include <vector>

#include <boost/asio.hpp>

#include "asking.hpp"

using boost::asio::awaitable;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;
namespace asio = boost::asio;

awaitable<void> converse(load::asking& all, asio::io_context& context, tcp::endpoint server)
{
    auto const question = all.question();
    std::vector<char> answer(question.size());
    while (all.next())
    {
        std::uint64_t const begun = load::now();
        tcp::socket socket{context};
        co_await socket.async_connect(server, use_awaitable);
        socket.set_option(tcp::no_delay{true});
        co_await async_write(socket, asio::buffer(question.data(), question.size()), use_awaitable);
        co_await async_read(socket, asio::buffer(answer), use_awaitable);
        socket.shutdown(tcp::socket::shutdown_send);
        char byte;
        boost::system::error_code end;
        co_await socket.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, end));
        socket.close();
        all.ended(begun, answer, end == asio::error::eof);
    }
}

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    asio::io_context context{1};
    load::asking all{o};
    tcp::endpoint const server{asio::ip::address_v4::loopback(), o.port};
    for (std::size_t i = 0; i < o.connections; ++i)
        asio::co_spawn(context, converse(all, context, server),
            [](std::exception_ptr failed)
            {
                if (failed)
                    std::rethrow_exception(failed);
            });
    context.run();
    all.finish().print(o);
}
