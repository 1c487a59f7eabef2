// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_RUN_IPP
#define DUET_DETAIL_RELAY_RELAY_RUN_IPP

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>

#include <utility>

#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/relay/relay_run.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL relay_run::relay_run(
    connection::ref first, connection::ref second, relay_options const& options, bool splices)
    : first_{std::move(first)}, second_{std::move(second)}, forward_{*first_, *second_, options}, backward_{*second_,
                                                                                                      *first_, options}
{
    if (splices && options.splice)
    {
        auto& context = boost::asio::query(first_->executor(), boost::asio::execution::context);
        pipes_ = &boost::asio::use_service<splice_pipes>(context);
    }
    set_deadlines(*first_, options);
    set_deadlines(*second_, options);
}

DUET_DECL void relay_run::set_deadlines(connection& target, relay_options const& options) noexcept
{
    auto values = target.limits();
    values.idle = options.idle;
    values.half_closed = options.half_closed;
    target.set_deadlines(values);
}

DUET_DECL void relay_run::begin(self run)
{
    run->other_begins();  // so that the relay does not end before everything of it has begun
    run->forward_.end_together(run);
    run->backward_.end_together(run);
    run->forward_.begin(run);
    run->backward_.begin(run);
    run->forward_.watch(run);
    run->backward_.watch(run);
    other_ended(std::move(run));
}

/// Reset both connections. That ends all steps.
DUET_DECL void relay_run::cancel() noexcept
{
    cancelled_ = true;
    first_->abort();
    second_->abort();
}

/// Reset both connections, and say why.
DUET_DECL void relay_run::no_memory() noexcept
{
    forward_.no_memory();
    backward_.no_memory();
    first_->abort();
    second_->abort();
}

DUET_DECL relay_report relay_run::report() const
{
    return {forward_.report(), backward_.report(), first_->report(), second_->report()};
}

DUET_DECL void relay_run::pump_ended(self run)
{
    if (--run->pumps_ > 0)
        return;
    run->other_begins();
    run->backward_.end_receiver(run);
    run->forward_.end_receiver(run);
    other_ended(std::move(run));
}

DUET_DECL void relay_run::other_ended(self run)
{
    if (--run->others_ > 0 || run->pumps_ > 0)
        return;
    // Posted, because the step that ends here runs within a connection.
    auto const tell = [run]
    {
        auto done = std::move(run->done_);
        done({}, 0);
    };
    if (!try_post(run->first_->executor(), tell))
        tell();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
