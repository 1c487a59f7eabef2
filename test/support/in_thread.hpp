// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_IN_THREAD_HPP
#define DUET_TEST_IN_THREAD_HPP

#include "support/coro.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

namespace duet_test {
namespace detail {

template <typename T>
struct thread_work
{
    explicit thread_work(asio::any_io_executor const& executor) : ended{executor, guard_clock::time_point::max()} {}

    // In the thread. What it posts keeps this object alive: a cancelled coroutine does not wait for the handler.
    template <typename Work>
    void run(Work& work, asio::any_io_executor const& executor, std::shared_ptr<thread_work> self)
    {
        try
        {
            if constexpr (std::is_void_v<T>)
                std::invoke(work);
            else
                slot.value.emplace(std::invoke(work));
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        asio::post(executor, [self] { self->finish(); });
    }

    void finish()
    {
        done = true;
        ended.cancel();
    }

    bool done = false;
    std::exception_ptr failure;
    result_slot<T> slot;
    asio::steady_timer ended;  // never expires: cancelled when the work is done
};

}  // namespace detail

// Runs blocking code, such as a raw peer's script, in a thread of its own while the io_context goes on, and returns its
// result or throws its exception:
//
//     auto const reply = co_await in_thread([&] { return peer.recv_all(); });
//
// Capture by reference only, or pass a named lambda: g++ 12 destroys other captures of a temporary twice.
//
// For an io_context that one thread runs. Cancelling it waits for the work all the same.
template <typename Work>
asio::awaitable<std::invoke_result_t<Work&>> in_thread(Work work)
{
    using result_type = std::invoke_result_t<Work&>;
    auto const executor = co_await asio::this_coro::executor;
    auto const shared = std::make_shared<detail::thread_work<result_type>>(executor);
    // Joins in its destructor: the work and what it refers to outlive it.
    std::jthread const thread{[&] { shared->run(work, executor, shared); }};
    boost::system::error_code ignored;
    co_await shared->ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (!shared->done)
        throw boost::system::system_error{asio::error::operation_aborted};
    if (shared->failure)
        std::rethrow_exception(shared->failure);
    co_return shared->slot.take();
}

}  // namespace duet_test

#endif
