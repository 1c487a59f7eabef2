// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What ends duet::run(), besides one signal for one server, and what it says then.

#define BOOST_TEST_MODULE serve.run_end
#include "serve/run_fixture.hpp"

#include "support/in_thread.hpp"

#include <duet/run.hpp>

#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

using namespace duet_test;

BOOST_AUTO_TEST_CASE(it_says_nothing_unless_it_is_asked_to)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    asio::post(context, [] { ::raise(SIGTERM); });
    captured_errors const captured;
    auto const report = duet::run(context, serving);
    BOOST_TEST((report.end == duet::run_end::signal));
    BOOST_TEST(report.signal == SIGTERM);
    BOOST_TEST(report.exit_status() == 0);
    BOOST_TEST(to_string(report) == "drained: 0 finished, 0 aborted");
    BOOST_TEST(captured.text().empty());
}

BOOST_AUTO_TEST_CASE(the_program_ends_it_by_stopping_the_context)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    asio::post(context, [&] { context.stop(); });
    auto const report = duet::run(context, serving);
    BOOST_TEST((report.end == duet::run_end::stopped));
    BOOST_TEST(report.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(a_session_that_the_stopped_context_leaves_is_a_session_that_was_cut)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    auto client = client_of(serving);
    auto const stop = [&]() -> asio::awaitable<void>
    {
        co_await until_served(serving, 1);
        context.stop();
    };
    script clients{context, stop()};
    auto const report = duet::run(context, serving);
    BOOST_TEST((report.end == duet::run_end::stopped));
    BOOST_TEST(report.aborted == 1U);
    BOOST_TEST(report.exit_status() == 1);
    clients.finish();
}

BOOST_AUTO_TEST_CASE(the_program_ends_it_by_a_drain_or_an_abort_of_its_own)
{
    for (bool const gently : {true, false})
    {
        asio::io_context context;
        duet::server serving{context, patient(), echo};
        auto client = client_of(serving);
        auto const end = [&]() -> asio::awaitable<void>
        {
            co_await until_served(serving, 1);
            if (gently)
                co_await serving.drain(10min);
            else
                serving.abort();
        };
        script clients{context, end()};
        auto const report = duet::run(context, serving);
        BOOST_TEST((report.end == duet::run_end::drained));
        BOOST_TEST(report.finished == (gently ? 1U : 0U));
        BOOST_TEST(report.aborted == (gently ? 0U : 1U));
        clients.finish();
    }
}

BOOST_AUTO_TEST_CASE(several_servers_drain_together)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server one{context, patient(), echo};
    duet::server two{context, patient(), echo};
    auto first = client_of(one);
    auto second = client_of(two);
    auto const play = [&]() -> asio::awaitable<void>
    {
        co_await until_served(one, 1);
        co_await until_served(two, 1);
        ::raise(SIGTERM);
        auto const ends = [&] { return std::pair{first.recv_all().error, second.recv_all().error}; };
        auto const heard = co_await in_thread(ends);
        BOOST_TEST(heard.first == 0);
        BOOST_TEST(heard.second == 0);
    };
    script clients{context, play()};
    auto const report = duet::run(context, one, two);
    BOOST_TEST(report.finished == 2U);
    BOOST_TEST(report.exit_status() == 0);
    clients.finish();
}

BOOST_AUTO_TEST_CASE(one_server_that_ends_does_not_end_the_others)
{
    asio::io_context context;
    duet::server one{context, patient(), echo};
    duet::server two{context, patient(), echo};
    auto client = client_of(two);
    auto const play = [&]() -> asio::awaitable<void>
    {
        co_await one.drain(10min);
        co_await until_served(two, 1);
        ::raise(SIGTERM);
    };
    script clients{context, play()};
    auto const report = duet::run(context, one, two);
    BOOST_TEST((report.end == duet::run_end::signal));
    BOOST_TEST(report.finished == 1U);
    clients.finish();
}

// nohup(1), and the background jobs of a shell.
BOOST_AUTO_TEST_CASE(a_signal_that_is_ignored_stays_ignored)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    ::signal(SIGINT, SIG_IGN);
    asio::post(context,
        []
        {
            ::raise(SIGINT);
            ::raise(SIGTERM);
        });
    auto const report = duet::run(context, serving);
    BOOST_TEST(report.signal == SIGTERM);
    BOOST_TEST((handler_of(SIGINT) == SIG_IGN));
    ::signal(SIGINT, SIG_DFL);
}

// A reader of stderr that is gone sends SIGPIPE, and one that does not read blocks.
BOOST_AUTO_TEST_CASE(a_reader_of_stderr_that_is_gone_or_full_delays_nothing)
{
    for (bool const gone : {true, false})
    {
        asio::io_context context;
        duet::server serving{context, patient(), echo};
        asio::post(context, [] { ::raise(SIGTERM); });
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        descriptor const before{checked(::dup(STDERR_FILENO), "dup")};
        std::fflush(stderr);
        if (gone)
            ::close(ends[0]);
        else
        {
            ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
            while (::write(ends[1], "full", 4) > 0)
                continue;
            ::fcntl(ends[1], F_SETFL, 0);
        }
        ::dup2(ends[1], STDERR_FILENO);
        int const status = duet::run(context, {.print = true}, serving);
        ::dup2(before.get(), STDERR_FILENO);
        ::close(ends[1]);
        if (!gone)
            ::close(ends[0]);
        BOOST_TEST(status == 0);
    }
}
