// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// duet::run(): what each signal does, what it returns, and that it leaves nothing behind, however it is left.

#define BOOST_TEST_MODULE serve.run
#include <duet/run.hpp>

#include <boost/test/unit_test.hpp>

#include "serve/run_fixture.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// One client is being served, and one waits in the kernel's queue: both finish by themselves.
asio::awaitable<void> drained_by(duet::server& serving, int number)
{
    auto client = client_of(serving);
    co_await until_served(serving, 1);
    auto late = client_of(serving);
    late.send_all("one last question");
    ::raise(number);
    auto const talk = [&]
    {
        auto heard = late.recv_all();
        late.close();
        BOOST_TEST(client.recv_all().error == 0);
        client.close();
        return heard;
    };
    auto const heard = co_await in_thread(talk);
    BOOST_TEST(heard.data == "one last question");
    BOOST_TEST(heard.error == 0);
}

void a_signal_drains(int number)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    auto const result = run_with(context, serving, drained_by(serving, number));
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.errors == "duet: drained: 2 finished, 0 aborted\n");
    BOOST_TEST(serving.counters().active == 0u);
}

/// The first signal leaves the session alone, which has no ear for it; the second resets it.
asio::awaitable<void> aborted_by(duet::server& serving, int first, int second)
{
    auto client = client_of(serving);
    co_await until_served(serving, 1);
    ::raise(first);
    auto const talk = [&]
    {
        client.send_all("still there?");
        return client.recv_exactly(12);
    };
    auto const heard = co_await in_thread(talk);
    BOOST_TEST(heard == "still there?");
    ::raise(second);
    auto const end = co_await in_thread([&] { return client.recv_all(); });
    BOOST_TEST(end.error == ECONNRESET);
}

void a_second_signal_aborts(int first, int second)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    auto const result = run_with(context, serving, aborted_by(serving, first, second));
    BOOST_TEST(result.code == 1);
    BOOST_TEST(result.errors == "duet: drained: 0 finished, 1 aborted\n");
}

asio::awaitable<duet::drain_report> drain(duet::server& serving)
{
    auto const report = co_await serving.drain(20s);
    co_return report;
}

}  // namespace

// P28, P29: the queue is served, the listener closed, and nobody is reset.
BOOST_AUTO_TEST_CASE(p28_sigterm_drains_and_0_says_that_every_session_finished)
{
    a_signal_drains(SIGTERM);
}

BOOST_AUTO_TEST_CASE(p29_sigint_drains_and_0_says_that_every_session_finished)
{
    a_signal_drains(SIGINT);
}

BOOST_AUTO_TEST_CASE(a_second_sigterm_resets_what_is_left_and_returns_1)
{
    a_second_signal_aborts(SIGTERM, SIGTERM);
}

BOOST_AUTO_TEST_CASE(either_signal_may_be_the_second)
{
    a_second_signal_aborts(SIGINT, SIGTERM);
    a_second_signal_aborts(SIGTERM, SIGINT);
}

BOOST_AUTO_TEST_CASE(two_signals_at_once_are_two)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    auto const body = [](duet::server& s) -> asio::awaitable<void>
    {
        auto client = client_of(s);
        co_await until_served(s, 1);
        ::raise(SIGINT);
        ::raise(SIGINT);
        auto const end = co_await in_thread([&] { return client.recv_all(); });
        BOOST_TEST(end.error == ECONNRESET);
    };
    BOOST_TEST(run_with(context, serving, body(serving)).code == 1);
}

// P29: it ends in time.
BOOST_AUTO_TEST_CASE(p29_sessions_that_do_not_finish_within_drain_timeout_are_reset_and_1_says_so)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(20ms), echo};
    auto const body = [](duet::server& s) -> asio::awaitable<void>
    {
        auto client = client_of(s);
        co_await until_served(s, 1);
        ::raise(SIGTERM);
        auto const end = co_await in_thread([&] { return client.recv_all(); });
        BOOST_TEST(end.error == ECONNRESET);
    };
    auto const result = run_with(context, serving, body(serving));
    BOOST_TEST(result.code == 1);
    BOOST_TEST(result.errors == "duet: drained: 0 finished, 1 aborted\n");
}

BOOST_AUTO_TEST_CASE(the_process_may_be_signalled_from_outside_and_the_server_have_several_threads)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    auto options = patient();
    options.threads = 2;
    duet::server serving{context, options, polite<duet::session>};
    auto const body = [](duet::server& s) -> asio::awaitable<void>
    {
        std::array<raw_socket, 8> clients;
        for (auto& each : clients)
            each = client_of(s);
        co_await until_served(s, clients.size());
        auto const talk = [&]
        {
            checked(::kill(::getpid(), SIGTERM), "kill");
            for (auto& each : clients)
            {
                BOOST_TEST(each.recv_all().error == 0);
                each.close();
            }
        };
        co_await in_thread(talk);
    };
    auto const result = run_with(context, serving, body(serving));
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.errors == "duet: drained: 8 finished, 0 aborted\n");
}

BOOST_AUTO_TEST_CASE(what_else_lives_on_the_context_does_not_keep_the_program)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    asio::steady_timer other{context, 1h};
    other.async_wait([](boost::system::error_code const&) {});
    asio::post(context, [] { ::raise(SIGTERM); });
    captured_errors const captured;
    BOOST_TEST(duet::run(context, {.print = true}, serving) == 0);
    BOOST_TEST(captured.text() == "duet: drained: 0 finished, 0 aborted\n");
}

BOOST_AUTO_TEST_CASE(it_runs_a_unix_server_too)
{
    asio::io_context context;
    std::string const path = std::string(1, '\0') + "duet-run-" + std::to_string(::getpid());
    duet::unix_server serving{context, duet::unix_acceptor{context, asio::local::stream_protocol::endpoint{path}},
        patient(), polite<duet::unix_session>};
    auto const body = [](duet::unix_server& s, std::string const& at) -> asio::awaitable<void>
    {
        auto client = raw_socket::connect(raw_address::local(at));
        co_await until([&] { return s.counters().active == 1; }, "a session");
        ::raise(SIGTERM);
        auto const talk = [&]
        {
            BOOST_TEST(client.recv_all().error == 0);
            client.close();
        };
        co_await in_thread(talk);
    };
    BOOST_TEST(run_with(context, serving, body(serving, path)).code == 0);
}

// While it runs, the two signals are its own; no longer.
BOOST_AUTO_TEST_CASE(the_signals_are_the_programs_again_when_it_has_returned)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    BOOST_TEST(signals_at_default());
    asio::post(context,
        []
        {
            BOOST_TEST(!signals_at_default());
            ::raise(SIGTERM);
        });
    captured_errors const captured;
    BOOST_TEST(duet::run(context, {.print = true}, serving) == 0);
    BOOST_TEST(signals_at_default());
}

BOOST_AUTO_TEST_CASE(it_may_be_called_again_with_another_server_on_the_same_context)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::optional<duet::server> first;
    first.emplace(context, patient(), polite<duet::session>);
    auto const once = run_with(context, *first, drained_by(*first, SIGTERM));
    BOOST_TEST(once.code == 0);
    first.reset();
    duet::server second{context, patient(), echo};
    auto const again = run_with(context, second, aborted_by(second, SIGINT, SIGINT));
    BOOST_TEST(again.code == 1);
    BOOST_TEST(again.errors == "duet: drained: 0 finished, 1 aborted\n");
}

BOOST_AUTO_TEST_CASE(it_may_be_called_again_in_the_same_program)
{
    for (int i = 0; i < 3; ++i)
        a_signal_drains(SIGTERM);
}

BOOST_AUTO_TEST_CASE(a_server_that_has_drained_is_drained_at_once)
{
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    BOOST_TEST(run_with(context, serving, drained_by(serving, SIGTERM)).code == 0);
    asio::post(context, [] { ::raise(SIGTERM); });
    captured_errors const captured;
    BOOST_TEST(duet::run(context, {.print = true}, serving) == 0);
    BOOST_TEST(captured.text() == "duet: drained: 2 finished, 0 aborted\n");
}

BOOST_AUTO_TEST_CASE(a_listener_that_fails_ends_it_with_1_and_the_sessions_finish)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    breakable_server broken{context};
    auto const body = [](breakable_server& b) -> asio::awaitable<void>
    {
        auto client = client_of(b.serving);
        co_await until_served(b.serving, 1);
        b.break_listener();
        auto const talk = [&]
        {
            auto heard = client.recv_all();
            client.close();
            return heard;
        };
        auto const heard = co_await in_thread(talk);
        BOOST_TEST(heard.error == 0);
    };
    auto const result = run_with(context, broken.serving, body(broken));
    BOOST_TEST(result.code == 1);
    BOOST_TEST(result.errors.find("duet: drained: 1 finished, 0 aborted\nduet: ") == 0u);
    BOOST_TEST(result.errors.find("accept") != std::string::npos);  // which call it was
    BOOST_TEST(broken.failed());
}

BOOST_AUTO_TEST_CASE(a_listener_that_has_failed_before_ends_it_at_once)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    breakable_server broken{context};
    broken.break_listener();
    auto const deadline = guard_clock::now() + run_guard;
    while (!broken.failed() && guard_clock::now() < deadline)
        context.run_one_until(deadline);
    BOOST_REQUIRE(broken.failed());
    captured_errors const captured;
    BOOST_TEST(duet::run(context, {.print = true}, broken.serving) == 1);
    BOOST_TEST(captured.text().find("duet: drained: 0 finished, 0 aborted\n") == 0u);
}

// What was being begun is gone; the server goes on.
BOOST_AUTO_TEST_CASE(bad_alloc_of_a_handler_of_the_context_does_not_leave_it)
{
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    asio::post(context, [] { throw std::bad_alloc{}; });
    BOOST_TEST(run_with(context, serving, drained_by(serving, SIGTERM)).code == 0);
}

BOOST_AUTO_TEST_CASE(an_exception_of_a_handler_of_the_context_leaves_it_and_the_signals_with_it)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    asio::post(context, [] { throw std::runtime_error{"no more paper"}; });
    BOOST_CHECK_EXCEPTION(duet::run(context, serving), std::runtime_error,
        [](std::runtime_error const& error) { return error.what() == std::string_view{"no more paper"}; });
    BOOST_TEST(signals_at_default());
}

// What the program does with the signals afterwards stays as it is.
BOOST_AUTO_TEST_CASE(after_an_exception_a_signal_handler_of_the_programs_own_stays)
{
    static int volatile heard = 0;
    {
        asio::io_context context;
        {
            duet::server serving{context, patient(), echo};
            asio::post(context, [] { throw 42; });
            BOOST_CHECK_THROW(duet::run(context, serving), int);
        }
        BOOST_REQUIRE(std::signal(SIGTERM, [](int) { heard = heard + 1; }) != SIG_ERR);
        context.restart();
        context.run();
    }
    BOOST_TEST((handler_of(SIGTERM) != SIG_DFL));
    if (handler_of(SIGTERM) != SIG_DFL)
        ::raise(SIGTERM);
    BOOST_TEST(heard == 1);
    std::signal(SIGTERM, SIG_DFL);
}

BOOST_AUTO_TEST_CASE(after_an_exception_a_listener_that_fails_begins_no_drain)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    breakable_server broken{context};
    asio::post(context, [] { throw 42; });
    BOOST_CHECK_THROW(duet::run(context, broken.serving), int);
    auto const body = [](breakable_server& b) -> asio::awaitable<void>
    {
        auto client = client_of(b.serving);
        co_await until_served(b.serving, 1);
        b.break_listener();
        co_await until([&] { return b.failed(); }, "the listener has failed");
        co_await settle();
        // A drain would have asked the handler to finish.
        auto const talk = [&]
        {
            client.send_all("still there?");
            auto const heard = client.recv_exactly(12);
            client.close();
            return heard;
        };
        auto const heard = co_await in_thread(talk);
        BOOST_TEST(heard == "still there?");
        co_await until_served(b.serving, 0);
    };
    run(context, body(broken));
}

// From the signal to the drain it takes some turns: the exception comes after each of them.
BOOST_AUTO_TEST_CASE(after_an_exception_a_signal_that_was_on_its_way_stops_nobodys_context)
{
    no_leaked_descriptors const watched;
    for (int turns = 0; turns < 8; ++turns)
    {
        asio::io_context context;
        duet::server serving{context, patient(), echo};
        raw_socket client;
        throw_while_signalled(context, serving, client, turns);
        auto const body = [](duet::server& s, raw_socket& c) -> asio::awaitable<void>
        {
            for (int i = 0; i < 10; ++i)
                co_await settle();
            c.close();
            auto const report = co_await drain(s);
            BOOST_TEST(report.aborted == 0u);
            for (int i = 0; i < 10; ++i)
                co_await settle();
        };
        run(context, body(serving, client));  // says so when the context is stopped
    }
}

BOOST_AUTO_TEST_CASE(after_an_exception_a_signal_that_was_on_its_way_does_not_touch_a_server_that_is_gone)
{
    no_leaked_descriptors const watched;
    for (int turns = 0; turns < 8; ++turns)
    {
        asio::io_context context;
        raw_socket client;
        {
            duet::server serving{context, patient(), echo};
            throw_while_signalled(context, serving, client, turns);
        }
        context.restart();
        context.run_for(run_guard);
        BOOST_TEST(context.stopped());  // nothing is left to do
    }
}

BOOST_AUTO_TEST_CASE(after_an_exception_in_the_middle_of_a_drain_whoever_runs_the_context_keeps_it)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    auto client = client_of(serving);
    auto const body = [](duet::server& s) -> asio::awaitable<void>
    {
        co_await until_served(s, 1);
        ::raise(SIGTERM);
        auto refused = [&]
        {
            auto late = raw_socket::start_connect(raw_address::v4(s.local_endpoint().port()));
            return late.wait_connected() == ECONNREFUSED;
        };
        co_await until(refused, "the drain has begun");
        throw std::runtime_error{"no more paper"};
    };
    {
        script const clients{context, body(serving)};
        BOOST_CHECK_THROW(duet::run(context, serving), std::runtime_error);
    }
    BOOST_TEST(signals_at_default());
    bool drained = false;
    auto const rest = [](duet::server& s, raw_socket& c, bool& done) -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        c.close();
        co_await drain(s);
        for (int i = 0; i < 50; ++i)
            co_await settle();
        done = true;
    };
    asio::co_spawn(context, rest(serving, client, drained), [](std::exception_ptr const&) {});
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST(drained);  // nobody stopped the context before
}

BOOST_AUTO_TEST_CASE(after_an_exception_it_may_be_called_again)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    asio::post(context, [] { throw 42; });
    BOOST_CHECK_THROW(duet::run(context, serving), int);
    auto const result = run_with(context, serving, drained_by(serving, SIGTERM));
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.errors == "duet: drained: 2 finished, 0 aborted\n");
}

BOOST_AUTO_TEST_CASE(after_an_exception_one_signal_of_the_next_run_is_one)
{
    asio::io_context context;
    duet::server serving{context, patient(), echo};
    asio::post(context, [] { throw 42; });
    BOOST_CHECK_THROW(duet::run(context, serving), int);
    BOOST_TEST(run_with(context, serving, aborted_by(serving, SIGTERM, SIGTERM)).code == 1);
}
