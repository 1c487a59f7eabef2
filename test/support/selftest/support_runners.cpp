// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The runners: coroutines, threads, child programs, the proxy. What matters most is that each of them can fail: a
// runner that swallows an exception turns a broken test green.

#define BOOST_TEST_MODULE support_runners
#include <boost/test/unit_test.hpp>

#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/in_thread.hpp"
#include "support/process.hpp"
#include "support/proxy.hpp"
#include "support/raw_peer.hpp"
#include "support/started.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> sleep_for(std::chrono::steady_clock::duration const time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> fail_with(asio::error::basic_errors const error)
{
    co_await settle();
    throw boost::system::system_error{error};
}

asio::awaitable<std::unique_ptr<int>> make_int(int const value)
{
    co_await settle();
    co_return std::make_unique<int>(value);
}

// Has no default constructor, as co_spawn alone would require of a result.
struct named
{
    explicit named(std::string text) : name{std::move(text)} {}

    std::string name;
};

asio::awaitable<named> make_named()
{
    named result{"x"};
    co_return result;
}

bool is_refused(boost::system::system_error const& error)
{
    return error.code() == asio::error::connection_refused;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(coroutines)

BOOST_AUTO_TEST_CASE(run_returns_what_the_coroutine_returns)
{
    no_leaked_descriptors const descriptors;
    BOOST_TEST(*run(make_int(4)) == 4);
    BOOST_TEST(run(make_named()).name == "x");
    BOOST_TEST(*run([&] { return make_int(5); }) == 5);
}

BOOST_AUTO_TEST_CASE(run_throws_what_the_coroutine_throws)
{
    BOOST_CHECK_EXCEPTION(run(fail_with(asio::error::connection_refused)), boost::system::system_error, is_refused);
    auto const throws_int = []() -> asio::awaitable<void>
    {
        co_await settle();
        throw 4;
    };
    BOOST_CHECK_THROW(run(throws_int), int);
}

BOOST_AUTO_TEST_CASE(run_ends_a_hang)
{
    BOOST_CHECK_THROW(run(sleep_for(24h), {.guard = 1s}), hang);
}

BOOST_AUTO_TEST_CASE(run_sees_work_left_behind)
{
    asio::io_context context;
    asio::steady_timer left{context, 24h};
    left.async_wait([](boost::system::error_code) {});
    BOOST_CHECK_THROW(run(context, settle(), {.guard = 1s}), hang);
    run(context, settle(), {.leftover = leftover_work::dropped});
}

BOOST_AUTO_TEST_CASE(run_all_cancels_the_others_and_throws_the_first_failure)
{
    BOOST_CHECK_EXCEPTION(run_all(sleep_for(24h), fail_with(asio::error::connection_refused), sleep_for(24h)),
        boost::system::system_error, is_refused);
    int ended = 0;
    auto const count = [&]() -> asio::awaitable<void>
    {
        co_await settle();
        ++ended;
    };
    run_all(count(), count(), count());
    BOOST_TEST(ended == 3);
}

BOOST_AUTO_TEST_CASE(errors_are_told_apart)
{
    auto const body = []() -> asio::awaitable<void>
    {
        co_await expect_error(fail_with(asio::error::connection_refused), asio::error::connection_refused);
        co_await expect_error(fail_with(asio::error::connection_refused), boost::system::errc::connection_refused);
        auto const none = co_await error_of(settle());
        BOOST_TEST(!none);
    };
    run(body);
}

BOOST_AUTO_TEST_CASE(started_operation)
{
    auto const body = []() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<void> waiting{executor, sleep_for(24h)};
        started<std::unique_ptr<int>> quick{executor, make_int(6)};
        auto const six = co_await quick.result();
        BOOST_TEST(*six == 6);
        BOOST_TEST(!waiting.done());
        waiting.cancel();
        co_await expect_error(waiting.result(), asio::error::operation_aborted);
        BOOST_TEST(waiting.done());
    };
    run(body);
}

BOOST_AUTO_TEST_CASE(blocking_work_in_a_thread)
{
    auto const body = []() -> asio::awaitable<void>
    {
        auto pair = connected_pair();
        auto const executor = co_await asio::this_coro::executor;
        started<std::string> reading{executor, in_thread([&] { return pair.server.recv_exactly(3); })};
        co_await settle();
        pair.client.send_all("abc");
        auto const data = co_await reading.result();
        BOOST_TEST(data == "abc");
        auto const refuse = [] { throw boost::system::system_error{asio::error::connection_refused}; };
        co_await expect_error(in_thread(refuse), asio::error::connection_refused);
    };
    run(body);
}

BOOST_AUTO_TEST_CASE(until_lets_the_context_run)
{
    bool arrived = false;
    auto const arrive = [&]() -> asio::awaitable<void>
    {
        co_await sleep_for(1ms);
        arrived = true;
    };
    run_all(until([&] { return arrived; }, "the other coroutine has run"), arrive());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(programs)

BOOST_AUTO_TEST_CASE(talk_to_a_program)
{
    no_leaked_descriptors const descriptors;
    child_process cat{{"cat"}};
    cat.write("one\ntwo\nthree");
    BOOST_TEST(*cat.read_line() == "one");
    cat.close_input();
    BOOST_TEST(*cat.read_line() == "two");
    BOOST_TEST(*cat.read_line() == "three");
    BOOST_TEST(!cat.read_line().has_value());
    BOOST_TEST(cat.wait().success());
}

BOOST_AUTO_TEST_CASE(exit_codes_and_signals)
{
    child_process failing{{"sh", "-c", "echo out; echo err >&2; exit 3"}, child_errors::merged};
    BOOST_TEST(failing.read_rest() == "out\nerr\n");
    BOOST_TEST(failing.wait().code == 3);
    child_process sleeping{{"sleep", "1000"}};
    sleeping.signal(SIGTERM);
    BOOST_TEST(sleeping.wait().signal == SIGTERM);
    child_process const abandoned{{"sleep", "1000"}};  // killed in the destructor
    BOOST_CHECK_THROW(child_process({"there-is-no-such-program"}), std::system_error);
}

BOOST_AUTO_TEST_CASE(p33_a_write_to_a_program_that_is_gone)
{
    child_process gone{{"true"}};
    gone.wait();
    BOOST_CHECK_THROW(gone.write("x"), std::system_error);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(proxied)

// A connection through a proxy: client and server, the proxy between them.
struct proxied_pair
{
    explicit proxied_pair(proxy_options const& options = {}) : middle{listener.address(), options}
    {
        client = raw_socket::connect(middle.address());
        server = listener.accept();
    }

    raw_listener listener;
    proxy middle;
    raw_socket client;
    raw_socket server;
};

BOOST_AUTO_TEST_CASE(half_close_passes_in_both_directions)
{
    no_leaked_descriptors const descriptors;
    proxied_pair p;
    p.client.send_all("question");
    p.client.shutdown_write();
    BOOST_TEST(p.server.recv_all().data == "question");
    p.server.send_all("answer");
    p.server.close();
    auto const answer = p.client.recv_all();
    BOOST_TEST(answer.data == "answer");
    BOOST_TEST(answer.error == 0);
    BOOST_TEST(p.middle.bytes_to_server() == 8U);
    BOOST_TEST(p.middle.bytes_to_client() == 6U);
    p.middle.stop();
}

BOOST_AUTO_TEST_CASE(a_reset_passes)
{
    proxied_pair p;
    p.server.reset();
    BOOST_TEST(p.client.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(nobody_behind_the_proxy)
{
    auto const pair = connected_pair();  // a port that is taken, so that nobody else listens on it
    proxy const middle{raw_address::v4(pair.client.local_port())};
    auto client = raw_socket::connect(middle.address());
    BOOST_TEST(client.recv_some().error == ECONNRESET);
}

// The places where a stream of 300 bytes is cut when it arrives in portions of this size.
std::vector<std::size_t> cuts(std::uint32_t const seed, std::size_t const portion)
{
    constexpr std::size_t stream = 300;
    piece_plan plan{seed, 7};
    std::vector<std::size_t> result;
    for (std::size_t position = 0; position < stream;)
    {
        auto const available = portion - position % portion;
        auto const size = plan.take(available);
        BOOST_TEST_REQUIRE((size >= 1 && size <= 7));
        position += size;
        if (size < available)
            result.push_back(position);
    }
    return result;
}

BOOST_AUTO_TEST_CASE(pieces_are_the_same_for_the_same_seed)
{
    auto const all = cuts(1, 1000);
    BOOST_TEST(cuts(1, 1000) == all, boost::test_tools::per_element());
    BOOST_TEST((cuts(2, 1000) != all));
    // Arriving differently adds cuts and moves none.
    for (auto const each : cuts(1, 50))
        BOOST_TEST((std::find(all.begin(), all.end(), each) != all.end()));
}

BOOST_AUTO_TEST_CASE(byte_by_byte_arrives_whole)
{
    proxied_pair p{{.to_server = {.largest_piece = 1}, .to_client = {.largest_piece = 100}}};
    std::string data;
    for (int each = 0; each < 20000; ++each)
        data += static_cast<char>('a' + each % 26);
    p.client.send_all(data);
    p.client.shutdown_write();
    BOOST_TEST(p.server.recv_all().data == data);
    p.server.send_all(data);
    p.server.shutdown_write();
    BOOST_TEST(p.client.recv_all().data == data);
}

BOOST_AUTO_TEST_CASE(delay_and_throttle_take_their_time)
{
    proxied_pair p{{.to_server = {.delay = 20ms}, .to_client = {.bytes_per_millisecond = 100}}};
    auto const begin = std::chrono::steady_clock::now();
    p.client.send_all("x");
    BOOST_TEST(p.server.recv_exactly(1) == "x");
    auto const middle = std::chrono::steady_clock::now();
    p.server.send_all(std::string(3000, 'y'));
    BOOST_TEST(p.client.recv_exactly(3000).size() == 3000U);
    auto const end = std::chrono::steady_clock::now();
    // Lower bounds only: a slow machine may take longer.
    BOOST_TEST((middle - begin >= 20ms));
    BOOST_TEST((end - middle >= 30ms));
}

BOOST_AUTO_TEST_CASE(a_full_proxy_holds_the_sender_back)
{
    raw_options const small{.receive_buffer = 4096, .send_buffer = 4096};
    proxied_pair p{{.to_server = {.buffer_size = 4096}, .client_socket = small, .server_socket = small}};
    auto const taken = p.client.fill_until_blocked();  // nobody reads
    p.client.shutdown_write();
    BOOST_TEST(p.server.recv_all().data.size() == taken);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(raw)

BOOST_AUTO_TEST_CASE(unix_domain)
{
    auto pair = connected_pair(raw_address::local(std::string{'\0'} + "duet_test." + std::to_string(::getpid())));
    pair.client.send_all("abc");
    pair.client.shutdown_write();
    BOOST_TEST(pair.server.recv_all().data == "abc");
    BOOST_TEST(pair.client.local_port() == 0);
}

BOOST_AUTO_TEST_CASE(nobody_listens)
{
    auto const pair = connected_pair();  // a port that is taken, so that nobody else listens on it
    auto const nobody = raw_address::v4(pair.client.local_port());
    BOOST_CHECK_EXCEPTION(raw_socket::connect(nobody), std::system_error,
        [](std::system_error const& error) { return error.code().value() == ECONNREFUSED; });
}

BOOST_AUTO_TEST_SUITE_END()
