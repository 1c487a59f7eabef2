// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// duet::run() for servers whose threads belong to the program.

#define BOOST_TEST_MODULE serve.run_executors
#include <boost/test/unit_test.hpp>

#include "serve/executors_fixture.hpp"
#include "serve/run_fixture.hpp"

#include <duet/run.hpp>

#include <boost/asio/thread_pool.hpp>

#include <csignal>
#include <deque>
#include <thread>
#include <utility>

#include <sys/socket.h>

using namespace duet_test;

namespace {

duet::server_options patient_strands(std::size_t count)
{
    auto options = patient();
    options.threads = count;
    return options;
}

/// Wait until run() handles the signal: before that it would end the program.
void raise_when_handled(int number)
{
    eventually([&] { return handler_of(number) != SIG_DFL; }, "the signal is handled");
    ::kill(::getpid(), number);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_signal_drains_servers_on_executors)
{
    asio::thread_pool pool{4};
    duet::server first{pool, patient_strands(4), polite<duet::session>};
    duet::server second{asio::make_strand(pool), patient_strands(1), polite<duet::session>};
    auto clients = clients_of(first, 4);
    clients.push_back(client_of(second));
    exchange(clients, 2);
    std::jthread const ends{[&]
        {
            raise_when_handled(SIGTERM);
            for (auto& each : clients)
            {
                each.recv_all();
                each.close();
            }
        }};
    auto const report = duet::run(first, second);
    BOOST_TEST((report.end == duet::run_end::signal));
    BOOST_TEST(report.signal == SIGTERM);
    BOOST_TEST(report.finished == 5U);
    BOOST_TEST(report.exit_status() == 0);
    pool.join();
}

BOOST_AUTO_TEST_CASE(a_second_signal_resets_the_rest)
{
    asio::thread_pool pool{2};
    duet::server serving{pool, patient_strands(2), echo};
    auto clients = clients_of(serving, 3);
    exchange(clients, 1);
    std::jthread const ends{[&]
        {
            raise_when_handled(SIGINT);
            eventually([&] { return !serving.ready(); }, "the drain has begun");
            raise_when_handled(SIGINT);
            for (auto& each : clients)
                each.recv_all();
        }};
    auto const report = duet::run(serving);
    BOOST_TEST((report.end == duet::run_end::signal));
    BOOST_TEST(report.aborted == 3U);
    BOOST_TEST(report.exit_status() == 1);
}

BOOST_AUTO_TEST_CASE(the_failure_of_a_listener_drains)
{
    asio::thread_pool pool{2};
    duet::acceptor listening{pool, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    int const listener = listening.native_handle();
    duet::server serving{pool, std::move(listening), patient_strands(1), echo};
    std::jthread const fails{[=] { ::shutdown(listener, SHUT_RDWR); }};
    auto const report = duet::run(serving);
    BOOST_TEST((report.end == duet::run_end::listener_failure));
    BOOST_TEST((report.listener_failure != nullptr));
}

BOOST_AUTO_TEST_CASE(the_program_may_drain_or_abort_meanwhile)
{
    asio::thread_pool pool{2};
    duet::server serving{pool, patient_strands(2), echo};
    auto clients = clients_of(serving, 2);
    exchange(clients, 1);
    std::jthread const aborts{[&] { serving.abort(); }};
    auto const report = duet::run(serving);
    BOOST_TEST((report.end == duet::run_end::drained));
    BOOST_TEST(report.aborted == 2U);
}

// For the signals: the server's threads are its program's own.
BOOST_AUTO_TEST_CASE(a_context_runs_beside_a_server_on_an_executor)
{
    asio::thread_pool pool{2};
    asio::io_context context;
    duet::server here{context, patient(), echo};
    duet::server there{pool, patient_strands(2), echo};
    asio::post(context, [] { ::raise(SIGTERM); });
    BOOST_TEST((duet::run(context, here, there).end == duet::run_end::signal));
    BOOST_TEST(!there.ready());
}

BOOST_AUTO_TEST_CASE(a_server_on_an_io_context_is_refused)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    BOOST_CHECK_EXCEPTION(duet::run(serving), duet::session_error,
        [](duet::session_error const& error) { return error.code() == asio::error::invalid_argument; });
    BOOST_TEST(serving.ready());
}
