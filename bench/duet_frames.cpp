// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends back messages that stand behind their size in four bytes: with a frame_stream; with --buffered it takes those
// that are there without a co_await for each; --by-hand, with a loop that does the same on the session: it reads into a
// buffer, looks for messages, and writes what was gathered.

#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string_view>
#include <vector>

#include <duet/duet.hpp>

namespace asio = boost::asio;

namespace {

constexpr std::size_t limit = 64 * 1024;

asio::awaitable<void> frames(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, limit};
    for (;;)
    {
        auto const message = co_await messages.next();
        if (!message)
            break;
        messages.put(*message);
    }
}

asio::awaitable<void> buffered_frames(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, limit};
    for (;;)
    {
        auto message = co_await messages.next();
        if (!message)
            break;
        for (; message; message = messages.next_buffered())
            messages.put(*message);
    }
}

std::size_t size_of_frame(char const* at)
{
    std::array<unsigned char, 4> head;
    std::memcpy(head.data(), at, head.size());
    return 4 + (std::size_t{head[0]} << 24 | std::size_t{head[1]} << 16 | std::size_t{head[2]} << 8 | head[3]);
}

asio::awaitable<void> by_hand(duet::session peer)
{
    std::vector<char> input(limit);
    std::vector<char> output;
    std::size_t begin = 0;
    std::size_t end = 0;
    for (;;)
    {
        while (end - begin >= 4)
        {
            std::size_t const size = size_of_frame(&input[begin]);
            if (size > limit)
                co_return;
            if (end - begin < size)
                break;
            auto const* const frame = input.data() + begin;
            output.insert(output.end(), frame, frame + size);
            begin += size;
        }
        if (!output.empty())
        {
            co_await peer.write(asio::buffer(output));
            output.clear();
        }
        std::memmove(input.data(), input.data() + begin, end - begin);
        end -= begin;
        begin = 0;
        std::size_t const size = co_await peer.read_some(asio::buffer(input.data() + end, input.size() - end));
        if (size == 0)
            break;
        end += size;
    }
}

template <class Handler>
int serve(duet::server_options const& options, Handler handler)
{
    asio::io_context context;
    duet::server server{context, options, handler};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, {.print = true}, server);
}

}  // namespace

int main(int argc, char** argv)
{
    duet::server_options options{.address = "127.0.0.1"};
    bool hand_written = false;
    bool buffered = false;
    for (int i = 1; i < argc; ++i)
    {
        if (std::string_view{argv[i]} == "--by-hand")
            hand_written = true;
        else if (std::string_view{argv[i]} == "--buffered")
            buffered = true;
        else
            options.port = static_cast<std::uint16_t>(std::atoi(argv[i]));
    }
    if (hand_written)
        return serve(options, by_hand);
    return buffered ? serve(options, buffered_frames) : serve(options, frames);
}
