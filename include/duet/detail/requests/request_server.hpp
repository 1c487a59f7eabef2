// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_REQUESTS_REQUEST_SERVER_HPP
#define DUET_DETAIL_REQUESTS_REQUEST_SERVER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <duet/detail/requests/silence.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/place_queue.hpp>
#include <duet/error.hpp>
#include <duet/framing.hpp>
#include <duet/request_codec.hpp>
#include <duet/request_options.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tasks.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The requests of one peer. It outlives the tasks that answer them.
template <class Session, class Framing, class Handler, class Codec>
class request_server
{
    using executor_type = boost::asio::any_io_executor;
    using places_type = place_queue<executor_type>;
    using place = typename places_type::place;

    template <class T>
    using awaitable = boost::asio::awaitable<T>;

public:
    request_server(executor_type const& executor, Session& peer, Framing how, std::size_t limit, Handler& handler,
        serve_requests_options const& options, Codec const& codec)
        : peer_{peer}, messages_{peer, std::move(how), limit}, handler_{handler}, codec_{codec},
          most_{options.max_concurrent}, places_{std::make_shared<places_type>(executor, most_, 1)}, clock_{executor},
          answered_{clock_.now()}
    {
    }

    request_server(request_server const&) = delete;
    request_server& operator=(request_server const&) = delete;

    /// Read requests up to the end, and begin to answer each.
    awaitable<void> run(tasks& scope)
    {
        for (;;)
        {
            place own;
            gathers_ = places_->held() < most_;
            if (!gathers_)
                co_await messages_.flush();  // what was put would wait as long
            auto got = place_end::held;
            if (!places_type::take_now(places_, own))
                got = co_await places_type::take(places_, own, places_type::time_point::max());
            gathers_ = true;
            if (got != place_end::held)
                throw failure(boost::asio::error::operation_aborted);
            std::optional<std::string_view> message;
            silence silent;
            for (bool waits = true; waits;)
            {
                try
                {
                    message = co_await messages_.next().within(silent.left());
                    waits = false;
                }
                catch (session_error const& error)
                {
                    if (!waits_on(silent, error.code()))
                    {
                        if (error.code() == errc::call_timed_out)
                            throw failure(silent.error());
                        throw;
                    }
                }
            }
            if (!message)
                break;
            auto const tagged = codec_.decode(*message);
            if (!tagged)
                throw failure(errc::malformed_frame);
            std::string request{tagged->body};
            scope.begin(answer(tagged->id, std::move(request), std::move(own)));
        }
        gathers_ = false;
        co_await messages_.flush();
    }

private:
    awaitable<void> answer(std::uint64_t id, std::string request, place own)
    {
        std::string const reply = co_await ask(request);
        std::string const message = codec_.encode(id, reply);
        if (gathers_)
            messages_.put(message);
        else
            co_await messages_.write(message);
        answered_ = clock_.now();
        own = {};  // free now that the answer is written
    }

    /// A peer that waits for its answers may be silent; one place is that of run().
    bool waits_on(silence& silent, error_code const& error) const noexcept
    {
        auto const from = places_->held() == 1 ? answered_ : coarse_clock::time_point::max();
        return silent.goes_on(error, peer_.deadlines(), from, clock_.now());
    }

    // The request goes over to the handler.
    auto ask(std::string& request) { return handler_(std::move(request)); }

    session_error failure(error_code code) const
    {
        using traits = stream_traits<typename Session::stream_type>;
        return {code, "serve_requests", traits::describe(peer_.remote_endpoint()), 0};
    }

    Session& peer_;
    frame_stream<Framing> messages_;
    Handler& handler_;
    Codec const& codec_;
    std::size_t most_;
    std::shared_ptr<places_type> places_;
    context_clock clock_;
    coarse_clock::time_point answered_;  // when the last request was, or when the first was waited for
    bool gathers_ = false;               // run() goes on to read, and then writes what was put
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
