// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sessions of several threads of a server, which reach each other. (ThreadSanitizer is the judge.)

#include <duet/remote.hpp>

#define BOOST_TEST_MODULE serve.remote
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// What the sessions of all threads share.
class everybody
{
public:
    void join(duet::session const& peer)
    {
        std::lock_guard const lock{mutex_};
        members_.emplace_back(peer);
    }

    /// All of them write it.
    void say(std::string text)
    {
        auto const line = std::make_shared<std::string const>(std::move(text));
        std::lock_guard const lock{mutex_};
        std::erase_if(members_, [&](auto const& each) { return !each.post([line](auto& peer) { tell(peer, line); }); });
    }

    std::size_t size()
    {
        std::lock_guard const lock{mutex_};
        return members_.size();
    }

private:
    static void tell(duet::session& peer, std::shared_ptr<std::string const> const& line)
    {
        peer.write(asio::buffer(*line))([line](duet::error_code, std::size_t) {});
    }

    std::mutex mutex_;
    std::vector<duet::remote<duet::session>> members_;
};

/// Every line is of 5 bytes. The first one of a client is its own affair.
asio::awaitable<bool> pass_on(everybody& all, duet::session& peer)
{
    std::string line(5, '\0');
    auto const more = co_await peer.read_or_end(asio::buffer(line));
    if (!more)
        co_return false;
    if (line == "join\n")
    {
        all.join(peer);
        co_await peer.write(asio::buffer(line));
    }
    else
        all.say(line);
    co_return true;
}

asio::awaitable<void> pass_all_on(everybody& all, duet::session peer)
{
    for (bool more = true; more;)
        more = co_await pass_on(all, peer);
}

void talk_from_all_threads(std::function<std::unique_ptr<duet::server>(
        asio::io_context& context, duet::server_options const& options, everybody& all)> const& make)
{
    constexpr std::size_t count = 16;
    constexpr std::size_t lines = 20;
    asio::io_context context;
    everybody all;
    auto options = on_loopback();
    options.threads = 3;
    auto const serving = make(context, options, all);
    auto const talk = [&]
    {
        std::deque<raw_socket> clients;
        for (std::size_t i = 0; i < count; ++i)
        {
            clients.push_back(client_of(*serving));
            clients.back().send_all("join\n");
            BOOST_TEST(clients.back().recv_exactly(5) == "join\n");
        }
        std::string line = "lineX";
        for (std::size_t i = 0; i < lines; ++i)
            for (std::size_t k = 0; k < count; ++k)
            {
                line.back() = static_cast<char>('a' + k);
                clients[k].send_all(line);
            }
        for (auto& each : clients)
        {
            auto const heard = each.recv_exactly(5 * count * lines);
            std::vector<std::size_t> said(count);
            for (std::size_t at = 0; at < heard.size(); at += 5)
            {
                BOOST_REQUIRE(heard.substr(at, 4) == "line");
                ++said.at(static_cast<std::size_t>(heard[at + 4] - 'a'));
            }
            for (auto const times : said)
                BOOST_TEST(times == lines);
        }
        for (auto& each : clients)
        {
            each.shutdown_write();
            BOOST_TEST(each.recv_all().data.empty());
        }
    };
    run(context,
        [](duet::server& s, auto const& work) -> asio::awaitable<void>
        {
            co_await in_thread(work);
            co_await drain(s, 20s);
        }(*serving, talk));
    BOOST_TEST(serving->counters().completed == count);
    BOOST_TEST(all.size() == count);
    all.say("there?");  // nobody is
    BOOST_TEST(all.size() == 0u);
}

}  // namespace

BOOST_AUTO_TEST_CASE(handlers_that_own_their_sessions_reach_those_of_other_threads)
{
    talk_from_all_threads(
        [](asio::io_context& context, duet::server_options const& options, everybody& all)
        {
            auto const handler = [&all](duet::session peer) { return pass_all_on(all, std::move(peer)); };
            return std::make_unique<duet::server>(context, options, handler);
        });
}

BOOST_AUTO_TEST_CASE(message_handlers_reach_sessions_of_other_threads)
{
    talk_from_all_threads(
        [](asio::io_context& context, duet::server_options const& options, everybody& all)
        {
            auto const handler = [&all](duet::session& peer) { return pass_on(all, peer); };
            return std::make_unique<duet::server>(context, options, handler);
        });
}

// Among them those that wait for a message, without a coroutine.
BOOST_AUTO_TEST_CASE(a_remote_may_outlive_the_server_and_its_threads)
{
    everybody all;
    asio::io_context context;
    std::deque<raw_socket> clients;
    {
        auto options = on_loopback();
        options.threads = 3;
        auto const handler = [&all](duet::session& peer) { return pass_on(all, peer); };
        duet::server const serving{context, options, handler};
        for (int i = 0; i < 12; ++i)
        {
            clients.push_back(client_of(serving));
            clients.back().send_all("join\n");
        }
        serve(context, [&] { return all.size() == 12; });
    }
    context.restart();
    context.run();
    all.say("there?");
    BOOST_TEST(all.size() == 0u);
}
