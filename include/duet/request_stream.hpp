// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_REQUEST_STREAM_HPP
#define DUET_REQUEST_STREAM_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <duet/close_report.hpp>
#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/detail/requests/request_core.hpp>
#include <duet/error.hpp>
#include <duet/framing.hpp>
#include <duet/request_codec.hpp>
#include <duet/request_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A request that got no answer.
class request_error : public session_error
{
public:
    request_error(error_code code, std::string const& peer, bool sent)
        : session_error{code, "request", peer, 0}, sent_{sent}
    {
    }

    /// False: nothing of the request was given to the connection. It can be asked again on another one, whatever it
    /// does. True: the peer may have acted on it.
    bool sent() const noexcept { return sent_; }

private:
    bool sent_;
};

/// Many requests under way on one session, whose answers come in any order. Each message has an id: see request_codec.
///
/// ```cpp
/// duet::request_stream requests{std::move(peer), duet::length_prefix{.bytes = 4}, 65536};
/// std::string const answer = co_await requests.ask("who?");  // from any number of coroutines
/// co_await requests.close();
/// ```
///
/// **Sending.** Requests that begin in one turn of the executor, or while the peer takes nothing, go out with one
/// write, in the order of the calls. No more are under way than request_options::max_under_way; further ones wait in
/// their order.
///
/// **The end.** When the connection ends, all requests fail, in the order of their calls, with the error that ended it:
/// ended (the peer's FIN), truncated, reset, dead_peer, closed. request_error::sent() tells those that were sent, whose
/// fate nobody knows, from those that can be asked elsewhere. Later requests fail at once. error() is that error.
///
/// **Answers.** One whose request has timed out or was cancelled is dropped, and counted. One to a request that was not
/// sent, or without an id, ends the stream: the connection is reset, and all requests fail with
/// condition::invalid_message. So does a message beyond the limit.
///
/// **Time.** It reads from the first request to the end of the connection, and so keeps the context running.
/// deadlines::read and next_message count only while requests are under way: from the first of them, or from the last
/// message. When one of the session's deadlines has passed, the connection is reset, and all requests fail with
/// condition::timed_out.
///
/// It owns the session. Its destruction drops the session, and requests fail
/// with errc::closed. Distinct objects: safe. Shared objects: unsafe; use it on the session's executor, which must be
/// the awaiting coroutine's too.
template <class Session, framing Framing, request_codec Codec = id_prefix>
class request_stream
{
    using core_type = detail::request_core<Session, Framing, Codec>;
    using self = std::shared_ptr<core_type>;

public:
    using session_type = Session;
    using executor_type = typename Session::executor_type;
    using duration = request_options::duration;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// What ask() returns: an awaitable of the answer that is also called with a completion token.
    using ask_call = detail::coroutine_call<awaitable<std::string>, core_type>;

    /// `limit` is the largest answer that is accepted, as that of a frame_reader. The session must not be empty. Throws
    /// system_error (invalid_argument) if max_under_way is 0.
    request_stream(Session with, Framing how, std::size_t limit, request_options const& options = {}, Codec codec = {})
        : core_{std::make_shared<core_type>(std::move(with), std::move(how), limit, options, std::move(codec))}
    {
    }

    request_stream(request_stream const&) = delete;
    request_stream& operator=(request_stream const&) = delete;

    ~request_stream() { core_->drop(); }

    /// Send a request and wait for its answer. `body` must stay valid until this completes.
    ///
    /// Errors: request_error, with errc::call_timed_out after request_options::within; errc::too_many_waiting, at once;
    /// cancelled; or what has ended the connection. session_error (invalid_argument) if the framing cannot carry the
    /// message; what the codec throws.
    /// Cancellation of any type: the others go on. One that is not sent yet will not be.
    ask_call ask(std::string_view body) { return ask(body, core_->options.within); }

    /// As above, but wait for so long; zero is no limit.
    ask_call ask(std::string_view body, duration within) { return {ask(core_, body, within), *core_}; }

    /// Begin no more requests, wait for the answers to those under way, and close the session gracefully: see
    /// basic_session::close(), whose report this returns. Requests that wait until fewer are under way fail with
    /// errc::closed, not sent.
    ///
    /// Errors: cancelled. Cancellation of any type stops the waiting; the stream begins no more requests.
    awaitable<close_report> close() { return close(core_); }

    /// What has ended the stream, or errc::closed after close(); none while requests may begin.
    error_code error() const noexcept { return core_->error(); }

    request_counters counters() const noexcept { return core_->counters(); }

    /// The session, to look at, and to abort: the stream reads and writes it.
    Session& session() noexcept { return core_->session(); }

    executor_type get_executor() const noexcept { return core_->get_executor(); }

private:
    static awaitable<std::string> ask(self core, std::string_view body, duration within)
    {
        auto const by = core->after(within);
        typename core_type::places_type::place own;
        auto got = detail::place_end::held;
        if (!core_type::places_type::take_now(core->places(), own))
            got = co_await core_type::places_type::take(core->places(), own, by);
        if (got != detail::place_end::held)
            throw request_error{core->code_of(got), core->peer(), false};
        typename core_type::request one{core};
        core->begin(one, body);
        auto const end = co_await one.wait.wait(by);
        if (!one.answered)
            throw request_error{core->code_of(end), core->peer(), one.sent};
        co_return std::move(one.text);
    }

    static awaitable<close_report> close(self core)
    {
        core->refuse(errc::closed);
        bool const unused = co_await core_type::places_type::wait_unused(core->places());
        if (!unused)
            throw session_error{boost::asio::error::operation_aborted, "close", core->peer(), 0};
        close_report const report = co_await core->session().close();
        co_return report;
    }

    self core_;
};

template <class Session, class Framing>
request_stream(Session, Framing, std::size_t) -> request_stream<Session, Framing>;

template <class Session, class Framing>
request_stream(Session, Framing, std::size_t, request_options) -> request_stream<Session, Framing>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
