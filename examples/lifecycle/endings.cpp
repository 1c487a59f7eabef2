// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connections that do not end as both programs want it.

#include <string>

#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

asio::awaitable<void> answer_half(duet::session peer)
{
    std::string question;
    co_await peer.read_until(question, "\n", 1000);
    co_await peer.write("the first half of an ");
    peer.abort();
}

asio::awaitable<void> want_all(duet::session peer)
{
    co_await peer.write("the answer?\n");
    try
    {
        co_await peer.read_all(1000);
    }
    catch (duet::session_error const&)  // reset: what has come is not all
    {
    }
}

}  // namespace

void abort_by_server(stage& on)
{
    on.play(answer_half, want_all);
}

}  // namespace example
