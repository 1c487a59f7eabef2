// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Handshakes, and an acceptor that waits for them, out of memory at every allocation in turn: a session whose handshake
// fails has ended, no accept() hangs, nothing leaks, and a later accept() works.

#define BOOST_TEST_MODULE tls.acceptor_out_of_memory
#include "support/quiet_thread.hpp"
#include "support/wait.hpp"
#include "tls/lack_of_memory.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/detail/completion/end_notifier.hpp>
#include <duet/tls_acceptor.hpp>
#include <duet/tls_connector.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <thread>
#include <utility>

using namespace duet_test;
using asio::ip::tcp;

BOOST_TEST_GLOBAL_FIXTURE(openssl_memory);

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

duet::tls_context const& server_context()
{
    static auto const one = duet::tls_context::server(tls_world::get().server_options());
    return one;
}

duet::tls_context const& client_context()
{
    static auto const one = duet::tls_context::client(tls_world::get().client_options());
    return one;
}

/// Run the context until it is so. True: an exception has left it.
template <class Predicate>
bool run_until(asio::io_context& context, Predicate enough)
{
    bool escaped = false;
    auto const deadline = guard_clock::now() + run_guard;
    while (!enough() && guard_clock::now() < deadline)
    {
        try
        {
            context.restart();
            context.run_one_for(std::chrono::milliseconds{50});
        }
        catch (std::bad_alloc const&)
        {
            escaped = true;
        }
    }
    return escaped;
}

/// Begins a handshake. A session whose handshake fails has ended.
void begin_handshake(asio::io_context& context, duet::tls_session& peer)
{
    auto const check = [&peer] { BOOST_TEST((peer.close_reason() != duet::close_reason::none)); };
    auto const note = [check](std::exception_ptr const& failure)
    {
        if (failure)
            check();
    };
    std::optional<asio::awaitable<void>> call;
    try
    {
        call.emplace(duet::handshake(peer));
        asio::co_spawn(context, std::move(*call), note);
    }
    catch (std::bad_alloc const&)
    {
        if (!call)
            check();
        peer.abort();  // or its coroutine was not begun
    }
}

/// False: fewer allocations were made.
bool shake_hands_without_memory(long before)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    prepare(context);
    tls_pair ends{context, server_context(), client_context()};
    lack const here{owner::duet, before};
    begin_handshake(context, ends.server);
    begin_handshake(context, ends.client);
    auto const escaped = [&] { return run_until(context, [&] { return context.stopped(); }); };
    while (escaped())
    {
        // Asio has destroyed a coroutine.
        ends.server.abort();
        ends.client.abort();
    }
    BOOST_TEST_INFO("it hangs");
    BOOST_TEST(context.stopped());
    return here.has_come();
}

/// Clients of an acceptor, one after another, on a thread of its own, which has memory.
class visitors
{
public:
    explicit visitors(tcp::endpoint const& at) : thread_{quiet_thread([this, at] { come(at); })} {}

    ~visitors()
    {
        enough_ = true;
        thread_.join();
    }

private:
    static asio::awaitable<void> visit(duet::tls_connector by, tcp::endpoint at)
    {
        duet::tls_session peer = co_await by.connect(at);
        char none = 0;
        co_await peer.read_some(asio::buffer(&none, 1));
    }

    void come(tcp::endpoint const& at)
    {
        while (!enough_)
        {
            asio::io_context context;
            duet::tls_connector by{context, client_context(), {}, "server.test"};
            asio::co_spawn(context, visit(std::move(by), at), [](std::exception_ptr const&) {});
            context.run();
        }
    }

    std::atomic<bool> enough_ = false;
    std::thread thread_;
};

/// What came of one accept().
struct outcome
{
    bool accepted = false;
    bool gone = false;
};

asio::awaitable<void> accept_one(duet::tls_acceptor& listening, outcome& result)
{
    duet::tls_session const peer = co_await listening.accept();
    result.accepted = true;
}

void begin_accept(asio::io_context& context, duet::tls_acceptor& listening, outcome& result)
{
    duet::detail::end_notifier noted{[&result] { result.gone = true; }};
    asio::co_spawn(context, accept_one(listening, result), std::move(noted));
}

/// Accept once, and let one allocation fail; then accept once more. False: there were fewer allocations.
bool accept_without_memory(owner whose, long before)
{
    no_leaked_descriptors const watched;
    bool has_come = false;
    asio::io_context context;
    prepare(context);
    duet::acceptor listener{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    std::optional<duet::tls_acceptor> listening{std::in_place, std::move(listener), server_context(), 1U};
    outcome first;
    outcome second;
    {
        visitors const clients{listening->local_endpoint()};
        {
            lack const here{whose, before};
            try
            {
                begin_accept(context, *listening, first);
            }
            catch (std::bad_alloc const&)
            {
            }
            run_until(context, [&] { return first.gone; });
            has_come = here.has_come();
        }
        BOOST_TEST(first.gone);
        BOOST_TEST((first.accepted || has_come));
        begin_accept(context, *listening, second);
        run_until(context, [&] { return second.gone; });
        BOOST_TEST(second.accepted);
        listening.reset();
        run_until(context, [&] { return context.stopped(); });
        BOOST_TEST_INFO("it hangs");
        BOOST_TEST(context.stopped());
    }
    return has_come;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_session_whose_handshake_fails_has_ended)
{
    long before = 0;
    for (bool more = true; more; ++before)
        BOOST_TEST_CONTEXT("allocation " << before) more = shake_hands_without_memory(before);
    BOOST_TEST(before > 10);
}

BOOST_AUTO_TEST_CASE(an_acceptor_goes_on)
{
    for (auto const& [whose, step] : {std::pair{owner::duet, 1L}, std::pair{owner::openssl, 53L}})
    {
        long before = 0;
        for (bool more = true; more; before += step)
            BOOST_TEST_CONTEXT("allocation " << before) more = accept_without_memory(whose, before);
        BOOST_TEST(before > 20);
    }
}

#endif
