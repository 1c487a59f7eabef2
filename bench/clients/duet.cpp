// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connect, ask, read the answer, close: as a program that uses duet writes it.

#include <chrono>
#include <cstdint>
#include <exception>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <duet/connector.hpp>

#include "asking.hpp"

namespace asio = boost::asio;

asio::awaitable<void> converse(load::asking& all, duet::connector& connector, asio::ip::tcp::endpoint server)
{
    auto const question = all.question();
    std::vector<char> answer(question.size());
    while (all.next())
    {
        std::uint64_t const begun = load::now();
        duet::session peer = co_await connector.connect(server);
        co_await peer.write(asio::buffer(question.data(), question.size()));
        co_await peer.read(asio::buffer(answer));
        duet::close_report const end = co_await peer.close();
        all.ended(begun, answer, end.clean());
    }
}

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    asio::io_context context;
    load::asking all{o};
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    asio::ip::tcp::endpoint const server{asio::ip::address_v4::loopback(), o.port};
    for (std::size_t i = 0; i < o.connections; ++i)
        asio::co_spawn(context, converse(all, connector, server),
            [](std::exception_ptr failed)
            {
                if (failed)
                    std::rethrow_exception(failed);
            });
    context.run();
    all.finish().print(o);
}
