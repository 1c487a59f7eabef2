// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVING_COROUTINE_HPP
#define DUET_DETAIL_SERVE_SERVING_COROUTINE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/intrusive/link_mode.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/awaiting_coroutine.hpp>
#include <duet/detail/engine/kept_error.hpp>
#include <duet/detail/serve/served_session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Protocol>
class serving_pool;

/// The session was asked to finish, or the client was silent for too long between two messages. A handler that leaves
/// with this error has lost nothing: its session is closed gracefully.
inline bool ends_between_messages(error_code const& error) noexcept
{
    return error == errc::draining || error == errc::next_message_timed_out;
}

/// As above, for what a handler has thrown. A handler whose client finishes where the next message may begin has lost
/// nothing either. But the end of another connection that the handler reads from is no end of its answer.
inline bool ends_between_messages(std::exception_ptr const& failure, connection const& own) noexcept
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (session_error const& error)
    {
        return ends_between_messages(error.code()) ||
               (error.code() == errc::ended && error_origin::is(error, &own) && !own.in_message());
    }
    catch (boost::system::system_error const& error)
    {
        return ends_between_messages(error.code());
    }
    catch (...)
    {
        return false;
    }
}

/// What the coroutines of a pool have in common, and own. While there is one of them, the context has work.
template <class Protocol>
struct serving_home : boost::intrusive_ref_counter<serving_home<Protocol>>
{
    serving_home(std::weak_ptr<serving_pool<Protocol>> of, boost::asio::any_io_executor const& executor)
        : pool{std::move(of)}, work{boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked)}
    {
    }

    ~serving_home()
    {
        if (auto const user = pool.lock())
            user->home_ = nullptr;
    }

    std::weak_ptr<serving_pool<Protocol>> const pool;
    boost::asio::any_io_executor const work;
};

/// What belongs to a coroutine that serves sessions one after another, outside of its frame. The coroutine owns it.
template <class Protocol>
class serving_coroutine
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>
{
public:
    using served_iterator = typename served_list<Protocol>::iterator;
    using session_type = typename served_session<Protocol>::session_type;
    using resume_handler = typename awaiting_handler<void(), boost::asio::any_io_executor>::type;

    explicit serving_coroutine(boost::intrusive_ptr<serving_home<Protocol>> of) noexcept : home{std::move(of)} {}

    serving_coroutine(serving_coroutine const&) = delete;
    serving_coroutine& operator=(serving_coroutine const&) = delete;

    /// Serve this session next. `why` is the error that ended the wait for its message, if there was one.
    void take(served_iterator session, error_code why) noexcept
    {
        live = session;
        cause_ = why;
        busy = handles = true;
        swept = more = false;
    }

    /// True: there is a message for the handler. False: none yet, or there will be no further message, and nothing is
    /// lost. Throws any other error that ended the wait for a message.
    bool begins_message()
    {
        if (more || !has_message())
            return false;
        peer = live->handle();
        return true;
    }

    /// The coroutine waits for a session or a message. `handler` resumes it.
    void rests(resume_handler&& handler) noexcept { resume_.emplace(std::move(handler)); }

    /// Go on: with a session that it was given, or to its end, which destroys this.
    void resume()
    {
        auto handler = take_handler();
        std::move(handler)();
    }

    /// Destroy the coroutine, which rests, and this.
    void drop() noexcept { auto const dropped = take_handler(); }

    boost::intrusive_ptr<serving_home<Protocol>> const home;
    served_iterator live{};
    session_type peer;           // the message handler's object
    std::exception_ptr failure;  // what the handler has thrown
    boost::asio::cancellation_signal signal;

private:
    resume_handler take_handler() noexcept
    {
        auto result = std::move(*resume_);
        resume_.reset();
        return result;
    }

    bool has_message() const
    {
        error_code const cause = cause_;
        if (ends_between_messages(cause))
            return false;
        if (live->aborted && cause == errc::aborted)
            return false;  // it waited for a message, so no handler has failed
        auto const error = !cause && live->aborted ? error_code{errc::aborted} : cause;
        if (error)
            throw session_error{error, "wait_readable", session_access::connection(live->session)->describe_peer(), 0};
        return true;
    }

    std::optional<resume_handler> resume_;  // set while it rests
    [[no_unique_address]] kept_error cause_;

public:
    bool busy = false;     // it has a session to serve
    bool handles = false;  // the session's handler runs
    bool swept = false;    // cancel_aborted() has visited it
    bool more = false;     // the session goes on with a message
};

/// A list of coroutines that does not own them, and takes no memory.
template <class Protocol>
using coroutine_list = boost::intrusive::list<serving_coroutine<Protocol>>;

/// A handler of what comes next for a coroutine that rests. If it is destroyed without a call, so is the coroutine.
template <class Protocol, void (*Next)(serving_coroutine<Protocol>&)>
class next_step
{
public:
    explicit next_step(serving_coroutine<Protocol>& self) noexcept : self_{&self} {}

    next_step(next_step&& other) noexcept : self_{std::exchange(other.self_, nullptr)} {}

    next_step& operator=(next_step&&) = delete;

    ~next_step()
    {
        if (self_)
            self_->drop();
    }

    void operator()(error_code = {}) { Next(*std::exchange(self_, nullptr)); }

private:
    serving_coroutine<Protocol>* self_;
};

/// It may be called from within an initiating function, because it begins nothing while its coroutine runs.
template <class Protocol, void (*Next)(serving_coroutine<Protocol>&), class Signature>
struct is_awaiting_coroutine<next_step<Protocol, Next>, Signature> : std::true_type
{
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
