// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE values.session_handler
#include <duet/session_handler.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace {

using boost::asio::awaitable;

/// Like a session: it can be moved, and not copied.
struct session
{
    session(session&&) = default;
    session& operator=(session&&) = default;
};

template <class Handler>
constexpr bool converses = duet::conversation_handler<Handler, session>;

template <class Handler>
constexpr bool answers = duet::message_handler<Handler, session>;

template <class Handler>
constexpr bool refused = !duet::session_handler<Handler, session>;

struct service
{
    awaitable<void> serve(session) { co_return; }
    awaitable<bool> answer(session&);
};

struct several
{
    awaitable<void> operator()(session);
    awaitable<void> operator()(int);
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_handler_of_a_session_takes_it_by_value)
{
    auto lambda = [](session) -> awaitable<void> { co_return; };
    auto changing = [called = 0](session) mutable noexcept -> awaitable<void>
    {
        ++called;
        co_return;
    };
    auto generic = [](auto) -> awaitable<void> { co_return; };
    BOOST_TEST(converses<awaitable<void> (*)(session)>);
    BOOST_TEST(converses<awaitable<void> (*)(session) noexcept>);
    BOOST_TEST(converses<std::function<awaitable<void>(session)>>);
    BOOST_TEST(converses<several>);
    BOOST_TEST(converses<decltype(lambda)>);
    BOOST_TEST(converses<decltype(changing)>);
    BOOST_TEST(converses<decltype(generic)>);
    BOOST_TEST(converses<decltype(std::bind_front(&service::serve, std::declval<service*>()))>);
}

BOOST_AUTO_TEST_CASE(a_template_that_only_compiles_with_a_session_is_not_tried_with_anything_else)
{
    auto forwards = [](auto peer) { return service{}.serve(std::move(peer)); };
    auto refers = [](auto&& peer) { return service{}.serve(std::move(peer)); };
    BOOST_TEST(converses<decltype(forwards)>);
    BOOST_TEST(converses<decltype(refers)>);
}

BOOST_AUTO_TEST_CASE(a_handler_of_a_message_takes_the_session_by_reference)
{
    auto lambda = [](session&) -> awaitable<bool> { co_return true; };
    BOOST_TEST(answers<awaitable<bool> (*)(session&)>);
    BOOST_TEST(answers<std::function<awaitable<bool>(session&)>>);
    BOOST_TEST(answers<decltype(lambda)>);
    BOOST_TEST(answers<decltype(std::bind_front(&service::answer, std::declval<service*>()))>);
}

BOOST_AUTO_TEST_CASE(a_reference_to_a_temporary_is_refused)
{
    auto moving = [](session&&) -> awaitable<void> { co_return; };
    auto constant = [](session const&) -> awaitable<void> { co_return; };
    auto changing = [called = 0](session&&) mutable noexcept -> awaitable<void>
    {
        ++called;
        co_return;
    };
    BOOST_TEST(refused<awaitable<void> (*)(session &&)>);
    BOOST_TEST(refused<awaitable<void> (*)(session const&)>);
    BOOST_TEST(refused<awaitable<void> (*)(session const&&)>);
    BOOST_TEST(refused<awaitable<bool> (*)(session const&)>);
    BOOST_TEST(refused<std::function<awaitable<void>(session &&)>>);
    BOOST_TEST(refused<decltype(moving)>);
    BOOST_TEST(refused<decltype(constant)>);
    BOOST_TEST(refused<decltype(changing)>);
}

BOOST_AUTO_TEST_CASE(what_is_neither_kind_is_refused)
{
    BOOST_TEST(refused<awaitable<void> (*)(session&)>);
    BOOST_TEST(refused<awaitable<bool> (*)(session)>);
    BOOST_TEST(refused<awaitable<void> (*)()>);
    BOOST_TEST(refused<awaitable<void> (*)(session, int)>);
    BOOST_TEST(refused<void (*)(session)>);
    BOOST_TEST(refused<int>);
}
