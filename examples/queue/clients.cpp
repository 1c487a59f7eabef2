// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "clients.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <duet/connector.hpp>
#include <duet/error.hpp>

#include "../lifecycle/network.hpp"

namespace asio = boost::asio;

namespace example {
namespace {

constexpr std::size_t greeting_limit = 100;

constexpr std::array<std::pair<fate, std::string_view>, 7> shown{{
    {fate::served, "served"},
    {fate::connected, "connected and not heard"},
    {fate::unknown, "connected, which the server does not know"},
    {fate::reset, "reset"},
    {fate::timed_out, "timed out"},
    {fate::deaf, "without an answer"},
    {fate::connecting, "without an answer"},
}};

}  // namespace

clients::clients(asio::any_io_executor executor, duet::tasks& all, endpoint const& server)
    : executor_{std::move(executor)}, tasks_{all}, server_{server}
{
}

void clients::client::become(fate next)
{
    now = next;
    took = clock::now() - began;
}

void clients::come(unsigned count, milliseconds patience)
{
    for (unsigned number = 0; number != count; ++number)
        tasks_.begin(visit(all_.emplace_back(executor_), patience));
}

void clients::come_deaf()
{
    deaf_.emplace(executor_, asio::ip::tcp::v4());
    lose_incoming(deaf_->native_handle(), duet::tcp_flags::syn);
    tasks_.begin(visit_deaf(all_.emplace_back(executor_)));
}

void clients::hear()
{
    lose_nothing(deaf_->native_handle());
}

void clients::leave()
{
    auto const one = std::ranges::find(all_, fate::served, &client::now);
    if (one == all_.end())
        return;
    one->now = fate::leaving;
    one->stay.cancel();
}

asio::awaitable<void> clients::visit(client& self, milliseconds patience)
{
    try
    {
        co_await talk(self, patience);
    }
    catch (duet::session_error const& error)
    {
        if (error.code() == duet::errc::connect_timed_out)
            self.become(fate::timed_out);
        else if (error.code() == duet::condition::reset)
            self.become(fate::reset);
        else
            throw;
    }
}

asio::awaitable<void> clients::talk(client& self, milliseconds patience)
{
    duet::connector connector{executor_, {.timeout = patience}};
    duet::session peer = co_await connector.connect(server_);
    self.become(fate::connected);
    std::string greeting;
    co_await peer.read_until(greeting, "\n", greeting_limit);
    self.become(fate::served);
    duet::error_code cancelled;
    co_await self.stay.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    co_await peer.close();
    self.become(fate::gone);
}

/// Without duet, because the filter must be on the socket before it connects.
asio::awaitable<void> clients::visit_deaf(client& self)
{
    self.now = fate::deaf;
    co_await deaf_->async_connect(server_, asio::use_awaitable);
    self.become(fate::unknown);
    std::string_view const question = "is anybody there?\n";
    co_await asio::async_write(*deaf_, asio::buffer(question), asio::use_awaitable);
    std::array<char, greeting_limit> answer;
    duet::error_code error;
    co_await deaf_->async_read_some(asio::buffer(answer), asio::redirect_error(asio::use_awaitable, error));
    self.become(error == asio::error::connection_reset ? fate::reset : error ? fate::gone : fate::served);
}

std::size_t clients::count(fate what) const
{
    return static_cast<std::size_t>(std::ranges::count(all_, what, &client::now));
}

clients::clock::duration clients::slowest(fate what) const
{
    clock::duration result{};
    for (auto const& each : all_)
        if (each.now == what)
            result = std::max(result, each.took);
    return result;
}

clients::milliseconds clients::longest(fate what) const
{
    return std::chrono::ceil<milliseconds>(slowest(what));
}

std::string clients::in_words() const
{
    std::string result;
    for (auto const& [what, name] : shown)
    {
        auto const number = count(what);
        if (number == 0)
            continue;
        result += fmt::format("{}{} {}", result.empty() ? "" : ", ", number, name);
        std::chrono::duration<double, std::milli> const took = slowest(what);
        if (what != fate::connecting && what != fate::deaf)
            result += fmt::format(" ({:.1f} ms)", took.count());
    }
    return result.empty() ? "-" : result;
}

}  // namespace example
