// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A thousand clients at once, polite and rude ones, against a server with two threads. Whatever the rude ones do, the
// polite ones get every byte and then FIN, and when all are gone nothing of them is left.
//
// A fixed amount of work, or with DUET_SOAK_SECONDS=60 as much as fits into a minute.

#define BOOST_TEST_MODULE serve.soak
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "serve/soak_clients.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>

#include <sys/resource.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;

namespace {

constexpr std::uint64_t waves_at_least = 6;

/// What the server tells of the ends of its sessions. On two threads.
class noted_ends
{
public:
    void note(duet::session_end const& end)
    {
        std::lock_guard const lock{mutex_};
        ++(end.failure ? failed : returned);
        clean += !end.failure && end.report.clean() ? 1U : 0U;
        bytes_received += end.report.bytes_received;
        bytes_sent += end.report.bytes_sent;
        ++reasons[end.report.reason];
    }

    std::uint64_t returned = 0;
    std::uint64_t failed = 0;
    std::uint64_t clean = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::map<close_reason, std::uint64_t> reasons{};

private:
    std::mutex mutex_;
};

duet::server_options two_threads()
{
    duet::server_options options;
    options.address = "127.0.0.1";
    options.threads = 2;
    options.session.deadlines.close = 10min;  // no deadline is to pass, however slow the machine
    options.session.deadlines.close_total = 10min;
    options.session.deadlines.half_closed = 10min;
    return options;
}

std::chrono::seconds time_to_soak()
{
    char const* const text = std::getenv("DUET_SOAK_SECONDS");
    return std::chrono::seconds{text ? std::strtol(text, nullptr, 10) : 0};
}

/// A descriptor for each end of each connection, and some more.
void need_descriptors_or_skip()
{
    constexpr rlim_t needed = 2 * clients_at_once + 200;
    rlimit limit{};
    checked(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    if (limit.rlim_cur < needed)
    {
        limit.rlim_cur = limit.rlim_max;
        checked(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    }
    if (limit.rlim_cur >= needed)
        return;
    std::printf("SKIPPED: %llu descriptors are allowed, and %llu are needed\n",
        static_cast<unsigned long long>(limit.rlim_cur), static_cast<unsigned long long>(needed));
    std::fflush(stdout);
    std::_Exit(77);
}

/// A connection that finds the accept queue full may be lost without a word.
bool queue_holds_all(duet::server_options const& options)
{
    std::ifstream file{"/proc/sys/net/core/somaxconn"};
    std::size_t limit = 0;
    file >> limit;
    return std::min(limit, static_cast<std::size_t>(options.backlog)) >= clients_at_once;
}

/// Wave after wave; then nothing of them may be left.
asio::awaitable<tally> soak(duet::server& serving)
{
    auto const port = serving.local_endpoint().port();
    auto const descriptors = count_open_descriptors();
    tally all;
    auto const until_time = guard_clock::now() + time_to_soak();
    for (std::uint64_t seed = 1; seed <= waves_at_least || guard_clock::now() < until_time; ++seed)
    {
        auto const clients = [&] { return wave{port, seed, [&] { return serving.counters().active; }}.run(); };
        auto const result = co_await in_thread(clients);
        all += result;
        co_await until([&] { return serving.counters().active == 0; }, "no session is left");
        co_await until([&] { return count_open_descriptors() == descriptors; }, "no descriptor is left");
        // P07: neither end of any connection.
        co_await until([&] { return count_state(kernel_state::close_wait, port) == 0; }, "nothing is in CLOSE_WAIT");
        co_await until([&] { return count_state(kernel_state::established, port) == 0; }, "nothing is connected");
    }
    co_return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(p07_a_thousand_polite_and_rude_clients_at_once_leave_nothing_behind)
{
    need_descriptors_or_skip();
    no_leaked_descriptors const watched;
    asio::io_context context;
    noted_ends ends;
    auto options = two_threads();
    options.on_session_end = [&](duet::session_end const& end) { ends.note(end); };
    duet::server serving{context, options, echo};
    tally all;
    duet::drain_report drained;
    auto const body = [](duet::server& s, tally& came, duet::drain_report& report) -> asio::awaitable<void>
    {
        came = co_await soak(s);
        report = co_await s.drain(20s);
    };
    run(context, body(serving, all, drained), {.guard = time_to_soak() + 8 * run_guard});

    BOOST_TEST_MESSAGE(all.connected << " clients, " << all.polite << " of them polite, " << all.bytes << " bytes, "
                                     << all.served_at_once << " at once");
    for (auto const& failure : all.failures)
        BOOST_ERROR(failure);
    BOOST_TEST(all.connected % clients_at_once == 0u);
    BOOST_TEST(all.served_at_once > clients_at_once / 2);

    auto const counters = serving.counters();
    BOOST_TEST(counters.accepted <= all.connected);
    if (queue_holds_all(options))
        BOOST_TEST(counters.accepted == all.connected);
    BOOST_TEST(counters.active == 0u);
    BOOST_TEST(counters.completed + counters.handler_failures == counters.accepted);
    BOOST_TEST(counters.completed - counters.unclean >= all.polite);
    BOOST_TEST(counters.shed == 0u);
    BOOST_TEST(counters.connection_failures == 0u);
    BOOST_TEST(counters.resource_failures == 0u);

    BOOST_TEST(ends.returned == counters.completed);
    BOOST_TEST(ends.failed == counters.handler_failures);
    BOOST_TEST(ends.clean == counters.completed - counters.unclean);
    BOOST_TEST(ends.bytes_received >= all.bytes);
    BOOST_TEST(ends.bytes_sent >= all.bytes);
    for (auto const reason : {close_reason::none, close_reason::dead_peer, close_reason::timed_out,
             close_reason::discard_limit, close_reason::dropped, close_reason::failed})
    {
        BOOST_TEST_INFO(ends.reasons[reason] << " sessions ended " << to_string(reason));
        BOOST_TEST(ends.reasons[reason] == 0u);
    }

    BOOST_TEST(drained.finished == 0u);
    BOOST_TEST(drained.aborted == 0u);
}
