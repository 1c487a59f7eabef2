// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// An operation that a coroutine awaits directly may complete inside its own initiation and throws a session_error;
// every other handler is posted and gets an error_code. Which is which must be told right for every version of Asio.

#define BOOST_TEST_MODULE completion.awaiting_coroutine
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

using namespace duet_test;
using duet::error_code;

namespace {

// An operation that looks at the handler which it is initiated with.
template <class Signature, bool Expected>
struct looking_operation
{
    template <asio::completion_token_for<Signature> Token>
    auto operator()(Token&& token) const
    {
        return asio::async_initiate<Token, Signature>(
            [](auto&& handler)
            {
                using handler_type = std::decay_t<decltype(handler)>;
                static_assert(duet::detail::is_awaiting_coroutine<handler_type, Signature>::value == Expected);
                auto const executor = asio::get_associated_executor(handler);
                asio::post(executor,
                    [handler = std::move(handler)]() mutable
                    {
                        if constexpr (std::is_invocable_v<decltype(std::move(handler)), error_code>)
                            std::move(handler)(error_code{});
                        else
                            std::move(handler)(error_code{}, std::size_t{1});
                    });
            },
            token);
    }
};

using no_result = void(error_code);
using bytes = void(error_code, std::size_t);

template <class Executor>
asio::awaitable<void, Executor> await_each()
{
    looking_operation<no_result, true> first;
    co_await std::move(first);
    looking_operation<bytes, true> second;
    co_await std::move(second);
    // A token that makes a coroutine of its own hands over another handler, which is posted.
    looking_operation<bytes, false> third;
    co_await third(asio::use_awaitable_t<Executor>{});
}

// A user's handler of the shape that the awaiting coroutine has in Boost 1.81.
template <class Signature, class Executor>
struct lookalike;

template <class Executor>
struct lookalike<bytes, Executor>
{
    using executor_type = Executor;

    lookalike(Executor const& with, std::optional<error_code>& into) : executor{with}, result{&into} {}

    lookalike(lookalike&&) = default;
    lookalike& operator=(lookalike&&) = default;

    executor_type get_executor() const noexcept { return executor; }

    void operator()(error_code error, std::size_t) { *result = error; }

    Executor executor;
    std::optional<error_code>* result;
};

using lookalike_handler = lookalike<bytes, asio::any_io_executor>;

static_assert(!duet::detail::is_awaiting_coroutine<lookalike_handler, bytes>::value);
static_assert(!duet::detail::is_awaiting_coroutine<void (*)(error_code, std::size_t), bytes>::value);

}  // namespace

BOOST_AUTO_TEST_CASE(handler_of_await_is_recognised_for_every_signature_and_executor)
{
    asio::io_context context;
    run(context, await_each<asio::any_io_executor>());

    bool ended = false;
    asio::co_spawn(context, await_each<asio::io_context::executor_type>(),
        [&](std::exception_ptr const& failure)
        {
            ended = true;
            BOOST_TEST(!failure);
        });
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(failed_operation_throws_session_error_into_the_coroutine)
{
    tcp_talk talk;
    talk.peer.reset();
    talk.play(
        [](duet::session& session) -> asio::awaitable<void>
        {
            std::array<char, 16> buffer;
            bool caught = false;
            try
            {
                co_await session.read_some(asio::buffer(buffer));
            }
            catch (duet::session_error const& error)
            {
                caught = true;
                BOOST_TEST(error.operation() == "read_some");
                BOOST_TEST(error.code() == asio::error::connection_reset);
            }
            BOOST_TEST(caught);
        });
}

BOOST_AUTO_TEST_CASE(users_handler_of_that_shape_is_posted)
{
    tcp_talk talk;
    talk.peer.send_all("abcd");
    auto session = talk.make();
    std::array<char, 2> buffer;
    std::optional<error_code> both_faces[2];

    session.async_read_some(asio::buffer(buffer), lookalike_handler{talk.context.get_executor(), both_faces[0]});
    BOOST_TEST(!both_faces[0].has_value());  // its initiating function had not yet returned
    talk.context.run_for(run_guard);
    BOOST_REQUIRE(both_faces[0].has_value());
    BOOST_TEST(!*both_faces[0]);

    session.read_some(asio::buffer(buffer))(lookalike_handler{talk.context.get_executor(), both_faces[1]});
    BOOST_TEST(!both_faces[1].has_value());
    talk.context.restart();
    talk.context.run_for(run_guard);
    BOOST_REQUIRE(both_faces[1].has_value());
    BOOST_TEST(!*both_faces[1]);
}

BOOST_AUTO_TEST_CASE(users_handler_of_that_shape_gets_a_code_whose_message_can_be_read)
{
    tcp_talk talk;
    talk.peer.reset();
    auto session = talk.make();
    std::array<char, 2> buffer;
    std::optional<error_code> result;

    session.read(asio::buffer(buffer))(lookalike_handler{talk.context.get_executor(), result});
    talk.context.run_for(run_guard);
    BOOST_REQUIRE(result.has_value());
    BOOST_TEST(*result == asio::error::connection_reset);
    BOOST_TEST(result->message() == error_code{asio::error::connection_reset}.message());
}
