// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_REMOTE_HPP
#define DUET_REMOTE_HPP

#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <duet/detail/engine/remote_control.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The completion handler of a function that was posted to another thread. It is called exactly once, by its own
/// executor, also if the function is destroyed.
template <class Handler>
class remote_answer
{
    using executor_type = boost::asio::associated_executor_t<Handler>;

public:
    explicit remote_answer(Handler handler)
        : work_{boost::asio::get_associated_executor(handler)}, handler_{std::move(handler)}
    {
    }

    remote_answer(remote_answer const&) = delete;
    remote_answer& operator=(remote_answer const&) = delete;

    template <class... Results>
    void give(std::exception_ptr failure, Results... results)
    {
        auto handler = std::move(*handler_);
        handler_.reset();
        boost::asio::post(
            work_.get_executor(), boost::asio::append(std::move(handler), std::move(failure), std::move(results)...));
        work_.reset();
    }

    bool given() const noexcept { return !handler_; }

private:
    boost::asio::executor_work_guard<executor_type> work_;
    std::optional<Handler> handler_;
};

/// A function that was posted to a session, and the handler that gets what comes of it.
template <class Session, class Function, class Handler>
class remote_call
{
    using result = std::decay_t<std::invoke_result_t<Function&, Session&>>;

public:
    remote_call(Function function, Handler handler) : function_{std::move(function)}, answer_{std::move(handler)} {}

    remote_call(remote_call const&) = delete;
    remote_call& operator=(remote_call const&) = delete;

    ~remote_call()
    {
        try
        {
            if (!answer_.given())
                fail(std::make_exception_ptr(session_error{errc::closed, "post", "a session that has ended", 0}));
        }
        catch (std::bad_alloc const&)
        {
            // The handler was destroyed.
        }
    }

    static void begin(owner_ref<remote_control> const& control, Function function, Handler handler)
    {
        auto const call = std::make_shared<remote_call>(std::move(function), std::move(handler));
        try
        {
            if (control)
                control->post([call](connection* target) { call->run(target); });
        }
        catch (std::bad_alloc const&)
        {
            call->fail(std::current_exception());
        }
    }

private:
    void run(connection* target)
    {
        if (!target || !target->has_handles())
            return;
        auto function = std::move(function_);  // destroyed here, on the session's executor
        std::exception_ptr failure;
        if constexpr (std::is_void_v<result>)
        {
            try
            {
                session_access::visit<Session>(*target, function);
            }
            catch (...)
            {
                failure = std::current_exception();
            }
            answer_.give(std::move(failure));
        }
        else
        {
            result value{};
            try
            {
                value = session_access::visit<Session>(*target, function);
            }
            catch (...)
            {
                failure = std::current_exception();
            }
            answer_.give(std::move(failure), std::move(value));
        }
    }

    void fail(std::exception_ptr failure)
    {
        if constexpr (std::is_void_v<result>)
            answer_.give(std::move(failure));
        else
            answer_.give(std::move(failure), result{});
    }

    Function function_;
    remote_answer<Handler> answer_;
};

template <class Result>
struct remote_signature
{
    using type = void(std::exception_ptr, std::decay_t<Result>);
};

template <>
struct remote_signature<void>
{
    using type = void(std::exception_ptr);
};

}  // namespace detail

/// Runs functions on the executor of one session, from any thread. So sessions of several threads can share what they
/// know: each keeps its own state on its own executor, and sends the others what concerns them.
///
/// ```cpp
/// duet::remote member{peer};                                  // a copy for everybody who wants to reach it
///
/// member.post([line](duet::session& s)                        // on any thread; runs on that of the session
///     { s.write(asio::buffer(*line))([line](duet::error_code, std::size_t) {}); });
///
/// auto const size = co_await member.post([](duet::session& s) { return s.bytes_sent(); }, asio::use_awaitable);
/// ```
///
/// **The session** may be moved, to a handler for example; a remote follows it. The function gets a session object of
/// its own on the same connection, so it works the same whether a handler owns its session or refers to it. The object
/// is destroyed after the call. A function may move it elsewhere to keep the connection open; it must then be destroyed
/// on the session's executor. (A server closes the connection nevertheless when the handler has ended.)
///
/// **Order.** Functions that one thread posts run in that order. None runs within post(), not even on the session's own
/// thread. Until a function has run, the session's execution context has work; a remote by itself keeps nothing open or
/// running.
///
/// **The end.** A function is called only while a session object exists, and a server's exists until the handler has
/// ended and the connection is closed. The connection may have failed or ended before: every operation of the function
/// then reports that, as everywhere. Once no session object is left, functions are destroyed without a call, at the
/// latest with the session's context.
///
/// **Lifetime.** Copies are cheap: one atomic increment. They may outlive the session and its execution context.
///
/// Distinct objects: safe. Shared objects: safe, except assignment.
template <class Session>
class remote
{
public:
    using session_type = Session;

    /// A remote without a session.
    remote() noexcept = default;

    /// Of this session; without a session if that is empty. May be made on any thread, as long as the session object is
    /// not moved or destroyed meanwhile. Throws std::bad_alloc.
    explicit remote(Session const& of) : control_{detail::session_access::control(of)} {}

    /// Call `function(session)` on the session's executor. Returns at once. False: there is no connection any more, and
    /// the function will not be called. True does not promise a call: the session may end before, and then the function
    /// is destroyed.
    ///
    /// If the function throws, the session is aborted, as if its handler had thrown; the exception itself is lost.
    /// Throws std::bad_alloc.
    template <std::invocable<Session&> Function>
    bool post(Function function) const
    {
        if (!control_)
            return false;
        // Shared, so that it is not destroyed under the lock of post() if there is no memory.
        auto const kept = std::make_shared<Function>(std::move(function));
        return control_->post(
            [kept](detail::connection* target)
            {
                auto called = std::move(*kept);  // destroyed here, on the session's executor
                if (!target || !target->has_handles())
                    return;
                detail::owner_ref const connection{target};
                try
                {
                    detail::session_access::visit<Session>(*target, called);
                }
                catch (...)
                {
                    target->abort();
                }
            });
    }

    /// As above, but with a completion token. The signature is void(std::exception_ptr), or void(std::exception_ptr, R)
    /// if the function returns an R, which must be default-constructible.
    ///
    /// Completes when the function has returned, or will never be called: then with session_error (closed). An
    /// exception of the function is the operation's result, and the session goes on. The handler is called by its
    /// associated executor; if it has none, on a thread of Asio's system executor. The function's result and exception
    /// are handed from one thread to the other. The handler's execution context must exist until then.
    ///
    /// Cannot be cancelled: it takes no longer than the session's executor is busy.
    template <std::invocable<Session&> Function, class Token>
    auto post(Function function, Token&& token) const
    {
        using result = std::invoke_result_t<Function&, Session&>;
        using signature = typename detail::remote_signature<result>::type;
        return boost::asio::async_initiate<Token, signature>(
            // Keep a capture here: g++ 12 treats an empty initiation inside bind_executor as uninitialized memory.
            [control = control_](auto&& handler, Function called)
            {
                using call = detail::remote_call<Session, Function, std::decay_t<decltype(handler)>>;
                call::begin(control, std::move(called), std::forward<decltype(handler)>(handler));
            },
            token, std::move(function));
    }

private:
    detail::owner_ref<detail::remote_control> control_;
};

template <class Stream>
remote(basic_session<Stream> const&) -> remote<basic_session<Stream>>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
