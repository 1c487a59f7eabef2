// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_KEPT_CONNECTION_HPP
#define DUET_KEPT_CONNECTION_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/backoff.hpp>
#include <duet/connector.hpp>
#include <duet/detail/config.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A connection was lost, or none was made; passed to the hook of basic_kept_connection::on_lost().
struct lost_connection
{
    std::exception_ptr failure;  ///< what connect (a basic_connect_error) or the handler has thrown; null: it returned
    std::size_t failures;        ///< how many were lost since the last success
    std::chrono::steady_clock::duration next_try_in;

    /// The message of `failure`; empty if there is none.
    std::string what() const;
};

/// The connection that a handler of a kept connection serves.
class kept_trial
{
public:
    /// It is a success: what comes after it begins again with the shortest pause. Call it when the peer has proved to
    /// be of use: it has answered, or accepted a login. To be connected is none: a peer that accepts and drops would be
    /// connected to as fast as it drops.
    void succeeded() noexcept { success_ = true; }

private:
    template <class Connector>
    friend class basic_kept_connection;

    bool success_ = false;
};

/// Keeps a connection up: connects, has the program use the connection, and when it is lost, pauses and connects again.
/// Each pause is longer than the one before, see backoff_options, until a connection was a success, which is what the
/// program says it is. After a success, too, there is a pause: the first one.
///
/// ```cpp
/// asio::awaitable<bool> watch(duet::session& feed, duet::kept_trial& trial)
/// {
///     std::string line;
///     for (;;)
///     {
///         std::size_t const size = co_await feed.read_until(line, "\n", 4096);
///         if (size == 0)
///             co_return true;  // the peer has ended it: connect again
///         trial.succeeded();
///         show(line.substr(0, size));
///         line.erase(0, size);
///     }
/// }
/// ...
/// duet::connector connector{context, {.timeout = 5s, .session = {.deadlines = {.read = 1min}}}};
/// duet::kept_connection feed{std::move(connector), "feed.example", "7000", {.initial = 50ms, .maximum = 10s}};
/// co_await feed.run(watch);
/// ```
///
/// A server that is there and says nothing is lost only by a deadline of the session or of a call.
///
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor, which must be the awaiting coroutine's too.
template <class Connector>
class basic_kept_connection
{
public:
    using connector_type = Connector;
    using executor_type = typename Connector::executor_type;
    using endpoint_type = typename Connector::endpoint_type;
    using session_type = typename Connector::session_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// True if the connector takes a host and a service. Public, because g++ 14 checks that when it deduces the
    /// connector's type from the first constructor.
    static constexpr bool has_names = requires(Connector c, std::string text) { c.connect(text, text); };

    /// To a host and service, which are resolved for each connection. Throws system_error (invalid_argument) if
    /// `pauses` are not valid.
    basic_kept_connection(
        Connector by, std::string host, std::string service, backoff_options const& pauses = {}) requires(has_names)
        : connector_{std::move(by)}, host_(std::move(host)), service_(std::move(service)), named_{true}, pauses_{pauses}
    {
    }

    /// To an endpoint. Throws as above.
    basic_kept_connection(Connector by, endpoint_type const& endpoint, backoff_options const& pauses = {})
        : connector_{std::move(by)}, endpoint_{endpoint}, pauses_{pauses}
    {
    }

    basic_kept_connection(basic_kept_connection const&) = delete;
    basic_kept_connection& operator=(basic_kept_connection const&) = delete;

    /// Connect, call `handler(session, trial)`, a coroutine that returns bool, and do so again until it returns false.
    /// One run() at a time. This object must stay alive until it completes.
    ///
    /// When the handler returns, the session is closed gracefully: see basic_session::close(). False: run() completes.
    /// True: there is a pause, and another connection. When the handler throws, the session is aborted, because a
    /// request that is cut off must not look complete; then there is a pause, and another connection. A connect that
    /// fails is a loss as well. The handler is moved into run(), and is called for one connection at a time.
    ///
    /// Errors: cancelled; what the hook throws; std::bad_alloc if there is no memory for a pause. Nothing else ends it.
    /// Cancellation (in a coroutine: as its cancellation state allows), in any phase: the handler's operation is
    /// cancelled, and run() ends after the handler has, whatever the handler does then.
    template <class Handler>
    awaitable<void> run(Handler handler)
    {
        static_assert(std::is_invocable_r_v<awaitable<bool>, Handler&, session_type&, kept_trial&>,
            "the handler of a kept connection is handler(session&, kept_trial&) and returns awaitable<bool>");
        return run(this, std::move(handler));
    }

    /// Call `hook` on the executor when a connection was lost, or not made, before the pause. An empty function removes
    /// the hook. An exception from the hook ends run(), which throws it: so it may give up.
    void on_lost(std::function<void(lost_connection const&)> hook) { on_lost_ = std::move(hook); }

    executor_type get_executor() const noexcept { return connector_.get_executor(); }

private:
    template <class Handler>
    static awaitable<void> run(basic_kept_connection* self, Handler handler)
    {
        detail::basic_timer<executor_type> timer{self->get_executor()};
        for (std::size_t failures = 1;; ++failures)
        {
            kept_trial trial;
            std::exception_ptr failure;
            try
            {
                session_type peer = co_await self->connect();
                bool const again = co_await serve(peer, handler, trial);
                if (!again)
                    co_return;
            }
            catch (...)
            {
                failure = std::current_exception();
            }
            // Ask before the next co_await, which would throw without a word about what was being done.
            auto const cancellation = co_await boost::asio::this_coro::cancellation_state;
            if (cancellation.cancelled() != boost::asio::cancellation_type::none)
                throw self->cancelled();
            if (trial.success_)
            {
                self->pauses_.reset();
                failures = 1;
            }
            auto const pause = self->pauses_.next();
            if (self->on_lost_)
                self->on_lost_({std::move(failure), failures, pause});
            timer.expires_after(pause);
            error_code interrupted;
            boost::asio::use_awaitable_t<executor_type> const token;
            co_await timer.async_wait(boost::asio::redirect_error(token, interrupted));
            if (interrupted || cancellation.cancelled() != boost::asio::cancellation_type::none)
                throw self->cancelled();
        }
    }

    /// One connection, from the handler's begin to its end.
    template <class Handler>
    static awaitable<bool> serve(session_type& peer, Handler& handler, kept_trial& trial)
    {
        bool again = false;
        try
        {
            bool const result = co_await handler(peer, trial);
            again = result;
        }
        catch (...)
        {
            peer.abort();
            throw;
        }
        co_await peer.close();
        co_return again;
    }

    awaitable<session_type> connect()
    {
        if constexpr (has_names)
        {
            if (named_)
                return connector_.connect(host_, service_);
        }
        return connector_.connect(endpoint_);
    }

    session_error cancelled() const
    {
        return {boost::asio::error::operation_aborted, "run", named_ ? host_ : to_string(endpoint_), 0};
    }

    Connector connector_;
    std::string host_;
    std::string service_;
    endpoint_type endpoint_{};
    bool named_ = false;
    backoff pauses_;
    std::function<void(lost_connection const&)> on_lost_;
};

using kept_connection = basic_kept_connection<connector>;
using unix_kept_connection = basic_kept_connection<unix_connector>;

inline std::string lost_connection::what() const
{
    return detail::text_of(failure);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
