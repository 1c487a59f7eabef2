// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A cancellation of accept() that comes when its wait has ended already.

#define BOOST_TEST_MODULE accept.cancelled
#include <duet/acceptor.hpp>

#include <boost/test/unit_test.hpp>

#include "support/raw_peer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>

#include <optional>

using namespace duet_test;
namespace asio = boost::asio;

// Both wait for the same client. The one that gets it cancels the other, before that one goes on.
BOOST_AUTO_TEST_CASE(a_cancellation_between_two_waits_ends_accept)
{
    for (bool const throws : {true, false})
    {
        asio::io_context context;
        duet::acceptor acceptor{context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        asio::cancellation_signal signal;
        std::optional<duet::error_code> end;
        auto const first = [&]() -> asio::awaitable<void>
        {
            co_await acceptor.accept();
            signal.emit(asio::cancellation_type::terminal);
        };
        auto const second = [&]() -> asio::awaitable<void>
        {
            co_await asio::this_coro::throw_if_cancelled(throws);
            try
            {
                co_await acceptor.accept();
                end.emplace();
            }
            catch (duet::session_error const& error)
            {
                end = error.code();
            }
        };
        asio::co_spawn(context, first(), asio::detached);
        asio::co_spawn(context, second(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
        context.poll();
        BOOST_TEST(!end.has_value());
        auto const client = raw_socket::connect(raw_address::v4(acceptor.local_endpoint().port()));
        context.restart();
        context.poll();
        BOOST_REQUIRE(end.has_value());
        BOOST_TEST((*end == asio::error::operation_aborted));
    }
}
