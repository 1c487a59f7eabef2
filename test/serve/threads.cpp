// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server's threads: they serve at once and end together; and where they run.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.threads
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/forked.hpp"
#include "support/processors.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DUET_TEST_THREAD_SANITIZER  // a child may start no thread
#endif
#endif

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// Taken before any server could pin the thread.
auto const processors = processors_of_this_thread();

std::string in_words(std::vector<int> const& numbers)
{
    std::string words;
    for (int const number : numbers)
        words += std::to_string(number) + " ";
    return words;
}

/// How many threads of the program are kept on this processor.
int threads_on(int processor)
{
    int count = 0;
    for (auto const& task : std::filesystem::directory_iterator{"/proc/self/task"})
    {
        cpu_set_t allowed;
        CPU_ZERO(&allowed);
        ::sched_getaffinity(std::stoi(task.path().filename().string()), sizeof allowed, &allowed);
        count += CPU_COUNT(&allowed) == 1 && CPU_ISSET(static_cast<std::size_t>(processor), &allowed) ? 1 : 0;
    }
    return count;
}

/// Tells the client on which processors its thread may run.
asio::awaitable<void> tell_processors(duet::session peer)
{
    co_await write(peer, in_words(processors_of_this_thread()));
}

/// What a client hears that speaks from this processor.
std::string heard_on(int processor, duet::server const& serving)
{
    on_processor const here{processor};
    auto client = client_of(serving);
    client.shutdown_write();
    auto heard = client.recv_all();
    client.close();
    return heard.error == 0 ? heard.data : "error " + std::to_string(heard.error);
}

/// What eight clients hear on each of these processors, in turn.
std::vector<std::string> heard_on_each(
    std::vector<int> const& numbers, asio::io_context& context, duet::server& serving)
{
    std::vector<std::string> all;
    run(context,
        [](duet::server& s, std::vector<int> const& from, std::vector<std::string>& result) -> asio::awaitable<void>
        {
            auto const ask = [&]
            {
                for (int round = 0; round < 8; ++round)
                    for (int const number : from)
                        result.push_back(heard_on(number, s));
                return 0;
            };
            co_await in_thread(ask);
            co_await drain(s, 20s);
        }(serving, numbers, all));
    return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(several_threads_serve_at_once_and_drain_together)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::mutex mutex;
    std::set<std::thread::id> threads;
    auto options = on_loopback();
    options.threads = 4;
    auto const handler = [&](duet::session peer) -> asio::awaitable<void>
    {
        {
            std::lock_guard const lock{mutex};
            threads.insert(std::this_thread::get_id());
        }
        co_await polite<duet::session>(std::move(peer));
    };
    duet::server serving{context, options, handler};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            std::deque<raw_socket> clients;
            auto const talk = [&]
            {
                for (int i = 0; i < 64; ++i)
                {
                    clients.push_back(client_of(s));
                    clients.back().send_all("hello");
                    BOOST_TEST(clients.back().recv_exactly(5) == "hello");
                }
                return 0;
            };
            co_await in_thread(talk);
            auto const executor = co_await asio::this_coro::executor;
            started<duet::drain_report> draining{executor, drain(s, 20s)};
            auto const leave = [&]
            {
                for (auto& client : clients)
                {
                    BOOST_TEST(client.recv_all().error == 0);
                    client.close();
                }
                return 0;
            };
            co_await in_thread(leave);
            auto const report = co_await draining.result();
            BOOST_TEST(report.finished == 64u);
            BOOST_TEST(report.aborted == 0u);
        }(serving));
    BOOST_TEST(threads.size() > 1u);  // the kernel spreads 64 connections over 4 listeners
    BOOST_TEST(serving.counters().accepted == 64u);
    BOOST_TEST(serving.counters().completed == 64u);
}

BOOST_AUTO_TEST_CASE(several_threads_are_ended_by_destruction)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::deque<raw_socket> clients;
    {
        auto options = on_loopback();
        options.threads = 3;
        duet::server serving{context, options, echo};
        for (int i = 0; i < 30; ++i)
            clients.push_back(client_of(serving));
        while (serving.counters().active < 30)
            context.run_for(1ms);
    }
    context.restart();
    context.run();
    for (auto& client : clients)
        BOOST_TEST(client.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(pinned_threads_serve_what_arrives_on_their_processors)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    auto options = on_loopback();
    options.threads = processors.size() + 1;  // the last one shares the first one's
    options.pin_threads = true;
    duet::server serving{context, options, tell_processors};
    auto const heard = heard_on_each(processors, context, serving);
    for (std::size_t i = 0; i < heard.size(); ++i)
        BOOST_TEST(heard[i] == in_words({processors[i % processors.size()]}));
    eventually([] { return threads_on(processors.front()) >= 2; }, "the last thread shares the first one's");
}

BOOST_AUTO_TEST_CASE(threads_that_are_not_pinned_run_anywhere)
{
    asio::io_context context;
    auto options = on_loopback();
    options.threads = 2;
    duet::server serving{context, options, tell_processors};
    for (auto const& heard : heard_on_each(processors, context, serving))
        BOOST_TEST(heard == in_words(processors));
}

// Told of one processor, it would give the others' clients to no thread but one.
BOOST_AUTO_TEST_CASE(pinned_threads_of_one_socket_share_it)
{
    asio::io_context context;
    duet::acceptor listening{context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    int const listener = listening.native_handle();
    auto options = on_loopback();
    options.threads = 2;
    options.pin_threads = true;
    duet::server serving{context, std::move(listening), options, tell_processors};
    int told = 0;
    ::socklen_t size = sizeof(told);
    BOOST_TEST(::getsockopt(listener, SOL_SOCKET, SO_INCOMING_CPU, &told, &size) == 0);
    BOOST_TEST(told == -1);
    for (auto const& heard : heard_on_each(processors, context, serving))
        BOOST_TEST((heard == in_words({processors.front()}) || heard == in_words({processors[1 % processors.size()]})));
}

BOOST_AUTO_TEST_CASE(the_thread_that_runs_the_context_is_pinned_for_the_server_alone)
{
    auto options = on_loopback();
    options.pin_threads = true;
    asio::io_context context;
    {
        duet::server serving{context, options, tell_processors};
        BOOST_TEST(in_words(processors_of_this_thread()) == in_words(processors));  // it may be run by another
        for (auto const& heard : heard_on_each({processors.front()}, context, serving))
            BOOST_TEST(heard == in_words({processors.front()}));
        BOOST_TEST(in_words(processors_of_this_thread()) == in_words({processors.front()}));
    }
    BOOST_TEST(in_words(processors_of_this_thread()) == in_words(processors));
    {
        duet::server const not_run{context, options, tell_processors};
    }
    context.restart();
    context.run();
    BOOST_TEST(in_words(processors_of_this_thread()) == in_words(processors));
}

#if !defined(NDEBUG) && !defined(__SANITIZE_THREAD__) && !defined(DUET_TEST_THREAD_SANITIZER)
// Its sessions may be running there at this moment.
BOOST_AUTO_TEST_CASE(destroying_a_server_on_the_wrong_thread_is_caught)
{
    auto const destroy = []
    {
        ::signal(SIGABRT, SIG_DFL);  // it is the test framework's
        asio::io_context context;
        auto serving = std::make_unique<duet::server>(context, on_loopback(), echo);
        std::thread runs{[&] { context.run(); }};
        auto const client = client_of(*serving);
        eventually([&] { return serving->counters().active == 1; }, "the client is served");
        serving.reset();
        runs.join();
    };
    int const status = in_child(destroy);
    BOOST_TEST(WIFSIGNALED(status));
    BOOST_TEST(WTERMSIG(status) == SIGABRT);
}
#endif
