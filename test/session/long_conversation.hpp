// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_LONG_CONVERSATION_HPP
#define DUET_TEST_LONG_CONVERSATION_HPP

// A conversation of two sessions that has every kind of operation in it, to be interrupted at each of its moments.

#include "session/operations.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <string>

namespace duet_test {

template <class Session>
asio::awaitable<void> ask(Session s)
{
    std::string line;
    for (int i = 0; i < 3; ++i)
    {
        co_await write(s, "question " + std::to_string(i) + "\n");
        auto const size = co_await s.read_until(line, "\n", 100);
        line.erase(0, size);
    }
    auto const much = pattern(100'000);
    co_await s.write(asio::buffer(much));
    co_await s.shutdown_send();
    co_await s.delivered();
    std::string rest;
    co_await s.read_all(rest, 1'000'000);
    co_await s.wait_peer_gone();
    co_await s.close();
}

template <class Session>
asio::awaitable<void> answer(Session s)
{
    std::string data(4096, '\0');
    for (;;)
    {
        bool const readable = co_await s.wait_readable();
        if (!readable)
            break;
        auto const size = co_await s.read_some(asio::buffer(data));
        if (size == 0)
            break;
        co_await s.write(asio::buffer(data.data(), size));
    }
    co_await s.close();
}

}  // namespace duet_test

#endif
