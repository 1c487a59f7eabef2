// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "stage.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include <duet/merge.hpp>

#include "network.hpp"

namespace example {
namespace {

constexpr std::chrono::seconds longest{60};

asio::awaitable<void> accept_one(duet::acceptor& listening, stage::part& act)
{
    duet::session peer = co_await listening.accept();
    co_await act(std::move(peer));
}

asio::awaitable<void> connect_one(duet::connector& connecting, stage::endpoint to, stage::part& act)
{
    duet::session peer = co_await connecting.connect(to);
    co_await act(std::move(peer));
}

/// Captured is in a network of its own; where that is refused, here, if that is allowed.
std::unique_ptr<duet::tap> capture(bool own_network, bool wanted)
{
    std::string refusal;
    try
    {
        if (own_network || wanted)
            enter_own_network();
    }
    catch (not_permitted const& error)
    {
        if (own_network)
            throw;
        refusal = error.what() + std::string{"; "};
    }
    try
    {
        return wanted ? std::make_unique<duet::tap>() : nullptr;
    }
    catch (boost::system::system_error const& error)
    {
        throw not_permitted{refusal + error.what()};
    }
}

/// One session of each connection: the client's, if both are here.
std::vector<std::uint32_t> connections_of(duet::trace_log const& log)
{
    std::vector<std::uint32_t> result;
    for (auto const& each : log.sessions)
        if (each.client || log.other_end(each) == nullptr)
            result.push_back(each.number);
    return result;
}

}  // namespace

stage::stage(std::string const& scene, bool own_network, bool tap)
    : tap_{capture(own_network, tap)}, trace_{{.program = "lifecycle " + scene}}
{
}

void stage::play(part& server, part& client, duet::session_options const& options)
{
    auto listening = listen({.session = options});
    auto connecting = connector({.session = options});
    begin(accept_one(listening, server));
    begin(connect_one(connecting, listening.local_endpoint(), client));
    run();
}

duet::acceptor stage::listen(duet::acceptor_options const& options, endpoint const& at)
{
    auto result = listen_unseen(options, at);
    trace_.attach(result);
    return result;
}

duet::acceptor stage::listen_unseen(duet::acceptor_options const& options, endpoint const& at)
{
    duet::acceptor result{context_, at, options};
    endpoints_.push_back(result.local_endpoint());
    return result;
}

asio::ip::tcp::acceptor stage::listen_by_hand(int backlog)
{
    asio::ip::tcp::acceptor result{context_, asio::ip::tcp::v4()};
    result.bind(any_port());
    result.listen(backlog);
    endpoints_.push_back(result.local_endpoint());
    return result;
}

asio::ip::tcp::socket stage::reserve()
{
    asio::ip::tcp::socket result{context_, any_port()};
    endpoints_.push_back(result.local_endpoint());
    return result;
}

std::vector<asio::ip::tcp::socket> stage::fill_queue(endpoint const& of, int count)
{
    std::vector<asio::ip::tcp::socket> result;
    for (int number = 0; number != count; ++number)
        result.emplace_back(context_).connect(of);
    return result;
}

duet::connector stage::connector(duet::connector_options const& options, duet::system_resolver const& resolver)
{
    duet::connector result{context_, options, resolver};
    trace_.attach(result);
    return result;
}

void stage::begin(asio::awaitable<void> act)
{
    asio::co_spawn(context_, std::move(act),
        [this](std::exception_ptr failure)
        {
            if (!failure)
                return;
            failure_ = failure;
            context_.stop();
        });
}

void stage::run()
{
    context_.restart();
    context_.run_for(longest);
    if (failure_)
        std::rethrow_exception(std::exchange(failure_, nullptr));
    if (!context_.stopped())
        throw std::runtime_error{"the scene does not end"};
}

asio::awaitable<void> stage::pause(std::chrono::milliseconds time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::deferred);
}

stage::recording stage::end()
{
    recording result{trace_.log(), {}, tap_ != nullptr, {}};
    if (tap_)
    {
        result.capture = tap_->take();
        auto const ours = [&](endpoint const& one)
        { return std::find(endpoints_.begin(), endpoints_.end(), one) != endpoints_.end(); };
        std::erase_if(result.capture.segments, [&](auto const& each) { return !ours(each.from) && !ours(each.to); });
        duet::merge(result.log, result.capture);
    }
    result.connections = connections_of(result.log);
    return result;
}

}  // namespace example
