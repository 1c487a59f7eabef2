// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Deadlines of a session on a clock that the test moves: each passes at its time and not before, in order, and without
// waiting.

#define BOOST_TEST_MODULE testing.manual_clock
#include <duet/session.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using duet::condition;
using duet::errc;

namespace {

/// One tick of the coarse clock: a deadline allows for it.
constexpr auto tick = duet::detail::coarse_clock::tick();

struct fixture
{
    fixture() : clock{context}, peer{context}
    {
        tcp::acceptor listener{context, {asio::ip::address_v4::loopback(), 0}};
        peer.connect(listener.local_endpoint());
        accepted = listener.accept();
    }

    duet::session session(duet::deadlines const& limits)
    {
        duet::session_options options;
        options.deadlines = limits;
        return duet::session{std::move(accepted), options};
    }

    template <class Operation>
    void start(Operation operation)
    {
        asio::co_spawn(context, std::move(operation), asio::detached);
    }

    asio::io_context context;
    duet::testing::manual_clock clock;
    duet::session::stream_type peer;
    duet::session::stream_type accepted{context};
};

duet::deadlines none()
{
    duet::deadlines limits;
    limits.half_closed = limits.dead_peer = 0s;
    return limits;
}

asio::awaitable<void> read_once(duet::session& s, std::optional<duet::error_code>& end)
{
    std::array<char, 16> buffer{};
    try
    {
        co_await s.read_some(asio::buffer(buffer));
        end.emplace();
    }
    catch (duet::session_error const& error)
    {
        end = error.code();
    }
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(time_stands_still_until_it_is_moved, fixture)
{
    auto const before = clock.now();
    clock.run_ready();
    BOOST_TEST((clock.now() == before));
    clock.advance(90s);
    BOOST_TEST((clock.now() == before + 90s));
}

BOOST_FIXTURE_TEST_CASE(a_read_times_out_at_its_time_and_not_before, fixture)
{
    auto limits = none();
    limits.read = 30s;
    auto s = session(limits);
    std::optional<duet::error_code> end;
    start(read_once(s, end));
    clock.advance(30s + tick - 1ns);
    BOOST_TEST(!end.has_value());
    clock.advance(1ns);
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST((*end == condition::timed_out));
    // The session lives on: the next read gets what comes.
    end.reset();
    start(read_once(s, end));
    clock.advance(10s);
    asio::write(peer, asio::buffer("x", 1));
    while (!end)
        context.run_one();
    BOOST_TEST(!*end);
}

BOOST_FIXTURE_TEST_CASE(a_byte_restarts_idle, fixture)
{
    auto limits = none();
    limits.idle = 60s;
    auto s = session(limits);
    for (int i = 0; i < 3; ++i)
    {
        std::optional<duet::error_code> end;
        start(read_once(s, end));
        clock.advance(50s);
        BOOST_TEST(!end.has_value());
        asio::write(peer, asio::buffer("x", 1));
        while (!end)
            context.run_one();
        BOOST_TEST(!*end);
    }
    std::optional<duet::error_code> end;
    start(read_once(s, end));
    clock.advance(60s + tick - 1ns);
    BOOST_TEST(!s.error());
    clock.advance(1ns);
    BOOST_TEST(s.error() == duet::error_code{errc::idle_timed_out});
}

BOOST_FIXTURE_TEST_CASE(deadlines_pass_in_their_order, fixture)
{
    auto limits = none();
    limits.read = 10s;
    limits.first_message = 25s;
    auto s = session(limits);
    std::string order;
    auto const reads = [&]() -> asio::awaitable<void>
    {
        for (;;)
        {
            std::optional<duet::error_code> end;
            co_await read_once(s, end);
            order += *end == duet::error_code{errc::read_timed_out} ? 'r' : 'f';
            if (s.error())
                co_return;
        }
    };
    start(reads());
    clock.advance(1h);
    BOOST_TEST(order == "rrf");
    BOOST_TEST(s.error() == duet::error_code{errc::first_message_timed_out});
}

BOOST_FIXTURE_TEST_CASE(close_gives_up_on_a_silent_peer, fixture)
{
    auto limits = none();
    limits.close = 5s;
    limits.close_total = 30s;
    auto s = session(limits);
    std::optional<duet::close_report> report;
    auto const closes = [&]() -> asio::awaitable<void> { report = co_await s.close(); };
    start(closes());
    clock.advance(5s);
    BOOST_TEST(!report.has_value());
    // The kernel acknowledges the FIN when it likes, which is progress; the total ends even so.
    clock.advance(26s);
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST((report->reason == duet::close_reason::timed_out));
}

BOOST_AUTO_TEST_CASE(another_context_has_the_clock_of_the_system)
{
    asio::io_context context;
    duet::testing::manual_clock clock{context};
    asio::io_context other;
    BOOST_TEST((duet::detail::manual_time::of(other.get_executor()) == nullptr));
    BOOST_TEST((duet::detail::manual_time::of(context.get_executor()) != nullptr));
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_those_who_wait_with_it)
{
    std::optional<duet::error_code> end;
    {
        std::optional<fixture> f;
        f.emplace();
        auto limits = none();
        limits.read = 30s;
        auto s = std::make_shared<duet::session>(f->session(limits));
        auto const reads = [](std::shared_ptr<duet::session> own,
                               std::optional<duet::error_code>& into) -> asio::awaitable<void>
        { co_await read_once(*own, into); };
        f->start(reads(std::move(s), end));
        f->clock.advance(10s);
    }
    BOOST_TEST(!end.has_value());
}
