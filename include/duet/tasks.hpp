// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TASKS_HPP
#define DUET_TASKS_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <duet/detail/completion/task_group.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {

struct tasks_access;

/// The coroutine of a function, which lives as long.
template <class Function>
boost::asio::awaitable<void> call_task(Function function)
{
    co_await function();
}

}  // namespace detail

/// What happens to the tasks that still run when the body of with_tasks() returns.
enum class tasks_end : std::uint8_t
{
    wait,    ///< they end by themselves
    cancel,  ///< they are cancelled, with terminal cancellation
};

/// The tasks of one with_tasks(): coroutines on the executor of the one that waits for them. The body and each of its
/// tasks may begin further ones, until all have ended.
///
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor.
class tasks
{
public:
    tasks(tasks const&) = delete;
    tasks& operator=(tasks const&) = delete;

    /// Begin a task: within this call or soon after it. If the tasks were cancelled already, so is this one. Throws
    /// std::bad_alloc, which is then a failure of a task, too.
    void begin(boost::asio::awaitable<void> task) { group_->begin(std::move(task)); }

    /// As above, with a function that returns the task. It lives as long as the task, so a lambda may capture what the
    /// task needs.
    template <class Function>
        requires(std::is_invocable_r_v<boost::asio::awaitable<void>, Function&>)
    void begin(Function function) { group_->begin(detail::call_task(std::move(function))); }

    /// Cancel all tasks, also those that begin later, with terminal cancellation. The body goes on. A task that ends
    /// with condition::cancelled has then not failed.
    void cancel() noexcept { group_->cancel(); }

    /// How many tasks have begun and not ended.
    std::size_t running() const noexcept { return group_->running(); }

    boost::asio::any_io_executor get_executor() const noexcept { return group_->get_executor(); }

private:
    friend detail::tasks_access;

    explicit tasks(std::shared_ptr<detail::task_group> group) noexcept : group_{std::move(group)} {}

    std::shared_ptr<detail::task_group> group_;
};

namespace detail {

struct tasks_access
{
    static tasks make(std::shared_ptr<task_group> group) noexcept { return tasks{std::move(group)}; }
};

struct no_result
{
};

/// What a body returns, until it can be returned: its coroutine is another than that of with_tasks().
template <class Body>
struct body_result
{
    using awaitable = std::invoke_result_t<Body&, tasks&>;
    using type = typename awaitable::value_type;
    static constexpr bool is_void = std::is_void_v<type>;

    boost::asio::awaitable<void> call(Body& body, tasks& scope, tasks_end at_end)
    {
        if constexpr (is_void)
            co_await body(scope);
        else
        {
            type got = co_await body(scope);
            value.emplace(std::move(got));
        }
        if (at_end == tasks_end::cancel)
            scope.cancel();
    }

    std::optional<std::conditional_t<is_void, no_result, type>> value;
};

/// Wait until all have ended, whatever happens. Cancellation is passed on to them.
inline boost::asio::awaitable<void> wait_for_tasks(task_group& group)
{
    boost::asio::use_awaitable_t<> const token;
    error_code ignored;
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    while (!group.all_ended())
    {
        auto const state = co_await boost::asio::this_coro::cancellation_state;
        if (state.cancelled() != boost::asio::cancellation_type::none)
            group.cancel_from_outside();
        if (!group.all_ended())
            co_await group.end().async_wait(boost::asio::redirect_error(token, ignored));
    }
}

}  // namespace detail

/// Call `body` with a scope for tasks, and complete when it and all tasks that were begun there have ended, with the
/// result of the body. So a task never outlives what it refers to: the variables of the coroutine that awaits this, and
/// of a handler its session.
///
/// ```cpp
/// asio::awaitable<void> handler(duet::session peer)
/// {
///     auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
///     {
///         tasks.begin(send_prices(peer));
///         co_await answer_requests(peer);
///     };
///     co_await duet::with_tasks(body, duet::tasks_end::cancel);
/// }
/// ```
///
/// **The end.** When the body has returned, the tasks end by themselves, or are cancelled: see tasks_end. Either way
/// this completes only when the last one has ended.
///
/// **Exceptions.** When the body or a task throws, all others are cancelled, and this throws the first exception when
/// they have ended. The exceptions with condition::cancelled that follow from that are not failures. Others are: if
/// `failures` is not null, all failures are appended to it, the thrown one first.
///
/// **Cancellation** of the coroutine that awaits this, of any type that it lets through, cancels the body and the
/// tasks, with terminal cancellation, and waits for them. They decide what comes of it: if none throws, this completes
/// as usual.
///
/// **Executor.** Everything runs on that of the coroutine that awaits this; in a session's handler, on the session's.
///
/// If the execution context is destroyed meanwhile, the body, the tasks, and the coroutine that awaits this are
/// destroyed in no certain order: destructors of their variables must not refer to each other.
///
/// Errors: those of the body and the tasks; std::bad_alloc.
template <class Body>
std::invoke_result_t<Body&, tasks&> with_tasks(
    Body body, tasks_end at_end = tasks_end::wait, std::vector<std::exception_ptr>* failures = nullptr)
{
    auto const executor = co_await boost::asio::this_coro::executor;
    bool const throws = co_await boost::asio::this_coro::throw_if_cancelled();
    auto const group = std::make_shared<detail::task_group>(executor);
    auto scope = detail::tasks_access::make(group);
    detail::body_result<Body> result;
    group->begin_body(result.call(body, scope, at_end));
    co_await detail::wait_for_tasks(*group);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (failures)
        failures->insert(failures->end(), group->failures().begin(), group->failures().end());
    if (group->first_failure())
        std::rethrow_exception(group->first_failure());
    if constexpr (!detail::body_result<Body>::is_void)
        co_return std::move(*result.value);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
