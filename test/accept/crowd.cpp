// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// More clients than an acceptor takes at once, and more than there are descriptors for: who has a turn, and how often
// it tries.

#include <duet/acceptor.hpp>
#include <duet/inherited.hpp>

#define BOOST_TEST_MODULE accept.crowd
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/simulated_time.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::ip::tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

/// Called before each attempt, if there is one. True: no descriptor is left.
std::function<bool()> on_attempt;

std::vector<raw_socket> clients_of(duet::acceptor const& listening, std::size_t count)
{
    std::vector<raw_socket> result;
    for (std::size_t i = 0; i < count; ++i)
        result.push_back(raw_socket::connect(raw_address::v4(listening.local_endpoint().port())));
    return result;
}

asio::awaitable<void> accept(duet::acceptor& listening, std::size_t& count, std::size_t until)
{
    while (count < until)
    {
        auto const session = co_await listening.accept();
        ++count;
    }
}

}  // namespace

// The test program's own, found before libc's. The library calls accept where the system has no accept4.
extern "C" int accept4(int listener, ::sockaddr* address, ::socklen_t* size, int flags)
{
    auto const told = on_attempt;  // it may end itself
    if (!told || !told())
        return static_cast<int>(::syscall(SYS_accept4, listener, address, size, flags));
    errno = EMFILE;
    return -1;
}

extern "C" int accept(int listener, ::sockaddr* address, ::socklen_t* size)
{
    return accept4(listener, address, size, 0);
}

// The queue may never become empty.
BOOST_AUTO_TEST_CASE(after_each_full_batch_others_have_their_turns)
{
    for (std::size_t const batch : {1U, 4U, 16U})
    {
        BOOST_TEST_CONTEXT("batch " << batch)
        {
            asio::io_context context;
            duet::acceptor listening{context, loopback, {.batch = batch}};
            auto const clients = clients_of(listening, 50);
            std::size_t count = 0;
            std::vector<std::size_t> seen{0};
            std::function<void()> look = [&]
            {
                seen.push_back(count);
                if (count < clients.size())
                    asio::post(context, look);
            };
            asio::co_spawn(context, accept(listening, count, clients.size()), asio::detached);
            asio::post(context, look);
            context.run();
            BOOST_TEST(count == clients.size());
            for (std::size_t i = 1; i < seen.size(); ++i)
                BOOST_TEST(seen[i] - seen[i - 1] <= batch);
        }
    }
}

// P23: the pauses are 5 ms, then twice as long each time, up to a second; after a success they begin anew.
BOOST_AUTO_TEST_CASE(p23_without_descriptors_it_tries_ever_less_often_and_recovers_within_a_second)
{
    simulated_time time;
    duet::acceptor listening{time.context, loopback};
    std::size_t count = 0;
    asio::co_spawn(time.context, accept(listening, count, 2), asio::detached);
    for (std::size_t round = 1; round <= 2; ++round)
    {
        auto const client = clients_of(listening, 1);
        std::vector<simulated_time::time_point> tries;
        on_attempt = [&]
        {
            tries.push_back(time.now());
            if (tries.size() == 70)
                on_attempt = nullptr;  // there are descriptors again
            return true;
        };
        time.run_until([&] { return count == round; }, "the client is accepted");
        BOOST_REQUIRE(tries.size() == 70U);
        auto pause = 5ms;
        for (std::size_t i = 1; i < tries.size(); ++i)
        {
            BOOST_TEST((tries[i] - tries[i - 1] == pause));
            pause = std::min<std::chrono::milliseconds>(2 * pause, 1s);
        }
        BOOST_TEST((time.now() - tries.back() <= 1s));
        BOOST_TEST(listening.counters().resource_failures == 70U * round);
    }
    BOOST_TEST(listening.counters().accepted == 2U);
}

// Others hold this listener, too, so it cannot keep clients out: it takes those that have been there, and no more.
BOOST_AUTO_TEST_CASE(close_ends_although_a_client_comes_for_each_that_is_taken)
{
    asio::io_context context;
    raw_listener const source{raw_address::v4(0), 64};
    duet::acceptor listening{context, duet::inherited_descriptor{::fcntl(source.fd(), F_DUPFD_CLOEXEC, 0), {}}};
    auto clients = clients_of(listening, 5);
    on_attempt = [&]
    {
        if (clients.size() < 50)
            clients.push_back(raw_socket::start_connect(source.address()));
        return false;
    };
    listening.close();
    on_attempt = nullptr;
    BOOST_TEST(!listening.is_open());
    BOOST_TEST(listening.counters().accepted == 5U);
}
