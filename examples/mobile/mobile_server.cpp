// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The server of mobile_client: answers each message with its number and its text. A conversation outlives the
// connections that carry it. Try: mobile_server --port 7777 & mobile_client --count 10

#include <fmt/ostream.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <duet/run.hpp>

#include "../options.hpp"
#include "conversation_table.hpp"
#include "exchange.hpp"

namespace asio = boost::asio;
using namespace example;

namespace {

struct settings
{
    rhythm pace;
    bool quiet;
};

/// A line for whom it may concern; the id is a secret, so only its begin.
void tell(settings const& how, std::string_view id, std::string_view what, seat const& own, duet::session const& peer)
{
    if (!how.quiet)
        fmt::print("{:02x}{:02x} {} {}, heard {}\n", static_cast<unsigned char>(id[0]),
            static_cast<unsigned char>(id[1]), fmt::streamed(peer.remote_endpoint()), what, own.talk.heard());
}

/// The program: it takes a message only if there is room for its answer. So a client that does not acknowledge answers
/// is not heard.
bool answer(conversation& talk)
{
    while (talk.has_room())
    {
        auto const text = talk.hear();
        if (!text)
            break;
        talk.say(fmt::format("{}: {}", talk.heard(), *text).substr(0, most_text));
    }
    return true;
}

/// The conversation that a connection is for; if there is none, what to tell the client.
std::shared_ptr<seat> seat_for(frame const& hello, conversation_table& all, std::string_view& refusal)
{
    bool const begins = hello.kind == frame_kind::begin;
    if ((!begins && hello.kind != frame_kind::resume) || hello.text.size() != id_size)
        throw std::runtime_error{"this is no begin of a conversation"};
    std::string const id{hello.text};
    refusal = begins ? "full" : "unknown";
    return begins ? all.find_or_begin(id) : all.find(id);
}

/// One connection, from the welcome on. True: the client has said bye.
asio::awaitable<bool> carry(frame_pipe& client, seat& own, std::uint64_t acknowledged)
{
    if (!own.talk.acknowledge(acknowledged))
        throw std::runtime_error{"the client has heard what was not said"};
    answer(own.talk);
    exchange messages{client, own.talk, own.words, [&] { return answer(own.talk); }};
    co_await client.send({.kind = frame_kind::welcome, .acknowledged = own.talk.heard()});
    bool const bye = co_await messages.run();
    co_return bye;
}

asio::awaitable<void> serve(duet::session peer, conversation_table& all, settings const& how)
{
    frame_pipe client{peer, how.pace};
    auto const hello = co_await client.receive();
    if (!hello)
        co_return;
    std::string const id{hello->text};
    std::uint64_t const acknowledged = hello->acknowledged;
    std::string_view refusal;
    auto const own = seat_for(*hello, all, refusal);
    if (!own)
    {
        co_await client.send({.kind = frame_kind::refused, .text = refusal});
        co_return;
    }
    bool const taken = co_await own->take(hello->number, peer.canceller());
    if (!taken)
        co_return;
    struct holding
    {
        seat& place;
        ~holding() { place.leave(); }
    } const until_the_end{*own};
    tell(how, id, "connected", *own, peer);
    bool const bye = co_await carry(client, *own, acknowledged);
    if (bye)
    {
        tell(how, id, "said bye", *own, peer);
        all.forget(id);
    }
}

}  // namespace

int main(int argc, char** argv)
try
{
    options const options{argc, argv, "Answers each message with its number, on whatever connection it comes.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"quiet", "", "print nothing of each connection"},
            {"most", "10000", "the most conversations to know"},
            {"keep", "3600", "units until a conversation without a connection is forgotten"},
            {"unit", "1000", "milliseconds: the unit of all times"}}};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    std::chrono::milliseconds const unit{options.number("unit")};
    settings const how{rhythm_of(unit), options.flag("quiet")};
    duet::server_options limits{.port = options.port()};
    limits.max_sessions = 900;  // below the limit of descriptors
    limits.at_limit = duet::limit_policy::shed;
    // Who says nothing is ended by receive(). So is who says a byte now and then: a frame has its time, and not each
    // byte. Here is the rest: who takes nothing of what it is sent, and who does not end.
    limits.session.deadlines.write = how.pace.silence;
    limits.session.send_buffer_size = 16 * 1024;  // else the kernel takes megabytes for one who never reads them
    limits.session.deadlines.close = how.pace.silence;
    limits.session.deadlines.close_total = 2 * how.pace.silence;
    asio::io_context context;
    conversation_table all{context.get_executor(), options.number("most"), options.number("keep") * unit};
    duet::server server{context, limits, [&](duet::session peer) { return serve(std::move(peer), all, how); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "mobile_server: {}\n", error.what());
    return 1;
}
