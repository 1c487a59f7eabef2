// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_RUN_IPP
#define DUET_DETAIL_SERVE_RUN_IPP

#include <boost/asio/error.hpp>

#include <duet/run.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Run it, and report.
inline run_report report_of_run(std::shared_ptr<runner> const& running, run_options options)
{
    struct guard
    {
        runner& running;
        ~guard() { running.leave(); }
    } const leaves{*running};
    if (options.notify)
        running->tell_service_manager();
    bool const drained = running->run();

    run_report report;
    report.signal = running->signal();
    for (auto const& each : running->servers())
    {
        auto const [finished, aborted] = each->report();
        report.finished += finished;
        report.aborted += drained ? aborted : aborted + each->active();
        if (!report.listener_failure)
            report.listener_failure = each->listener_failure();
    }
    if (!drained)
        report.end = run_end::stopped;
    else if (report.signal != 0)
        report.end = run_end::signal;
    else
        report.end = report.listener_failure ? run_end::listener_failure : run_end::drained;
    if (options.print)
        print_on_stderr("duet: " + to_string(report) + '\n');
    return report;
}

DUET_DECL run_report run_all(boost::asio::io_context& context, run_options options, runner::server_list servers)
{
    return report_of_run(std::make_shared<runner>(context, std::move(servers)), options);
}

DUET_DECL run_report run_all(run_options options, runner::server_list servers)
{
    for (auto const& each : servers)
        if (!each->on_strands())
            throw session_error{
                boost::asio::error::invalid_argument, "run", "a server on an io_context, which was not passed", 0};
    return report_of_run(std::make_shared<runner>(std::move(servers)), options);
}

}  // namespace detail

DUET_DECL std::string to_string(run_report const& report)
{
    auto text = report.end == run_end::stopped ? std::string{"stopped"} : std::string{"drained"};
    text += ": " + std::to_string(report.finished) + " finished, " + std::to_string(report.aborted) + " aborted";
    if (report.listener_failure)
        text += "\nduet: " + detail::text_of(report.listener_failure);
    return text;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
