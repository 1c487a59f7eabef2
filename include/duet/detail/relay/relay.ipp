// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_IPP
#define DUET_DETAIL_RELAY_RELAY_IPP

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <utility>

#include <duet/detail/relay/relay_run.hpp>
#include <duet/relay.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Resets both sessions of a relay that does not come to its report; otherwise they have ended by then.
template <class First, class Second>
class relay_guard
{
public:
    relay_guard(First const& first, Second const& second) noexcept : first_{further(first)}, second_{further(second)} {}

    relay_guard(relay_guard const&) = delete;
    relay_guard& operator=(relay_guard const&) = delete;

    ~relay_guard()
    {
        first_.abort();
        second_.abort();
    }

private:
    First first_;
    Second second_;
};

}  // namespace detail

template <class First, class Second>
boost::asio::awaitable<relay_report, typename First::executor_type> relay(
    First& first, Second& second, relay_options options)
{
    using run_type = detail::relay_run<First, Second>;
    using token_type = boost::asio::use_awaitable_t<typename First::executor_type> const;
    detail::relay_guard const guard{first, second};
    auto const run = std::make_shared<run_type>(first, second, options);
    // Cancellation calls cancel() and does not reach the coroutine that runs the relay, because that one still has to
    // end both sessions.
    auto const start = [run](auto handler)
    {
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected())
            slot.assign([run](boost::asio::cancellation_type) { run->cancel(); });
        boost::asio::co_spawn(run->get_executor(), run_type::drive(run),
            [slot, run, done = std::move(handler)](std::exception_ptr const& failure) mutable
            {
                slot.clear();
                if (failure)
                    run->no_memory();
                std::move(done)(run->report());
            });
    };
    token_type token;
    auto const report = co_await boost::asio::async_initiate<token_type, void(relay_report)>(start, token);
    co_return report;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
