// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What an idle session takes: the parts of which there is one for each. Whoever makes them larger sees it here.

#define BOOST_TEST_MODULE engine.sizes
#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/session_terms.hpp>
#include <duet/detail/engine/stream_connection.hpp>
#include <duet/server.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace asio = boost::asio;
using duet::detail::shared_terms;

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBCXX__)

BOOST_AUTO_TEST_CASE(a_connection_is_as_small_as_it_was)
{
    BOOST_TEST(sizeof(duet::detail::stream_connection<asio::ip::tcp::socket>) <= 584U);
    BOOST_TEST(sizeof(duet::session) <= sizeof(void*));
    BOOST_TEST(sizeof(duet::detail::served_session<asio::ip::tcp>) <= 40U);
    BOOST_TEST(sizeof(duet::detail::serving_coroutine<asio::ip::tcp>) <= 88U);
    BOOST_TEST(sizeof(duet::detail::any_completion) <= 48U);
    BOOST_TEST(sizeof(duet::detail::waiters) <= sizeof(void*));
    BOOST_TEST(sizeof(duet::detail::write_queue) <= sizeof(void*));
}

#endif

BOOST_AUTO_TEST_CASE(sessions_of_a_context_with_the_same_options_share_them)
{
    asio::io_context context;
    asio::io_context another;
    asio::any_io_executor const executor = context.get_executor();
    asio::any_io_executor const elsewhere = another.get_executor();
    duet::session_options options;
    shared_terms const first{executor, &context, options};
    shared_terms const second{executor, &context, options};
    BOOST_TEST(std::addressof(*first) == std::addressof(*second));

    shared_terms const there{elsewhere, &another, options};
    BOOST_TEST(std::addressof(*there) != std::addressof(*first));
    BOOST_TEST((there->executor == elsewhere));

    options.queue_limit = 1;
    shared_terms const narrow{executor, &context, options};
    BOOST_TEST(std::addressof(*narrow) != std::addressof(*first));
    BOOST_TEST(narrow->queue_limit == 1U);
    BOOST_TEST(first->queue_limit == 0U);
}

// A session that begins after the clock of the context has become a manual one has that.
BOOST_AUTO_TEST_CASE(sessions_of_a_context_share_a_clock_that_it_still_has)
{
    asio::io_context context;
    asio::any_io_executor const executor = context.get_executor();
    shared_terms const first{executor, &context, {}};
    BOOST_TEST((first->clock.manual() == nullptr));
    duet::testing::manual_clock const clock{context};
    shared_terms const second{executor, &context, {}};
    BOOST_TEST((second->clock.manual() != nullptr));
}

BOOST_AUTO_TEST_CASE(other_deadlines_are_those_of_one_session)
{
    using std::chrono::seconds;
    asio::io_context context;
    asio::any_io_executor const executor = context.get_executor();
    shared_terms const first{executor, &context, {.queue_limit = 7, .close_discard_limit = 8}};
    auto const other = first.with({.idle = seconds{3}});
    BOOST_TEST((other->deadlines.idle == seconds{3}));
    BOOST_TEST((first->deadlines.idle == seconds{0}));
    BOOST_TEST(other->queue_limit == 7U);
    BOOST_TEST(other->close_discard_limit == 8U);
    auto const same = other.with({.idle = seconds{3}});
    BOOST_TEST(std::addressof(*same) == std::addressof(*other));
}

// An executor of another kind may own what dies with its context, so nothing keeps it longer than the session.
BOOST_AUTO_TEST_CASE(the_terms_on_another_executor_end_with_their_sessions)
{
    asio::io_context context;
    asio::any_io_executor const executor = context.get_executor();
    shared_terms const first{executor, nullptr, {}};
    shared_terms const second{executor, nullptr, {}};
    BOOST_TEST(std::addressof(*first) != std::addressof(*second));
}
