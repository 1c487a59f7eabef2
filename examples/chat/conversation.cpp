// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "conversation.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <string>
#include <string_view>

#include <duet/error.hpp>
#include <duet/line_reader.hpp>

#include "pace.hpp"
#include "text.hpp"

namespace asio = boost::asio;

namespace chat {

namespace {

struct client
{
    duet::session& peer;
    duet::line_reader& lines;
    hall& all;
    member& self;
};

/// Until it proposes a name that nobody has. False: it did not.
asio::awaitable<bool> introduce(client& who)
{
    auto const& bounds = who.all.bounds();
    auto const rule = fmt::format("* a name has up to {} letters, digits, - and _\n", bounds.name);
    co_await who.peer.write("* your name?\n");
    for (std::size_t tries = bounds.tries; tries > 0; --tries)
    {
        auto const line = co_await who.lines.next().within(bounds.to_name);
        if (!line)
            break;
        if (!is_name(*line, bounds.name))
            co_await who.peer.write(rule);
        else if (who.all.enter(who.self, std::string{*line}))
        {
            who.peer.set_note(who.self.name);
            co_return true;
        }
        else
            co_await who.peer.write("* somebody has this name\n");
    }
    co_return false;
}

void join(std::string_view to, client& who)
{
    if (is_name(to, who.all.bounds().name))
        who.all.move(who.self, std::string{to});
    else
        who.self.hear(make_line("* a room has a name as members have\n"));
}

/// False: it wants to go.
bool obey(std::string_view line, client& who)
{
    constexpr std::string_view to_join = "/join ";
    if (line == "/quit")
        return false;
    if (line == "/names")
        who.all.tell_names(who.self);
    else if (line == "/history")
        who.all.tell_history(who.self);
    else if (line.starts_with(to_join))
        join(line.substr(to_join.size()), who);
    else if (line.starts_with('/'))
        who.self.hear(make_line("* /join ROOM, /names, /history, /quit\n"));
    else if (!line.empty())
        who.all.say(who.self, printable(line));
    return true;
}

/// Until it has left, or the server stops.
asio::awaitable<void> talk(client& who)
{
    pace speed{who.all.bounds().pace, who.all.bounds().burst};
    asio::steady_timer timer{who.peer.get_executor()};
    while (!who.peer.finish_requested())
    {
        auto const line = co_await who.lines.next();
        if (!line || !obey(*line, who))
            break;
        auto const pause = speed.pause_after(pace::clock::now());
        if (pause > pace::clock::duration::zero())
        {
            timer.expires_after(pause);
            co_await timer.async_wait(asio::use_awaitable);
        }
    }
}

std::string why(duet::error_code error)
{
    if (error == duet::condition::dead_peer)
        return "is gone: its network does not answer";
    if (error == duet::errc::queue_full || error == duet::errc::aborted)  // see member::hear()
        return "is gone: reads too slowly";
    return "is gone: " + error.message();
}

/// Its presence: it leaves the hall when this ends, however that is.
asio::awaitable<void> stay(client& who)
{
    struct presence
    {
        client& of;
        std::string end = "has left";
        ~presence() { of.all.leave(of.self, end); }
    } here{who};
    try
    {
        bool const named = co_await introduce(who);
        if (named)
            co_await talk(who);
    }
    catch (duet::session_error const& error)
    {
        here.end = why(error.code());
        throw;
    }
    if (who.peer.finish_requested())
    {
        who.self.hear(make_line("* the server stops\n"));
        here.end.clear();  // everybody leaves
    }
}

}  // namespace

asio::awaitable<void> serve(duet::session peer, hall& all)
{
    duet::line_reader lines{peer, all.bounds().line};
    member self{peer};
    client who{peer, lines, all, self};
    co_await stay(who);
    self.catch_up(peer);
}

}  // namespace chat
