// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_STARTED_HPP
#define DUET_TEST_STARTED_HPP

#include "support/coro.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <exception>
#include <memory>
#include <utility>

namespace duet_test {

// An operation under way: it has been started, the test does something else, and asks later what became of it.
//
//     auto const executor = co_await asio::this_coro::executor;
//     started<std::size_t> read{executor, peer.read_some(buffer)};
//     peer.abort();
//     co_await expect_error(read.result(), asio::error::operation_aborted);
//
// Use it on one thread only, the one that runs the executor.
template <typename T>
class started
{
public:
    // Begins with the executor's next turn; it has run to its first wait after co_await settle().
    started(asio::any_io_executor const& executor, asio::awaitable<T> body) : state_{std::make_shared<state>(executor)}
    {
        auto handler = [shared = state_](std::exception_ptr const& failure)
        {
            shared->failure = failure;
            shared->done = true;
            shared->ended.cancel();
        };
        asio::co_spawn(executor, detail::store_result(std::move(body), state_->slot),
            asio::bind_cancellation_slot(state_->signal.slot(), std::move(handler)));
    }

    bool done() const noexcept { return state_->done; }

    void cancel(asio::cancellation_type const type = asio::cancellation_type::terminal) { state_->signal.emit(type); }

    // Waits for the end, and returns or throws what came of it. Once only.
    asio::awaitable<T> result() { return take(state_); }

private:
    struct state
    {
        explicit state(asio::any_io_executor const& executor) : ended{executor, guard_clock::time_point::max()} {}

        bool done = false;
        std::exception_ptr failure;
        detail::result_slot<T> slot;
        asio::steady_timer ended;  // never expires: cancelled when the operation has ended
        asio::cancellation_signal signal;
    };

    static asio::awaitable<T> take(std::shared_ptr<state> shared)
    {
        if (!shared->done)
        {
            boost::system::error_code ignored;
            co_await shared->ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        if (!shared->done)
            throw boost::system::system_error{asio::error::operation_aborted};
        if (shared->failure)
            std::rethrow_exception(shared->failure);
        co_return shared->slot.take();
    }

    std::shared_ptr<state> state_;
};

}  // namespace duet_test

#endif
