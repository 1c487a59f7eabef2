// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Keeps `depth` requests under way on each connection: a request_stream, which `depth` coroutines ask.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <duet/connector.hpp>
#include <duet/request_stream.hpp>
#include <duet/tasks.hpp>

#include "../clients/asking.hpp"

namespace asio = boost::asio;

namespace {

using requests_type = duet::request_stream<duet::session, duet::length_prefix>;

asio::awaitable<void> ask(load::asking& all, requests_type& requests)
{
    auto const question = all.question();
    while (all.next())
    {
        std::uint64_t const begun = load::now();
        std::string const answer = co_await requests.ask(std::string_view{question.data(), question.size()});
        all.ended(begun, answer, true);
    }
}

asio::awaitable<void> converse(
    load::asking& all, duet::connector& connector, asio::ip::tcp::endpoint server, std::size_t depth)
{
    duet::session peer = co_await connector.connect(server);
    requests_type requests{std::move(peer), duet::length_prefix{.bytes = 4}, 65536};
    auto const body = [&](duet::tasks& scope) -> asio::awaitable<void>
    {
        for (std::size_t i = 0; i < depth; ++i)
            scope.begin(ask(all, requests));
        co_return;
    };
    co_await duet::with_tasks(body);
    co_await requests.close();
}

}  // namespace

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    asio::io_context context;
    load::asking all{o};
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    asio::ip::tcp::endpoint const server{asio::ip::address_v4::loopback(), o.port};
    for (std::size_t i = 0; i < o.connections; ++i)
        asio::co_spawn(context, converse(all, connector, server, o.depth),
            [](std::exception_ptr failed)
            {
                if (failed)
                    std::rethrow_exception(failed);
            });
    context.run();
    all.finish().print(o);
}
