// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_IPP
#define DUET_DETAIL_RELAY_RELAY_IPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <memory>
#include <utility>

#include <duet/detail/relay/relay_run.hpp>
#include <duet/relay.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Resets both connections of a relay that does not come to its report; otherwise they have ended by then.
class relay_guard
{
public:
    relay_guard(connection::ref const& first, connection::ref const& second) noexcept : first_{first}, second_{second}
    {
    }

    relay_guard(relay_guard const&) = delete;
    relay_guard& operator=(relay_guard const&) = delete;

    ~relay_guard()
    {
        first_->abort();
        second_->abort();
    }

private:
    kept_open first_;
    kept_open second_;
};

}  // namespace detail

template <class First, class Second>
boost::asio::awaitable<relay_report, typename First::executor_type> relay(
    First& first, Second& second, relay_options options)
{
    using access = detail::session_access;
    using token_type = boost::asio::deferred_t const;  // use_awaitable makes one more coroutine
    detail::connection::ref const one{access::connection(first)};
    detail::connection::ref const other{access::connection(second)};
    detail::relay_guard const guard{one, other};
    constexpr bool splices = access::splices<First> && access::splices<Second>;
    auto run = std::make_shared<detail::relay_run>(one, other, options, splices);
    auto const start = [](auto handler, std::shared_ptr<detail::relay_run> begun)
    { detail::relay_run::start(std::move(begun), std::move(handler)); };
    token_type token;
    // Only what is pending owns the run: not this coroutine, which the run owns.
    auto const report =
        co_await boost::asio::async_initiate<token_type, void(relay_report)>(start, token, std::move(run));
    co_return report;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
