// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_END_HISTORY_HPP
#define DUET_DETAIL_ENGINE_END_HISTORY_HPP

#include <boost/asio/error.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <new>

#include <duet/close_report.hpp>
#include <duet/detail/config.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/post_mortem.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What led to the end of a connection. Takes memory only when something has failed; if there is none, the post-mortem
/// has no list of failures.
class end_history
{
public:
    /// One side sends, or has sent, the first FIN.
    void finished(ended_by who, end_phase phase) noexcept
    {
        if (first_fin_by_ != ended_by::nobody)
            return;
        first_fin_by_ = who;
        first_fin_in_ = phase;
    }

    /// The connection ends in another way than by FIN. The first phase counts.
    void breaks(end_phase phase) noexcept
    {
        if (!broken_)
            broken_in_ = phase;
        broken_ = true;
    }

    /// An error was met. The first few are kept.
    [[gnu::cold]] void failed(direction where, error_code const& error, end_phase phase) noexcept
    {
        breaks(phase);
        try
        {
            if (!failures_)
                failures_ = std::make_unique<failure_list>();
        }
        catch (std::bad_alloc const&)
        {
            return;
        }
        if (failures_->count < post_mortem::most_failures)
            failures_->each[failures_->count++] = {where, error};
    }

    post_mortem tell(close_report const& report) const noexcept
    {
        post_mortem result;
        result.report = report;
        if (failures_)
        {
            result.failures = failures_->each;
            result.failed = failures_->count;
        }
        if (report.reason == close_reason::none)
            return result;
        result.by = who_ended(report);
        if (report.clean())
        {
            result.where = result.by == ended_by::peer ? direction::receive : direction::send;
            result.phase = first_fin_in_;
            return result;
        }
        result.where = result.failed > 0 ? result.failures[0].where : direction::both;
        result.phase = broken_ ? broken_in_ : first_fin_in_;
        return result;
    }

private:
    struct failure_list
    {
        std::array<post_mortem::failure, post_mortem::most_failures> each{};
        std::size_t count = 0;
    };

    ended_by who_ended(close_report const& report) const noexcept
    {
        if (report.error == boost::asio::error::no_memory)
            return ended_by::system;  // the session was reset because of it
        switch (report.reason)
        {
        case close_reason::none:
            return ended_by::nobody;
        case close_reason::clean:
        case close_reason::discarded_input:
            return first_fin_by_;
        case close_reason::peer_reset:
            return ended_by::peer;
        case close_reason::dead_peer:
            return ended_by::network;
        case close_reason::timed_out:
        case close_reason::discard_limit:
        case close_reason::left_to_kernel:
            return ended_by::deadline;
        case close_reason::aborted:
        case close_reason::dropped:
            return ended_by::program;
        case close_reason::failed:
            return ended_by::system;
        }
        return ended_by::nobody;
    }

    std::unique_ptr<failure_list> failures_;
    ended_by first_fin_by_ = ended_by::nobody;
    end_phase first_fin_in_ = end_phase::before_message;
    end_phase broken_in_ = end_phase::before_message;
    bool broken_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
