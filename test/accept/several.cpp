// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Several calls of accept() pending on one acceptor, also through a lack of descriptors.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.several
#include <boost/test/unit_test.hpp>

#include "accept/injected_failures.hpp"
#include "session/session_fixture.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <cerrno>

using namespace duet_test;
using duet::condition;
using duet::errc;
using tcp = asio::ip::tcp;

namespace {

tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

raw_address address_of(duet::acceptor const& listening)
{
    return raw_address::v4(listening.local_endpoint().port());
}

asio::awaitable<duet::session> next(duet::acceptor& listening)
{
    duet::session session = co_await listening.accept();
    co_return session;
}

}  // namespace

BOOST_AUTO_TEST_CASE(two_accepts_at_once_both_get_a_session)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    run(context,
        [](duet::acceptor& a) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::session> first{executor, next(a)};
            started<duet::session> second{executor, next(a)};
            started<duet::session> third{executor, next(a)};
            co_await settle();
            injected.assign(3, EMFILE);  // all wait together in the pauses
            auto const one = raw_socket::connect(address_of(a));
            auto const other = raw_socket::connect(address_of(a));
            co_await until([] { return injected.empty(); }, "they have paused");
            auto const served = [&] { return first.done() + second.done() + third.done(); };
            co_await until([&] { return served() == 2; }, "two have a session");
            BOOST_TEST(a.counters().accepted == 2u);
            a.close();
            for (auto* const each : {&first, &second, &third})
            {
                bool const has_one = each->done();
                auto const error = co_await error_of(each->result());
                BOOST_TEST(error == (has_one ? duet::error_code{} : duet::error_code{errc::closed}));
            }
        }(listening));
}

BOOST_AUTO_TEST_CASE(one_of_two_accepts_is_cancelled_in_a_pause)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    run(context,
        [](duet::acceptor& a) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::session> first{executor, next(a)};
            started<duet::session> second{executor, next(a)};
            co_await settle();
            injected.assign(4, EMFILE);
            auto const client = raw_socket::connect(address_of(a));
            co_await until([] { return injected.size() <= 2; }, "they pause");
            first.cancel();
            co_await expect_error(first.result(), condition::cancelled);
            auto const session = co_await second.result();
            BOOST_TEST(session.valid());
        }(listening));
}
