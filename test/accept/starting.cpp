// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Who gets an endpoint that several want: one, and the others are told so.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.starting
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/forked.hpp"

#include <duet/server.hpp>

#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using unix_protocol = asio::local::stream_protocol;

namespace {

duet::server_options at_port(std::uint16_t port, std::size_t threads, bool share = false)
{
    auto options = on_loopback();
    options.port = port;
    options.threads = threads;
    options.share_port = share;
    return options;
}

/// What a server on this port starts with, or fails with.
duet::error_code start(std::uint16_t port, std::size_t threads, bool share = false)
{
    asio::io_context context;
    try
    {
        duet::server const serving{context, at_port(port, threads, share), echo};
        return {};
    }
    catch (duet::session_error const& error)
    {
        return error.code();
    }
}

/// A directory for one test's paths.
struct own_directory
{
    own_directory() { std::filesystem::create_directory(path); }
    ~own_directory() { std::filesystem::remove_all(path); }

    std::string const path = "/tmp/duet-starting-" + std::to_string(::getpid());
};

/// Threads that do the same thing at the same moment, round after round. Counts those that say that they succeeded.
struct starters
{
    template <class Before, class Start, class After>
    static void compete(int rounds, int count, Before const& before, Start const& begin, After const& after)
    {
        std::atomic<int> won{0};
        int phase = 0;
        auto const next = [&]() noexcept
        {
            if (phase % 2 == 0)
                before(phase / 2);
            else  // all have tried
                after(won.exchange(0));
            ++phase;
        };
        std::barrier meeting{count, next};
        std::vector<std::jthread> threads;
        for (int i = 0; i < count; ++i)
            threads.emplace_back(
                [&]
                {
                    for (int each = 0; each < rounds; ++each)
                    {
                        meeting.arrive_and_wait();
                        auto const held = begin();
                        won += held ? 1 : 0;
                        meeting.arrive_and_wait();
                    }
                });
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_second_server_on_a_port_is_refused)
{
    for (std::size_t const threads : {1U, 2U})
    {
        asio::io_context context;
        duet::server const first{context, at_port(0, threads), echo};
        auto const port = first.local_endpoint().port();
        for (std::size_t const others : {1U, 2U})
            BOOST_TEST((start(port, others) == asio::error::address_in_use));
        BOOST_TEST(in_child(
                       [&]
                       {
                           if (start(port, threads) != asio::error::address_in_use)
                               throw std::runtime_error{"another process got the port"};
                       }) == 0);
    }
}

BOOST_AUTO_TEST_CASE(an_address_is_a_numeric_one_and_nothing_else)
{
    asio::io_context context;
    std::string const with_null{"127.0.0.1\0.evil.example", 22};
    for (std::string const address : {"localhost", "[127.0.0.1]", "[::1", "::1]", "127.0.0.1 ", "127.1"})
        BOOST_CHECK_EXCEPTION((duet::server{context, {.address = address}, echo}), duet::session_error,
            [](auto const& error) { return error.code() == asio::error::invalid_argument; });
    BOOST_CHECK_THROW((duet::server{context, {.address = with_null}, echo}), duet::session_error);

    std::optional<duet::server> plain;
    try
    {
        plain.emplace(context, duet::server_options{.address = "::1"}, echo);
    }
    catch (duet::session_error const&)
    {
        return;  // no IPv6 here
    }
    duet::server const bracketed{context, {.address = "[::1]"}, echo};
    BOOST_TEST(bracketed.local_endpoint().address() == plain->local_endpoint().address());
}

BOOST_AUTO_TEST_CASE(servers_that_ask_for_it_share_a_port)
{
    asio::io_context context;
    duet::server const first{context, at_port(0, 1, true), echo};
    auto const port = first.local_endpoint().port();
    BOOST_TEST(!start(port, 1, true).failed());
    BOOST_TEST(!start(port, 2, true).failed());
    BOOST_TEST((start(port, 1) == asio::error::address_in_use));
    BOOST_TEST((start(port, 2) == asio::error::address_in_use));
}

BOOST_AUTO_TEST_CASE(the_threads_of_a_server_have_listeners_of_their_own)
{
    asio::io_context context;
    duet::server serving{context, at_port(0, 2), echo};
    auto const port = serving.local_endpoint().port();
    // Nobody runs the context: what its listener gets stays there, what the other thread's gets is served.
    std::vector<raw_socket> clients;
    for (int i = 0; i < 64; ++i)
        clients.push_back(raw_socket::connect(raw_address::v4(port)));
    eventually([&] { return serving.counters().accepted > 0; }, "the other thread accepts");
    BOOST_TEST(serving.counters().accepted < 64U);
    serve(context, [&] { return serving.counters().accepted == 64U; });
}

BOOST_AUTO_TEST_CASE(connections_of_an_earlier_server_do_not_keep_the_next_from_starting)
{
    auto const hang_up = [](duet::session peer) -> asio::awaitable<void> { co_await peer.shutdown_send(); };
    std::uint16_t port = 0;
    for (int round = 0; round < 3; ++round)
    {
        asio::io_context context;
        duet::server serving{context, at_port(port, 2), hang_up};
        port = serving.local_endpoint().port();
        auto client = client_of(serving);
        serve(context, [&] { return client.is_open() && poll_text(client.fd()).find("RDHUP") != std::string::npos; });
        client.close();
        serve(context, [&] { return count_state(kernel_state::time_wait, port) > 0; });
    }
}

BOOST_AUTO_TEST_CASE(of_servers_that_start_on_a_port_at_the_same_moment_one_gets_it)
{
    std::uint16_t port = 0;
    {
        raw_listener const free;
        port = free.port();
    }
    struct held
    {
        asio::io_context context;
        std::optional<duet::server> serving;
    };
    int none = 0;
    int several = 0;
    starters::compete(
        300, 4, [](int) {},
        [&]
        {
            auto result = std::make_unique<held>();
            try
            {
                result->serving.emplace(result->context, at_port(port, 2), echo);
            }
            catch (duet::session_error const&)
            {
                result.reset();
            }
            return result;
        },
        [&](int won)
        {
            none += won == 0 ? 1 : 0;
            several += won > 1 ? 1 : 0;
        });
    BOOST_TEST(several == 0);
    BOOST_TEST(none == 0);
}

BOOST_AUTO_TEST_CASE(of_eight_starters_at_a_unix_domain_path_one_owns_it)
{
    own_directory const directory;
    auto const path = directory.path + "/socket";
    unix_protocol::endpoint const endpoint{path};
    asio::io_context outside;
    std::atomic<int> wrong{0};
    int unreachable = 0;
    // Each second round finds the file of a listener that has died.
    auto const leave_file = [&](int round)
    {
        if (round % 2 == 1)
            unix_protocol::acceptor const dead{outside, endpoint};
    };
    struct held
    {
        asio::io_context context;
        std::optional<duet::unix_acceptor> listening;
    };
    starters::compete(
        2000, 8, leave_file,
        [&]
        {
            auto result = std::make_unique<held>();
            try
            {
                result->listening.emplace(result->context, endpoint);
            }
            catch (duet::session_error const& error)
            {
                if (error.code() != asio::error::address_in_use)
                    ++wrong;
                result.reset();
            }
            return result;
        },
        [&](int won)
        {
            wrong += won == 1 ? 0 : 1;
            auto client = raw_socket::start_connect(raw_address::local(path));
            unreachable += client.wait_connected() == 0 ? 0 : 1;
        });
    BOOST_TEST(wrong == 0);
    BOOST_TEST(unreachable == 0);
    BOOST_TEST(std::filesystem::is_empty(directory.path));
}
