// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A connection that is kept up, on a clock that the test moves: its pauses, what makes them short again, and its ends.

#define BOOST_TEST_MODULE connect.kept_connection
#include <duet/kept_connection.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/adopt.hpp"
#include "support/fd.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

using namespace duet_test;
using duet::condition;
using duet::kept_trial;

namespace {

duet::backoff_options const doubling{.initial = 1min, .maximum = 8min, .multiplier = 2, .jitter = 0};

/// Reads what the peer says up to its end. A byte from it is a success; "x" is a failure, and "q" the end of all.
struct listener_handler
{
    asio::awaitable<bool> operator()(duet::session& peer, kept_trial& trial) const { return listen(peer, trial); }

    static asio::awaitable<bool> listen(duet::session& peer, kept_trial& trial)
    {
        for (;;)
        {
            std::array<char, 1> byte;
            auto const size = co_await peer.read_some(asio::buffer(byte));
            if (size == 0)
                co_return true;
            if (byte[0] == 'x')
                throw std::runtime_error{"it said x"};
            if (byte[0] == 'q')
                co_return false;
            trial.succeeded();
        }
    }
};

struct fixture
{
    fixture() { prepare(context); }

    /// Run until the predicate holds. No time passes.
    template <class Predicate>
    void until(Predicate predicate)
    {
        eventually(
            [&]
            {
                clock.run_ready();
                return predicate();
            },
            "what the test waits for");
    }

    template <class Kept, class Handler>
    void start(Kept& client, Handler handler)
    {
        client.on_lost(
            [this](duet::lost_connection const& loss)
            {
                losses.push_back(loss);
                if (on_loss)
                    on_loss();
            });
        auto on_end = [this](std::exception_ptr thrown)
        {
            ended = true;
            failure = std::move(thrown);
        };
        asio::co_spawn(
            context, client.run(std::move(handler)), asio::bind_cancellation_slot(signal.slot(), std::move(on_end)));
        clock.run_ready();
    }

    /// The next connection of the client.
    raw_socket accept()
    {
        until([&] { return server.queued() == 1; });
        return server.accept();
    }

    /// Until so many connections were lost in all; returns the pause.
    std::chrono::minutes lost(std::size_t count)
    {
        until([&] { return losses.size() == count; });
        return std::chrono::duration_cast<std::chrono::minutes>(losses.back().next_try_in);
    }

    /// Let the pause pass: not a moment before its end there is a connection.
    void pass(std::chrono::minutes pause)
    {
        clock.advance(pause - 1ns);
        BOOST_TEST(server.queued() == 0U);
        clock.advance(1ns);
    }

    /// The server drops the connection, after it has said something.
    std::chrono::minutes drop(std::string const& words = {})
    {
        auto const before = losses.size();
        auto peer = accept();
        peer.send_all(words);
        peer.close();
        return lost(before + 1);
    }

    bool was_cancelled() const
    {
        try
        {
            if (failure)
                std::rethrow_exception(failure);
        }
        catch (duet::system_error const& error)
        {
            return error.code() == condition::cancelled;
        }
        return false;
    }

    no_leaked_descriptors const descriptors;
    asio::io_context context;
    duet::testing::manual_clock clock{context};
    good_address server;
    duet::kept_connection kept{duet::connector{context, {.timeout = for_ever}}, server.endpoint(), doubling};
    asio::cancellation_signal signal;
    std::vector<duet::lost_connection> losses;
    std::function<void()> on_loss;
    bool ended = false;
    std::exception_ptr failure;
};

/// Its FIN has arrived, or something else.
bool kept_has_finished(raw_socket const& peer)
{
    ::pollfd entry{peer.fd(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(std::chrono::minutes)

// A server that accepts and drops was connected to as fast as it dropped.
BOOST_FIXTURE_TEST_CASE(to_be_connected_is_no_success, fixture)
{
    start(kept, listener_handler{});
    std::size_t connections = 0;
    for (auto const expected : {1min, 2min, 4min, 8min, 8min, 8min})
    {
        auto const pause = drop();
        BOOST_TEST(losses.back().failures == ++connections);
        BOOST_TEST(pause == expected);
        BOOST_TEST(losses.back().what() == "");
        pass(pause);
    }
}

BOOST_FIXTURE_TEST_CASE(what_the_program_calls_a_success_makes_the_next_pause_the_first, fixture)
{
    start(kept, listener_handler{});
    for (int round = 0; round < 2; ++round)
    {
        for (auto const expected : {2min, 4min, 8min, 8min})
        {
            if (round == 0 && losses.empty())
                pass(drop());
            BOOST_TEST(drop() == expected);
            pass(expected);
        }
        // Even after a success there is a pause.
        for (int again = 0; again < 3; ++again)
        {
            BOOST_TEST(drop("word") == 1min);
            BOOST_TEST(losses.back().failures == 1U);
            pass(1min);
        }
    }
}

BOOST_FIXTURE_TEST_CASE(a_connect_that_fails_is_a_loss, fixture)
{
    refusing_address later;
    duet::kept_connection other{duet::connector{context}, later.endpoint(), doubling};
    start(other, listener_handler{});
    std::size_t count = 0;
    for (auto const expected : {1min, 2min, 4min})
    {
        BOOST_TEST(lost(++count) == expected);
        BOOST_TEST(losses.back().what().ends_with("Connection refused"));
        BOOST_CHECK_THROW(std::rethrow_exception(losses.back().failure), duet::connect_error);
        if (expected == 4min)
            later.listen();
        clock.advance(expected);
    }
    BOOST_TEST(losses.size() == 3U);
    signal.emit(asio::cancellation_type::terminal);
    until([&] { return ended; });
    BOOST_TEST(was_cancelled());
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_throws_resets_its_connection_and_is_tried_again, fixture)
{
    start(kept, listener_handler{});
    auto peer = accept();
    peer.send_all("x");
    auto const pause = lost(1);
    BOOST_TEST(pause == 1min);
    BOOST_TEST(losses.back().what() == "it said x");
    BOOST_TEST(peer.recv_all().error == ECONNRESET);
    pass(pause);
    BOOST_TEST(drop() == 2min);
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_returns_false_ends_it_gracefully, fixture)
{
    start(kept, listener_handler{});
    pass(drop());
    auto peer = accept();
    peer.send_all("q and more, which nobody reads");
    clock.run_ready();
    until([&] { return kept_has_finished(peer); });
    auto const rest = peer.recv_all();
    BOOST_TEST(rest.error == 0);  // FIN, although there was unread input
    BOOST_TEST(!ended);           // it waits for the peer's
    peer.close();
    until([&] { return ended; });
    BOOST_TEST(!failure);
    BOOST_TEST(losses.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(the_hook_may_give_up, fixture)
{
    on_loss = [&]
    {
        if (losses.size() == 2)
            throw std::domain_error{"no more"};
    };
    start(kept, listener_handler{});
    pass(drop());
    drop();
    until([&] { return ended; });
    BOOST_CHECK_THROW(std::rethrow_exception(failure), std::domain_error);
}

namespace {

enum class phase
{
    connecting,
    serving,
    closing,
    pausing
};

std::ostream& operator<<(std::ostream& out, phase which)
{
    return out << static_cast<int>(which);
}

}  // namespace

BOOST_DATA_TEST_CASE(it_is_cancelled_in_any_phase,
    boost::unit_test::data::make({phase::connecting, phase::serving, phase::closing, phase::pausing}), which)
{
    fixture scene;
    std::optional<black_hole> hole;
    std::optional<duet::kept_connection> hanging;
    if (which == phase::connecting)
    {
        hole.emplace();
        hanging.emplace(duet::connector{scene.context, {.timeout = for_ever}}, hole->endpoint(), doubling);
    }
    scene.start(hanging ? *hanging : scene.kept, listener_handler{});
    std::optional<raw_socket> peer;
    if (which == phase::connecting)
        scene.until([&] { return hole->hanging() == 1; });
    else
        peer.emplace(scene.accept());
    if (which == phase::closing)
    {
        peer->send_all("q");
        scene.until([&] { return kept_has_finished(*peer); });
    }
    if (which == phase::pausing)
    {
        peer->close();
        scene.lost(1);
    }
    BOOST_TEST(!scene.ended);
    scene.signal.emit(asio::cancellation_type::terminal);
    scene.until([&] { return scene.ended; });
    BOOST_TEST(scene.was_cancelled());
    BOOST_TEST(scene.losses.size() == (which == phase::pausing ? 1U : 0U));
    scene.clock.advance(24h);
    BOOST_TEST(scene.server.queued() == 0U);
}

BOOST_FIXTURE_TEST_CASE(pauses_without_a_meaning_are_refused, fixture)
{
    auto const is_refusal = [](duet::system_error const& error)
    { return error.code() == asio::error::invalid_argument; };
    BOOST_CHECK_EXCEPTION(
        (duet::kept_connection{duet::connector{context}, "host", "1", {.jitter = 2}}), duet::system_error, is_refusal);
    BOOST_CHECK_EXCEPTION((duet::kept_connection{duet::connector{context}, server.endpoint(), {.initial = -1s}}),
        duet::system_error, is_refusal);
}

BOOST_FIXTURE_TEST_CASE(by_name_and_on_a_unix_domain_path, fixture)
{
    duet::kept_connection named{
        duet::connector{context}, "127.0.0.1", std::to_string(server.endpoint().port()), doubling};
    start(named, listener_handler{});
    accept().send_all("q");
    until([&] { return ended; });
    BOOST_TEST(!failure);

    static_assert(!std::is_constructible_v<duet::unix_kept_connection, duet::unix_connector, std::string, std::string>);
    auto const path = std::string{'\0'} + "duet-kept-" + std::to_string(::getpid());
    raw_listener listener{raw_address::local(path), 1};
    duet::unix_kept_connection local{duet::unix_connector{context}, path, doubling};
    ended = false;
    start(local,
        [](duet::unix_session& peer, kept_trial&) -> asio::awaitable<bool>
        {
            std::array<char, 1> byte;
            auto const size = co_await peer.read_some(asio::buffer(byte));
            co_return size == 0;
        });
    listener.accept().send_all("q");
    until([&] { return ended; });
    BOOST_TEST(!failure);
}
