// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The conformance test of streams: those of the library conform, and each way to break a rule is found by that rule.

#define BOOST_TEST_MODULE testing.stream_conformance
#include <duet/session.hpp>
#include <duet/testing/memory_stream.hpp>
#include <duet/testing/stream_conformance.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/strand.hpp>
#include <boost/test/unit_test.hpp>

#include "testing/broken_stream.hpp"
#include "testing/record_stream.hpp"

#include <array>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using asio::local::stream_protocol;
using duet::condition;
using duet::error_code;
using duet::session_stream;
using duet::testing::broken_rule;
using duet::testing::check_stream;
using duet::testing::memory_behaviour;
using duet::testing::memory_stream;
using duet_test::broken_record_stream;
using duet_test::broken_stream;
using duet_test::fault;
using duet_test::goodbye_when_moved_stream;
using duet_test::record_stream;

namespace {

static_assert(session_stream<tcp::socket>);
static_assert(session_stream<asio::basic_stream_socket<tcp, asio::io_context::executor_type>>);
static_assert(session_stream<asio::basic_stream_socket<tcp, asio::strand<asio::any_io_executor>>>);
static_assert(session_stream<stream_protocol::socket>);
static_assert(session_stream<memory_stream>);
static_assert(session_stream<record_stream>);
static_assert(!session_stream<duet_test::no_wait_stream>);
static_assert(!session_stream<duet_test::no_reset_stream>);
static_assert(!session_stream<int>);
static_assert(!session_stream<tcp::acceptor>);

void found_by(std::string const& rule, std::vector<broken_rule> const& broken)
{
    bool found = false;
    for (auto const& each : broken)
        found = found || each.rule == rule;
    BOOST_TEST_INFO(rule << " among:\n" << to_string(broken));
    BOOST_TEST(found);
}

/// Nothing in memory takes time, so the waiting for what never comes can be short.
constexpr auto short_guard = 100ms;

void found_by(std::string const& rule, fault one)
{
    auto const make_pair = [one](asio::any_io_executor const& executor)
    {
        auto ends = memory_stream::pair(executor);
        return std::pair{broken_stream{std::move(ends.first), one}, broken_stream{std::move(ends.second), one}};
    };
    found_by(rule, check_stream(make_pair, short_guard));
}

void conforms(std::vector<broken_rule> const& broken)
{
    BOOST_TEST(to_string(broken) == "");
}

}  // namespace

// ---- Those that conform.

BOOST_AUTO_TEST_CASE(tcp_conforms)
{
    conforms(check_stream(
        [](asio::any_io_executor const& executor)
        {
            std::pair<tcp::socket, tcp::socket> ends{executor, executor};
            tcp::acceptor listener{executor, {asio::ip::address_v4::loopback(), 0}};
            ends.first.connect(listener.local_endpoint());
            ends.second = listener.accept();
            return ends;
        }));
}

BOOST_AUTO_TEST_CASE(unix_domain_sockets_with_an_executor_of_their_own_conform)
{
    using socket = asio::basic_stream_socket<stream_protocol, asio::strand<asio::io_context::executor_type>>;
    conforms(check_stream(
        [](asio::io_context::executor_type const& executor)
        {
            std::pair<socket, socket> ends{asio::make_strand(executor), asio::make_strand(executor)};
            asio::local::connect_pair(ends.first, ends.second);
            return ends;
        }));
}

BOOST_AUTO_TEST_CASE(a_stream_in_memory_conforms_however_short_it_cuts)
{
    for (auto const& behaviour : {memory_behaviour{}, memory_behaviour{1000, 70, 50}, memory_behaviour{16, 3, 5}})
        conforms(check_stream(
            [&](asio::any_io_executor const& executor)
            {
                auto ends = memory_stream::pair(executor);
                ends.first.behaviour() = ends.second.behaviour() = behaviour;
                return ends;
            }));
}

BOOST_AUTO_TEST_CASE(a_layer_that_holds_bytes_and_cannot_half_close_conforms)
{
    for (auto const& behaviour : {memory_behaviour{}, memory_behaviour{1000, 70, 50}, memory_behaviour{10, 3, 2}})
        conforms(check_stream(
            [&](asio::any_io_executor const& executor)
            {
                auto ends = record_stream::pair(executor);
                ends.first.lowest_layer().behaviour() = ends.second.lowest_layer().behaviour() = behaviour;
                return ends;
            }));
}

// ---- Those that do not.

BOOST_AUTO_TEST_CASE(each_fault_is_found_by_its_rule)
{
    found_by("executor", fault::executor_of_another);
    found_by("nothing_is_there", fault::input_is_invented);
    found_by("bytes_arrive_in_order", fault::byte_is_lost);
    found_by("a_write_gathers", fault::gathers_only_one);
    found_by("a_write_takes_a_part", fault::takes_everything);
    found_by("a_write_takes_a_part", fault::never_writable);
    found_by("a_write_takes_a_part", fault::always_writable);
    found_by("the_fin_is_behind_all_bytes", fault::fin_cuts_bytes);
    found_by("one_direction_ends_and_the_other_goes_on", fault::fin_ends_both);
    found_by("a_reset_is_told_to_the_peer", fault::reset_is_silent);
    found_by("a_reset_is_told_to_the_peer", fault::reset_is_a_fin);
    found_by("a_failure_is_told", fault::failure_told_once);
    found_by("a_hang_up_is_told_and_a_fin_is_none", fault::hang_up_not_told);
    found_by("a_hang_up_is_told_and_a_fin_is_none", fault::fin_is_a_hang_up);
    found_by("close_ends_what_waits", fault::close_forgets_who_waits);
    found_by("cancel_ends_what_waits_and_nothing_else", fault::cancel_is_ignored);
    found_by("cancel_ends_what_waits_and_nothing_else", fault::cancel_ends_it);
    found_by("discard_heeds_its_limit", fault::discards_too_much);
    found_by("discard_heeds_its_limit", fault::discard_knows_no_fin);
    found_by("what_is_read_is_acknowledged", fault::never_acknowledged);
    found_by("nothing_is_called_within_a_function", fault::tells_at_once);
    found_by("the_fin_is_behind_all_bytes", fault::goodbye_refused);
    found_by("a_session_closes_cleanly", fault::end_is_a_failure);
    found_by("handlers_go_with_the_context", fault::keeps_handlers);
    broken_stream::kept().clear();
}

BOOST_AUTO_TEST_CASE(a_layer_that_forgets_what_it_holds_and_its_goodbye_is_found)
{
    auto const make_pair = [](asio::any_io_executor const& executor)
    {
        auto ends = record_stream::pair(executor);
        return std::pair{broken_record_stream{std::move(ends.first)}, broken_record_stream{std::move(ends.second)}};
    };
    auto const broken = check_stream(make_pair, short_guard);
    found_by("bytes_that_are_held_are_told", broken);
    found_by("close_ends_what_waits", broken);
}

BOOST_AUTO_TEST_CASE(a_layer_that_says_goodbye_when_it_is_moved_is_found)
{
    auto const make_pair = [](asio::any_io_executor const& executor)
    {
        auto ends = record_stream::pair(executor);
        return std::pair{
            goodbye_when_moved_stream{std::move(ends.first)}, goodbye_when_moved_stream{std::move(ends.second)}};
    };
    found_by("shutdown_send_is_refused", check_stream(make_pair, short_guard));
}

BOOST_AUTO_TEST_CASE(what_make_pair_throws_is_told_by_every_rule)
{
    auto const broken = check_stream([](asio::any_io_executor const&) -> std::pair<memory_stream, memory_stream>
        { throw std::runtime_error{"no network"}; });
    BOOST_TEST(broken.size() > 10U);
    for (auto const& each : broken)
        BOOST_TEST(each.what == "threw: no network");
    BOOST_TEST(to_string(broken).find("bytes_arrive_in_order: threw: no network\n") != std::string::npos);
}

// ---- A session on such a layer.

namespace {

using record_session = duet::basic_session<record_stream>;

struct record_sessions
{
    template <class... Operations>
    void play(Operations... operations)
    {
        std::exception_ptr failure;
        int running = 0;
        auto const ended = [&](std::exception_ptr const& thrown)
        {
            --running;
            if (thrown && !failure)
                failure = thrown;
        };
        (asio::co_spawn(context, (++running, std::move(operations)), ended), ...);
        context.restart();
        context.run_for(10s);
        BOOST_TEST(running == 0);
        if (failure)
            std::rethrow_exception(failure);
    }

    asio::io_context context;
    std::pair<record_stream, record_stream> ends{record_stream::pair(context.get_executor())};
    record_session a{std::move(ends.first)};
    record_session b{std::move(ends.second)};
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_session_reads_what_the_layer_holds, record_sessions)
{
    std::string rest(8, '\0');
    auto const asks = [&]() -> asio::awaitable<void> { co_await a.write(asio::buffer("0123456789", 10)); };
    auto const answers = [&]() -> asio::awaitable<void>
    {
        std::array<char, 2> first{};
        co_await b.read(asio::buffer(first));
        bool const readable = co_await b.wait_readable();
        BOOST_TEST(readable);
        co_await b.read(asio::buffer(rest));
    };
    play(asks(), answers());
    BOOST_TEST(rest == "23456789");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_cannot_half_close_says_so_and_closes_by_its_goodbye, record_sessions)
{
    error_code refused;
    std::string got;
    duet::close_report report;
    auto const asks = [&]() -> asio::awaitable<void>
    {
        std::string const request(100 * 1000, 'x');
        try
        {
            co_await a.shutdown_send();
        }
        catch (duet::session_error const& error)
        {
            refused = error.code();
        }
        co_await a.write(asio::buffer(request));
        report = co_await a.close();
    };
    auto const answers = [&]() -> asio::awaitable<void>
    {
        got = co_await b.read_all(1000 * 1000);
        co_await b.close();
    };
    play(asks(), answers());
    BOOST_TEST(refused == error_code{asio::error::operation_not_supported});
    BOOST_TEST(got == std::string(100 * 1000, 'x'));
    BOOST_TEST((report.reason == duet::close_reason::clean));
    BOOST_TEST((b.close_reason() == duet::close_reason::clean));
}

BOOST_FIXTURE_TEST_CASE(an_end_without_the_goodbye_is_no_fin, record_sessions)
{
    error_code end;
    {
        auto const dropped = std::move(a);
    }
    auto const reads = [&]() -> asio::awaitable<void>
    {
        std::array<char, 10> buffer{};
        try
        {
            co_await b.read_some(asio::buffer(buffer));
        }
        catch (duet::session_error const& error)
        {
            end = error.code();
        }
    };
    play(reads());
    BOOST_TEST((end == condition::truncated));
}
