// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "duet/connector.hpp"

#define BOOST_TEST_MODULE connect.connector
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "connect/connector_support.hpp"
#include "support/fd.hpp"
#include "support/started.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>

#include <array>
#include <atomic>
#include <deque>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <netinet/tcp.h>

using namespace duet_test;
using duet::condition;
using duet::error_code;

namespace {

// What connect fails with.
template <class Session>
asio::awaitable<duet::connect_error> failure_of(asio::awaitable<Session> connecting)
{
    std::optional<duet::connect_error> result;
    try
    {
        Session const unexpected = co_await std::move(connecting);
    }
    catch (duet::connect_error const& error)
    {
        result = error;
    }
    if (!result)
        throw std::logic_error{"connect should have failed"};
    co_return *result;
}

template <class Condition>
asio::awaitable<duet::connect_error> check_failure(asio::awaitable<duet::session> connecting, Condition expected)
{
    auto const error = co_await failure_of(std::move(connecting));
    BOOST_TEST_INFO("expected another error than " << error.what());
    BOOST_TEST((error.code() == expected));
    co_return error;
}

list_connector make_connector(
    asio::any_io_executor const& executor, list_resolver::answer addresses, duet::connector_options options = {})
{
    return list_connector{executor, options, resolver_of(std::move(addresses))};
}

// Runs a coroutine that wants to know its executor.
template <class Body>
void run_on(Body&& body)
{
    asio::io_context context;
    asio::any_io_executor const executor = context.get_executor();
    asio::steady_timer const first{executor};  // the context opens descriptors of its own for it
    run(context, body(executor));
}

// A session has no default constructor, which co_spawn wants of a result.
asio::awaitable<void> keep(asio::awaitable<duet::session> connecting, std::optional<duet::session>& result)
{
    duet::session peer = co_await std::move(connecting);
    result.emplace(std::move(peer));
}

}  // namespace

// ---- The session
// --------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_session_comes_out)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            auto const resolver = resolver_of({server.endpoint()});
            list_connector connector{executor, {.session = {.deadlines = {.idle = 77s}}}, resolver};
            duet::session peer = co_await connector.connect("the host", "the service");
            BOOST_TEST(resolver.shared->asked == std::vector<std::string>{"the host the service"},
                boost::test_tools::per_element());

            auto other = server.accept();
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            BOOST_TEST(peer.local_endpoint().port() == other.remote_port());
            BOOST_TEST((peer.deadlines().idle == 77s));
            other.send_all("hello");
            std::array<char, 5> buffer;
            auto const size = co_await peer.read(asio::buffer(buffer));
            BOOST_TEST(size == 5U);
            co_await peer.write(asio::buffer("bye", 3));
            BOOST_TEST(other.recv_exactly(3) == "bye");
        });
}

BOOST_AUTO_TEST_CASE(by_endpoint)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor, {.timeout = 5min}};
            duet::session const peer = co_await connector.connect(server.endpoint());
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());

            refusing_address const nobody;
            auto const error =
                co_await check_failure(connector.connect(nobody.endpoint()), asio::error::connection_refused);
            BOOST_TEST(error.what() ==
                       "connect 127.0.0.1:" + std::to_string(nobody.endpoint().port()) + ": Connection refused");
        });
}

BOOST_AUTO_TEST_CASE(by_name_through_the_system)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor};
            auto const port = std::to_string(server.endpoint().port());
            duet::session const peer = co_await connector.connect("localhost", port);
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            duet::session const numeric = co_await connector.connect("127.0.0.1", port);
            BOOST_TEST(numeric.remote_endpoint() == server.endpoint());

            auto const error = co_await check_failure(
                connector.connect("localhost", "no such service"), asio::error::service_not_found);
            BOOST_TEST(std::string{error.what()}.starts_with("connect localhost:no such service: Service not found"));
            BOOST_TEST(error.attempts().empty());
        });
}

BOOST_AUTO_TEST_CASE(from_a_context)
{
    asio::io_context context;
    good_address server;
    duet::connector connector{context, {.timeout = 5min}};
    BOOST_TEST((connector.get_executor() == context.get_executor()));
    BOOST_TEST((connector.options().timeout == 5min));
    BOOST_TEST(run(context, connector.connect(server.endpoint())).remote_endpoint() == server.endpoint());
}

BOOST_AUTO_TEST_CASE(several_at_once_and_the_connector_gone)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            black_hole hole;
            std::optional<list_connector> connector{std::in_place, executor,
                duet::connector_options{.attempt_delay = 10ms}, resolver_of({hole.endpoint(), server.endpoint()})};
            started<duet::session> first{executor, connector->connect("a", "1")};
            started<duet::session> second{executor, connector->connect("b", "2")};
            started<duet::session> third{executor, connector->connect(server.endpoint())};
            // On a slow machine they may be past it before anyone looks.
            co_await until([&] { return hole.hanging() == 2 || server.queued() == 3; }, "two connects hang");
            list_connector moved = std::move(*connector);
            connector.reset();
            duet::session const a = co_await first.result();
            duet::session const b = co_await second.result();
            duet::session const c = co_await third.result();
            BOOST_TEST(server.queued() == 3U);
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(options_are_set_before_connect)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            refusing_address const nobody;
            auto connector = make_connector(executor, {nobody.endpoint(), server.endpoint()},
                {.session = {
                     .deadlines = {.dead_peer = 40s}, .send_buffer_size = 20000, .receive_buffer_size = 20000}});
            // The second attempt: its socket is another one.
            duet::session peer = co_await connector.connect("a", "1");
            auto const option = [&](int level, int name)
            {
                int value = -1;
                socklen_t size = sizeof(value);
                ::getsockopt(peer.native_handle(), level, name, &value, &size);
                return value;
            };
            BOOST_TEST(option(SOL_SOCKET, SO_SNDBUF) == 40000);  // the kernel doubles them
            BOOST_TEST(option(SOL_SOCKET, SO_RCVBUF) == 40000);
            BOOST_TEST(option(IPPROTO_TCP, TCP_NODELAY) != 0);
            BOOST_TEST(option(SOL_SOCKET, SO_KEEPALIVE) == 1);
            BOOST_TEST(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 40000);
            BOOST_TEST((::fcntl(peer.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
            BOOST_TEST((::fcntl(peer.native_handle(), F_GETFL) & O_NONBLOCK) != 0);

            // Of so small a buffer no window scale is needed; it was said in the SYN and cannot change any more.
            ::tcp_info info{};
            socklen_t size = sizeof(info);
            ::getsockopt(peer.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size);
            unsigned const scale = info.tcpi_rcv_wscale;
            BOOST_TEST(scale == 0U);

            auto plain = make_connector(executor, {server.endpoint()}, {.session = {.no_delay = false}});
            peer = co_await plain.connect("a", "1");
            BOOST_TEST(option(IPPROTO_TCP, TCP_NODELAY) == 0);
        });
}

// ---- Which address
// ------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_first_address_is_refused)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            good_address server;
            // The second begins at once: its turn by the stagger never comes.
            auto connector =
                make_connector(executor, {nobody.endpoint(), server.endpoint()}, {.attempt_delay = for_ever});
            duet::session const peer = co_await connector.connect("a", "1");
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(the_first_address_is_a_black_hole)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(executor, {hole.endpoint(), server.endpoint()});
            duet::session const peer = co_await connector.connect("a", "1");
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(the_first_address_is_slow_and_wins)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole slow;
            black_hole hole;
            auto connector = make_connector(executor, {slow.endpoint(), hole.endpoint()}, {.attempt_delay = 10ms});
            started<duet::session> connecting{executor, connector.connect("a", "1")};
            co_await until([&] { return slow.hanging() == 1 && hole.hanging() == 1; }, "both attempts are under way");
            slow.make_room();
            duet::session const peer = co_await connecting.result();
            BOOST_TEST(peer.remote_endpoint() == slow.endpoint());
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(the_second_waits_for_its_turn)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(
                executor, {hole.endpoint(), server.endpoint()}, {.timeout = 100ms, .attempt_delay = for_ever});
            auto error = co_await check_failure(connector.connect("a", "1"), condition::timed_out);
            while (error.attempts().empty())  // a stall took all the time
                error = co_await check_failure(connector.connect("a", "1"), condition::timed_out);
            BOOST_TEST(error.attempts().size() == 1U);
            BOOST_TEST(server.queued() == 0U);
        });
}

namespace {

struct families
{
    char const* name;
    std::vector<family> addresses;
};

std::ostream& operator<<(std::ostream& out, families const& each)
{
    return out << each.name;
}

std::vector<families> const family_rows{
    {"only IPv4", {family::v4}},
    {"only IPv6", {family::v6}},
    {"IPv6, then IPv4", {family::v6, family::v4}},
    {"IPv4, then IPv6", {family::v4, family::v6}},
};

}  // namespace

namespace {

void connect_to(families const& each)
{
    if (!has_ipv6())
        return void(BOOST_TEST_MESSAGE("skipped: this system has no IPv6"));
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            list_resolver::answer all_good;
            list_resolver::answer last_good;
            std::vector<good_address> servers;
            std::vector<refusing_address> nobodies;
            for (auto const which : each.addresses)
            {
                servers.emplace_back(which);
                nobodies.emplace_back(which);
                all_good.push_back(servers.back().endpoint());
                last_good.push_back(nobodies.back().endpoint());
            }
            last_good.back() = servers.back().endpoint();

            auto connector = make_connector(executor, all_good);
            duet::session const first = co_await connector.connect("a", "1");
            BOOST_TEST(first.remote_endpoint() == all_good.front());
            auto other = make_connector(executor, last_good);
            duet::session const last = co_await other.connect("a", "1");
            BOOST_TEST(last.remote_endpoint() == last_good.back());
        });
}

}  // namespace

BOOST_DATA_TEST_CASE(either_family, family_rows, each)
{
    connect_to(each);
}

BOOST_AUTO_TEST_CASE(the_families_take_turns)
{
    if (!has_ipv6())
        return void(BOOST_TEST_MESSAGE("skipped: this system has no IPv6"));
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const v6a{family::v6};
            refusing_address const v6b{family::v6};
            refusing_address const v4a;
            refusing_address const v4b;
            auto connector = make_connector(executor, {v6a.endpoint(), v6b.endpoint(), v4a.endpoint(), v4b.endpoint()});
            auto const error = co_await failure_of(connector.connect("a", "1"));
            BOOST_REQUIRE(error.attempts().size() == 4U);
            BOOST_TEST(error.attempts()[0].endpoint == v6a.endpoint());
            BOOST_TEST(error.attempts()[1].endpoint == v4a.endpoint());
            BOOST_TEST(error.attempts()[2].endpoint == v6b.endpoint());
            BOOST_TEST(error.attempts()[3].endpoint == v4b.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(every_attempts_error_is_told)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const first;
            black_hole hole;
            refusing_address const last;
            auto connector = make_connector(executor, {first.endpoint(), hole.endpoint(), last.endpoint()},
                {.attempt_timeout = 50ms, .attempt_delay = 10ms});
            std::string const expected = "Connection refused, connect deadline passed, Connection refused";
            auto begun = std::chrono::steady_clock::now();
            auto error = co_await failure_of(connector.connect("host", "1"));
            // Should a stall keep a refusal from us, a deadline passes instead. That takes 10 ms and 50 ms at least.
            while (attempts_of(error) != expected && std::chrono::steady_clock::now() - begun >= 60ms)
            {
                begun = std::chrono::steady_clock::now();
                error = co_await failure_of(connector.connect("host", "1"));
            }
            BOOST_TEST((error.code() == asio::error::connection_refused));
            BOOST_TEST(attempts_of(error) == expected);
            auto const port = [](tcp::endpoint const& endpoint) { return std::to_string(endpoint.port()); };
            BOOST_TEST(error.what() == "connect host:1: 127.0.0.1:" + port(first.endpoint()) +
                                           ": Connection refused; 127.0.0.1:" + port(hole.endpoint()) +
                                           ": connect deadline passed; 127.0.0.1:" + port(last.endpoint()) +
                                           ": Connection refused");
        });
}

BOOST_AUTO_TEST_CASE(no_address)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            auto connector = make_connector(executor, {});
            auto const error = co_await check_failure(connector.connect("a", "1"), duet::errc::no_address);
            BOOST_TEST(std::string{error.what()}.starts_with("connect a:1: the name has no address"));
        });
}

BOOST_AUTO_TEST_CASE(no_descriptor)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            auto connector = make_connector(executor, {server.endpoint(), {server.endpoint().address(), 1}});
            {
                auto const limit = descriptor_limit::room_for(0);
                auto const error = co_await check_failure(connector.connect("a", "1"), condition::exhausted);
                BOOST_TEST(error.attempts().size() == 2U);
                BOOST_TEST((error.code() == asio::error::no_descriptors));
            }
            duet::session const peer = co_await connector.connect("a", "1");
        });
}

// ---- The resolver
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_resolvers_errors_come_through)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            auto connector = make_connector(executor, {});
            auto const resolver = resolver_of({});
            list_connector failing{executor, {}, resolver};
            resolver.shared->before = []() -> asio::awaitable<void>
            {
                throw duet::system_error{asio::error::host_not_found_try_again};
                co_return;
            };
            auto const error =
                co_await check_failure(failing.connect("nowhere", "1"), asio::error::host_not_found_try_again);
            BOOST_TEST(std::string{error.what()}.starts_with("connect nowhere:1: Host not found"));

            resolver.shared->before = []() -> asio::awaitable<void>
            {
                throw std::domain_error{"another kind"};
                co_return;
            };
            bool thrown = false;
            try
            {
                duet::session const unexpected = co_await failing.connect("nowhere", "1");
            }
            catch (std::domain_error const& other)
            {
                thrown = std::string{"another kind"} == other.what();
            }
            BOOST_TEST(thrown);
        });
}

namespace {

// Two kinds of name servers that do not answer: one that heeds cancellation, and one that does not.
asio::awaitable<void> never_heeding()
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, for_ever};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> never_deaf(asio::steady_timer*& alarm)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, for_ever};
    alarm = &timer;
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    alarm = nullptr;
}

}  // namespace

BOOST_AUTO_TEST_CASE(resolve_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            asio::steady_timer* alarm = nullptr;
            auto const resolver = resolver_of({});
            list_connector connector{executor, {.timeout = for_ever, .resolve_timeout = 20ms}, resolver};
            list_connector other{executor, {.timeout = 20ms, .resolve_timeout = for_ever}, resolver};
            resolver.shared->before = [&] { return never_heeding(); };
            auto const error = co_await check_failure(connector.connect("a", "1"), duet::errc::resolve_timed_out);
            BOOST_TEST((error.code() == condition::timed_out));
            BOOST_TEST((error.code() != condition::cancelled));
            co_await check_failure(other.connect("a", "1"), duet::errc::connect_timed_out);
            co_await settle();
            BOOST_TEST(resolver.shared->running == 0U);

            // One that is deaf is not waited for, and what it says later is dropped.
            resolver.shared->before = [&] { return never_deaf(alarm); };
            co_await check_failure(connector.connect("a", "1"), duet::errc::resolve_timed_out);
            BOOST_TEST(resolver.shared->running == 1U);
            alarm->cancel();
            co_await settle();
            BOOST_TEST(resolver.shared->running == 0U);
        });
}

// ---- Deadlines
// ----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(total_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            black_hole first;
            black_hole second;
            auto connector = make_connector(executor, {nobody.endpoint(), first.endpoint(), second.endpoint()},
                {.timeout = 200ms, .attempt_delay = 10ms});
            auto error = co_await check_failure(connector.connect("a", "1"), duet::errc::connect_timed_out);
            while (error.attempts().size() < 3U)  // a stall took all the time
                error = co_await check_failure(connector.connect("a", "1"), duet::errc::connect_timed_out);
            BOOST_TEST((error.code() == condition::timed_out));
            BOOST_TEST((error.code() != condition::cancelled));
            BOOST_TEST((error.code() != condition::dead_peer));
            BOOST_TEST(error.attempts().front().error == error_code{asio::error::connection_refused});
            BOOST_TEST(error.attempts().back().error == error_code{duet::errc::connect_timed_out});
            BOOST_TEST(first.hanging() + second.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(attempt_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(executor, {hole.endpoint(), server.endpoint()},
                {.timeout = for_ever, .attempt_timeout = 20ms, .attempt_delay = for_ever});
            std::optional<duet::session> peer;
            for (bool again = true; again;)
            {
                auto const begun = std::chrono::steady_clock::now();
                auto const failed = co_await error_of(keep(connector.connect("a", "1"), peer));
                // A stall may use up the good address's time, too, behind the hole's.
                again = failed == duet::errc::connect_timed_out && std::chrono::steady_clock::now() - begun >= 40ms;
            }
            BOOST_REQUIRE(peer.has_value());
            BOOST_TEST(peer->remote_endpoint() == server.endpoint());

            auto const error =
                co_await check_failure(connector.connect(hole.endpoint()), duet::errc::connect_timed_out);
            BOOST_TEST(attempts_of(error) == "connect deadline passed");
        });
}

// ---- Cancellation (P41)
// -------------------------------------------------------------------------------------------------

namespace {

asio::awaitable<duet::session> heeding_every_type(asio::awaitable<duet::session> connecting)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    duet::session peer = co_await std::move(connecting);
    co_return peer;
}

// A connect that has come to a certain phase.
enum class phase
{
    resolving,
    resolving_deaf,
    first_attempt,
    several_attempts,
    backing_off
};

std::ostream& operator<<(std::ostream& out, phase which)
{
    char const* const names[]{"resolving", "resolving_deaf", "first_attempt", "several_attempts", "backing_off"};
    return out << names[static_cast<int>(which)];
}

auto const phases = boost::unit_test::data::make(
    {phase::resolving, phase::resolving_deaf, phase::first_attempt, phase::several_attempts, phase::backing_off});

class in_phase
{
public:
    in_phase(asio::any_io_executor const& executor, phase which)
        : which_{which}, resolver_{resolver_of({a_.endpoint(), b_.endpoint(), c_.endpoint()})},
          connector_{executor,
              {.timeout = for_ever, .attempt_delay = which == phase::several_attempts ? 10ms : for_ever}, resolver_}
    {
        if (which == phase::resolving)
            resolver_.shared->before = [] { return never_heeding(); };
        if (which == phase::resolving_deaf)
            resolver_.shared->before = [this] { return never_deaf(alarm_); };
        connector_.on_retry([this](auto const&) { backing_off_ = true; });
    }

    asio::awaitable<duet::session> connect()
    {
        if (which_ == phase::backing_off)
            return connector_.connect(nobody_.endpoint(), {.delays = {.initial = for_ever, .maximum = for_ever}});
        return connector_.connect("a", "1");
    }

    bool reached() const
    {
        switch (which_)
        {
        case phase::resolving:
        case phase::resolving_deaf:
            return resolver_.shared->running == 1;
        case phase::first_attempt:
            return a_.hanging() == 1;
        case phase::several_attempts:
            return a_.hanging() == 1 && b_.hanging() == 1 && c_.hanging() == 1;
        case phase::backing_off:
            return backing_off_;
        }
        return false;
    }

    std::size_t hanging() const { return a_.hanging() + b_.hanging() + c_.hanging(); }

    void wake_the_deaf()
    {
        if (alarm_ != nullptr)
            alarm_->cancel();
    }

private:
    phase which_;
    black_hole a_;
    black_hole b_;
    black_hole c_;
    refusing_address nobody_;
    list_resolver resolver_;
    list_connector connector_;
    asio::steady_timer* alarm_ = nullptr;
    bool backing_off_ = false;
};

auto const cancellation_types = boost::unit_test::data::make({1, 2, 4});  // terminal, partial, total

}  // namespace

namespace {

void cancel_in(phase which, int type)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            in_phase scene{executor, which};
            no_leaked_descriptors const descriptors;
            started<duet::session> connecting{executor, heeding_every_type(scene.connect())};
            co_await until([&] { return scene.reached(); }, "the phase");
            connecting.cancel(static_cast<asio::cancellation_type>(type));
            auto const error = co_await check_failure(connecting.result(), condition::cancelled);
            BOOST_TEST((error.code() != condition::timed_out));
            BOOST_TEST(descriptors.leaked() == "");
            BOOST_TEST(scene.hanging() == 0U);
            std::string const told = which == phase::backing_off     ? "Connection refused"
                                     : which == phase::first_attempt ? "Operation canceled"
                                     : which == phase::several_attempts
                                         ? "Operation canceled, Operation canceled, Operation canceled"
                                         : "";
            BOOST_TEST(attempts_of(error) == told);
            scene.wake_the_deaf();
            co_await settle();
            // No work is left: run() would wait for it.
        });
}

}  // namespace

BOOST_DATA_TEST_CASE(p41_cancelled_in_each_phase, phases* cancellation_types, which, type)
{
    cancel_in(which, type);
}

BOOST_DATA_TEST_CASE(the_context_is_destroyed_in_each_phase, phases, which)
{
    no_leaked_descriptors const descriptors;
    auto context = std::make_unique<asio::io_context>();
    bool ended = false;
    std::optional<duet::session> peer;
    {
        in_phase scene{context->get_executor(), which};
        asio::co_spawn(*context, keep(scene.connect(), peer), [&](std::exception_ptr) { ended = true; });
        auto const deadline = guard_clock::now() + run_guard;
        while (!scene.reached() && guard_clock::now() < deadline)
            context->run_one_for(1ms);
        BOOST_TEST(scene.reached());
        context.reset();
        BOOST_TEST(scene.hanging() == 0U);
    }
    BOOST_TEST(!ended);
}

BOOST_AUTO_TEST_CASE(cancelled_before_it_begins)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    duet::connector connector{context};
    asio::any_io_executor const executor = context.get_executor();
    auto const body = [&]() -> asio::awaitable<void>
    {
        started<duet::session> connecting{executor, connector.connect(server.endpoint())};
        connecting.cancel();
        co_await expect_error(connecting.result(), condition::cancelled);
    };
    run(context, body());
}

BOOST_AUTO_TEST_CASE(a_coroutine_that_looks_after_its_cancellation_itself_does_not_back_off)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            duet::connector connector{executor};
            std::optional<started<duet::session>> connecting;
            // Cancelled when nothing waits: the try has failed, and the next wait has not begun.
            auto const body = [&]() -> asio::awaitable<duet::session>
            {
                co_await asio::this_coro::throw_if_cancelled(false);
                duet::session peer = co_await connector.connect(
                    nobody.endpoint(), {.delays = {.initial = 1ns, .maximum = 1ns, .jitter = 0}});
                co_return peer;
            };
            int tries = 0;
            connector.on_retry(
                [&](auto const&)
                {
                    if (++tries == 3)
                        connecting->cancel();
                });
            connecting.emplace(executor, body());
            co_await check_failure(connecting->result(), condition::cancelled);
            BOOST_TEST(tries <= 4);
        });
}

// ---- The losers
// ---------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(p42_a_loser_that_got_through_is_closed_without_data)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole first;
            black_hole second;
            auto connector = make_connector(executor, {first.endpoint(), second.endpoint()}, {.attempt_delay = 10ms});
            started<duet::session> connecting{executor, connector.connect("a", "1")};
            co_await until([&] { return first.hanging() == 1 && second.hanging() == 1; }, "both are under way");
            first.make_room();
            second.make_room();
            // Blocks the connector, too: it learns of both at once.
            eventually([&] { return first.queued() == 1 && second.queued() == 1; }, "both got through");
            duet::session peer = co_await connecting.result();
            bool const first_won = peer.remote_endpoint() == first.endpoint();
            auto loser = first_won ? second.accept() : first.accept();
            auto winner = first_won ? first.accept() : second.accept();
            auto const end = loser.recv_some();
            BOOST_TEST_INFO("the loser's peer got " << end.data.size() << " bytes, error " << end.error);
            BOOST_TEST(end.eof());
            co_await peer.write(asio::buffer("x", 1));
            BOOST_TEST(winner.recv_exactly(1) == "x");
        });
}

// ---- A peer that is gone at once
// ----------------------------------------------------------------------------------------

namespace {

// Connects to a peer that has already done `act` when the connector learns of the connection.
template <class Act>
duet::session connect_and_act(asio::io_context& context, good_address& server, Act act)
{
    duet::connector connector{context};
    std::optional<duet::session> result;
    std::exception_ptr failure;
    asio::co_spawn(context, keep(connector.connect(server.endpoint()), result),
        [&](std::exception_ptr thrown) { failure = thrown; });
    while (server.queued() == 0 && context.poll_one() != 0)
        continue;
    act();
    context.restart();
    context.run_for(run_guard);
    if (failure)
        std::rethrow_exception(failure);
    return std::move(result.value());
}

}  // namespace

BOOST_AUTO_TEST_CASE(p44_a_peer_that_finished_at_once)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    auto peer = connect_and_act(context, server,
        [&]
        {
            auto other = server.accept();
            other.send_all("bye");
        });
    BOOST_TEST(run(context, peer.read_all(100), {.leftover = leftover_work::dropped}) == "bye");
}

BOOST_AUTO_TEST_CASE(p44_a_peer_that_reset_at_once)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    // The kernel tells the reset once, and tells it to connect: a session made of it would read a clean end (P18).
    error_code told;
    try
    {
        connect_and_act(context, server, [&] { server.accept().reset(); });
    }
    catch (duet::connect_error const& error)
    {
        told = error.code();
    }
    BOOST_TEST((told == condition::reset));
}

// ---- Trying again
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_server_is_started_later)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address server;
            auto const resolver = resolver_of({server.endpoint()});
            list_connector connector{executor, {}, resolver};
            std::vector<std::string> seen;
            connector.on_retry(
                [&](duet::connect_retry const& retry)
                {
                    seen.push_back(std::to_string(retry.tries) + ' ' + retry.error.code().message() + ' ' +
                                   std::to_string(retry.next_try_in / 1us));
                    if (retry.tries == 4)
                        server.listen();
                });
            duet::session const peer = co_await connector.connect(
                "host", "1", {.delays = {.initial = 1ms, .maximum = 3ms, .multiplier = 2, .jitter = 0}});
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            std::vector<std::string> const expected{"1 Connection refused 1000", "2 Connection refused 2000",
                "3 Connection refused 3000", "4 Connection refused 3000"};
            BOOST_TEST(seen == expected, boost::test_tools::per_element());
            BOOST_TEST(resolver.shared->asked.size() == 5U);  // each try resolves anew
        });
}

BOOST_AUTO_TEST_CASE(the_tries_are_limited)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            auto const resolver = resolver_of({nobody.endpoint()});
            list_connector connector{executor, {}, resolver};
            int failures = 0;
            connector.on_retry([&](auto const&) { ++failures; });
            auto const error =
                co_await check_failure(connector.connect("host", "1", {.delays = {.initial = 1ns}, .max_tries = 3}),
                    asio::error::connection_refused);
            BOOST_TEST(error.attempts().size() == 1U);  // of the last try
            BOOST_TEST(resolver.shared->asked.size() == 3U);
            BOOST_TEST(failures == 2);

            co_await check_failure(connector.connect("host", "1"), asio::error::connection_refused);
            BOOST_TEST(resolver.shared->asked.size() == 4U);
            co_await check_failure(connector.connect("host", "1", {.max_tries = 1}), asio::error::connection_refused);
            BOOST_TEST(resolver.shared->asked.size() == 5U);
        });
}

BOOST_AUTO_TEST_CASE(a_time_out_is_tried_again)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            duet::connector connector{executor, {.timeout = 20ms}};
            auto const error = co_await check_failure(
                connector.connect(hole.endpoint(), {.delays = {.initial = 1ns}, .max_tries = 3}), condition::timed_out);
            BOOST_TEST(hole.hanging() == 0U);
        });
}

// ---- Many, and other executors
// ------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(many_connects_leak_nothing)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            refusing_address const nobody;
            auto connector = make_connector(executor, {nobody.endpoint(), server.endpoint(), nobody.endpoint()});
            no_leaked_descriptors const within;
            for (int turn = 0; turn < 300; ++turn)
            {
                started<duet::session> connecting{executor, connector.connect("a", "1")};
                // Given up at every point of the way.
                for (int step = 0; step < turn % 12; ++step)
                    co_await asio::post(executor, asio::use_awaitable);
                if (turn % 3 != 0)
                    connecting.cancel();
                auto const error = co_await error_of(connecting.result());
                BOOST_TEST((!error || error == condition::cancelled));
                while (server.queued() != 0)
                    server.accept();
            }
            BOOST_TEST(within.leaked() == "");
        });
}

namespace {

template <class Executor>
boost::asio::awaitable<std::size_t, Executor> ask(
    duet::basic_connector<tcp, Executor>& connector, tcp::endpoint endpoint)
{
    auto const port = std::to_string(endpoint.port());
    auto peer = co_await connector.connect("127.0.0.1", port);
    std::array<char, 16> buffer;
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    co_return size;
}

}  // namespace

BOOST_AUTO_TEST_CASE(on_a_concrete_executor)
{
    using executor_type = asio::io_context::executor_type;
    asio::io_context context;
    good_address server;
    duet::basic_connector<tcp, executor_type> connector{context};
    std::size_t size = 1;
    asio::co_spawn(context, ask(connector, server.endpoint()),
        [&](std::exception_ptr failure, std::size_t result)
        {
            BOOST_TEST(!failure);
            size = result;
        });
    std::thread peer{[&] { server.accept(); }};
    context.run();
    peer.join();
    BOOST_TEST(size == 0U);
}

BOOST_AUTO_TEST_CASE(on_strands_of_a_context_with_several_threads)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    refusing_address const nobody;
    constexpr int connects = 40;
    std::atomic<int> connected{0};
    std::vector<std::shared_ptr<duet::connector>> connectors;
    std::deque<std::optional<duet::session>> peers;
    for (int each = 0; each < connects; ++each)
    {
        asio::any_io_executor const strand = asio::make_strand(context);
        auto const connector = std::make_shared<duet::connector>(strand, duet::connector_options{.timeout = 5min});
        connectors.push_back(connector);
        peers.emplace_back();
        auto const done = [&connected](std::exception_ptr failure)
        {
            if (!failure)
                ++connected;
        };
        auto const port = std::to_string((each % 4 == 3 ? nobody.endpoint() : server.endpoint()).port());
        asio::co_spawn(strand, keep(connector->connect("localhost", port), peers.back()), done);
    }
    std::thread acceptor{[&]
        {
            for (int each = 0; each < connects * 3 / 4; ++each)
                server.accept();
        }};
    std::vector<std::thread> threads;
    for (int each = 0; each < 3; ++each)
        threads.emplace_back([&] { context.run(); });
    for (auto& each : threads)
        each.join();
    acceptor.join();
    BOOST_TEST(connected == connects * 3 / 4);
}

// ---- Unix-domain
// --------------------------------------------------------------------------------------------------------

namespace {

// A listener of Linux's abstract names: no file to leave behind.
class unix_address
{
public:
    explicit unix_address(std::string_view name, int backlog = 16)
        : name_{std::string{'\0'} + "duet-connector-" + std::to_string(::getpid()) + '-' + std::string{name}},
          listener_{raw_address::local(name_), backlog}
    {
    }

    std::string const& name() const { return name_; }

    raw_socket accept() { return listener_.accept(); }

private:
    std::string name_;
    raw_listener listener_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(to_a_unix_domain_path)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            unix_address server{"path"};
            duet::unix_connector connector{executor};
            duet::unix_session peer = co_await connector.connect(server.name());
            auto other = server.accept();
            co_await peer.write(asio::buffer("hello", 5));
            BOOST_TEST(other.recv_exactly(5) == "hello");
            BOOST_TEST(peer.remote_endpoint().path() == server.name());

            std::string text;
            try
            {
                duet::unix_session const unexpected = co_await connector.connect("/no/such/socket");
            }
            catch (duet::unix_connect_error const& error)
            {
                text = error.what();
                BOOST_TEST((error.code() == boost::system::errc::no_such_file_or_directory));
            }
            BOOST_TEST(text == "connect unix:/no/such/socket: No such file or directory");
        });
}

BOOST_AUTO_TEST_CASE(p26_a_unix_domain_listener_whose_queue_is_full)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            unix_address server{"full", 0};
            auto const filler = raw_socket::connect(raw_address::local(server.name()));
            duet::unix_connector hasty{executor, {.timeout = 20ms}};
            co_await expect_error(hasty.connect(server.name()), duet::errc::connect_timed_out);

            // Asio alone would say that it is connected.
            duet::unix_connector connector{executor};
            started<duet::unix_session> connecting{executor, connector.connect(server.name())};
            co_await settle();
            BOOST_TEST(!connecting.done());
            server.accept();
            duet::unix_session peer = co_await connecting.result();
            auto other = server.accept();
            co_await peer.write(asio::buffer("x", 1));
            BOOST_TEST(other.recv_exactly(1) == "x");

            auto const second = raw_socket::connect(raw_address::local(server.name()));
            started<duet::unix_session> cancelled{executor, connector.connect(server.name())};
            co_await settle();
            cancelled.cancel();
            co_await expect_error(cancelled.result(), condition::cancelled);
        });
}
