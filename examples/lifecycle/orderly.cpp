// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Both ends finish: every byte has arrived, and both know it.

#include <algorithm>
#include <string>
#include <string_view>

#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> answer(duet::session& peer)
{
    std::string input;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 1000);
        if (size == 0)  // the client's FIN
            break;
        std::string const reply = "re: " + input.substr(0, size);
        co_await peer.write(reply);
        input.erase(0, size);
    }
}

asio::awaitable<void> ask(duet::session& peer, std::string question)
{
    std::string reply;
    co_await peer.write(question);
    co_await peer.read_until(reply, "\n", 1000);
}

asio::awaitable<void> answer_with_last_words(duet::session peer)
{
    co_await answer(peer);
    co_await peer.write("last words\n");
    co_await peer.close();
}

asio::awaitable<void> ask_and_listen(duet::session peer)
{
    co_await ask(peer, "who?\n");
    co_await peer.shutdown_send();
    co_await peer.read_all(1000);
    co_await peer.close();
}

asio::awaitable<void> answer_all(duet::session peer)
{
    co_await answer(peer);
    co_await peer.close();
}

asio::awaitable<void> ask_twice(duet::session peer)
{
    co_await ask(peer, "who?\n");
    co_await ask(peer, "why?\n");
    co_await peer.close();
}

asio::awaitable<void> sort(duet::session peer)
{
    std::string letters = co_await peer.read_all(1000);
    std::ranges::sort(letters);
    co_await peer.write(letters);
    co_await peer.close();
}

asio::awaitable<void> be_sorted(duet::session peer)
{
    co_await peer.write("cab");
    co_await peer.write("fed");
    co_await peer.shutdown_send();
    co_await peer.read_all(1000);
    co_await peer.close();
}

/// Neither waits for the other: each has something to say, and some more a little later.
asio::awaitable<void> talk(duet::session& peer, std::string_view first, std::string_view second)
{
    co_await peer.write(first);
    co_await stage::pause(20ms);
    co_await peer.write(second);
    co_await stage::pause(20ms);
    co_await peer.shutdown_send();
    co_await peer.read_all(1000);
    co_await peer.close();
}

asio::awaitable<void> talk_as_server(duet::session peer)
{
    co_await talk(peer, "the server's first", "and its second");
}

asio::awaitable<void> talk_as_client(duet::session peer)
{
    co_await talk(peer, "the client's first", "its second");
}

}  // namespace

void whole_flow(stage& on)
{
    on.play(answer_with_last_words, ask_and_listen);
}

void question_answer(stage& on)
{
    on.play(answer_all, ask_twice);
}

void half_close(stage& on)
{
    on.play(sort, be_sorted);
}

void full_duplex(stage& on)
{
    on.play(talk_as_server, talk_as_client);
}

}  // namespace example
