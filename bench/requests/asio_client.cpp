// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The same by hand, with Asio's coroutines: one loop for each connection reads answers, finds the request of each by
// its id, and writes as many further requests together. Nobody waits for a single one, and none has a deadline.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <unordered_map>

#include <boost/asio.hpp>

#include "../clients/asking.hpp"
#include "messages.hpp"

using boost::asio::awaitable;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;
namespace asio = boost::asio;

namespace {

class client
{
public:
    explicit client(load::asking& all) : all_{all} {}

    awaitable<void> converse(asio::io_context& context, tcp::endpoint server, std::size_t depth)
    {
        tcp::socket socket{context};
        co_await socket.async_connect(server, use_awaitable);
        socket.set_option(tcp::no_delay{true});
        for (std::size_t i = 0; i < depth; ++i)
            ask();
        requests::input input;
        while (!begun_.empty())
        {
            if (!output_.empty())
                co_await async_write(socket, asio::buffer(output_), use_awaitable);
            output_.clear();
            auto const room = asio::buffer(input.room(), input.room_size());
            std::size_t const size = co_await socket.async_read_some(room, use_awaitable);
            input.add(size);
            while (auto const answer = input.next())
                take(*answer);
            if (input.wrong())
                load::wrong("what came is no answer");
        }
        socket.shutdown(tcp::socket::shutdown_send);
        char byte;
        boost::system::error_code end;
        co_await socket.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, end));
    }

private:
    void ask()
    {
        if (!all_.next())
            return;
        auto const question = all_.question();
        begun_.emplace(next_id_, load::now());
        requests::append(output_, next_id_++, {question.data(), question.size()});
    }

    void take(requests::message const& answer)
    {
        auto const found = begun_.find(answer.id);
        if (found == begun_.end())
            load::wrong("an answer that nobody asked for");
        all_.ended(found->second, answer.body, true);
        begun_.erase(found);
        ask();
    }

    load::asking& all_;
    std::unordered_map<std::uint64_t, std::uint64_t> begun_;  // when each request was, by its id
    std::string output_;
    std::uint64_t next_id_ = 1;
};

awaitable<void> converse(load::asking& all, asio::io_context& context, tcp::endpoint server, std::size_t depth)
{
    client one{all};
    co_await one.converse(context, server, depth);
}

}  // namespace

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    asio::io_context context{1};
    load::asking all{o};
    tcp::endpoint const server{asio::ip::address_v4::loopback(), o.port};
    for (std::size_t i = 0; i < o.connections; ++i)
        asio::co_spawn(context, converse(all, context, server, o.depth),
            [](std::exception_ptr failed)
            {
                if (failed)
                    std::rethrow_exception(failed);
            });
    context.run();
    all.finish().print(o);
}
