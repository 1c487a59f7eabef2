// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_RUN_HPP
#define DUET_DETAIL_RELAY_RELAY_RUN_HPP

#include <boost/asio/cancellation_type.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/relay/relay_pump.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/error.hpp>
#include <duet/relay_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// RAII: keeps a connection open as a session object does.
class kept_open
{
public:
    explicit kept_open(connection::ref which) noexcept : which_{std::move(which)} { which_->add_handle(); }

    kept_open(kept_open const&) = delete;
    kept_open& operator=(kept_open const&) = delete;

    ~kept_open() { which_->remove_handle(); }

    connection* operator->() const noexcept { return which_.get(); }

    connection& operator*() const noexcept { return *which_; }

private:
    connection::ref which_;
};

/// A relay under way: one pump for each direction, which also watches its sender.
///
/// It keeps the connections open. If memory runs out, Asio destroys the coroutine that called relay(), and the sessions
/// there, while steps of the relay are still pending.
class relay_run
{
public:
    using self = std::shared_ptr<relay_run>;

    /// `splices`: both connections are able to.
    DUET_DECL relay_run(connection::ref first, connection::ref second, relay_options const& options, bool splices);

    relay_run(relay_run const&) = delete;
    relay_run& operator=(relay_run const&) = delete;

    /// Run the relay to its end, and then call the handler with the report.
    template <class Handler>
    static void start(self run, Handler&& handler)
    {
        run->done_.emplace<reporter<std::decay_t<Handler>>>(
            run->first_->executor(), false, std::forward<Handler>(handler), run.get());
        try
        {
            std::weak_ptr<relay_run> const weak{run};
            run->done_.on_cancel(
                [weak](boost::asio::cancellation_type)
                {
                    if (auto const found = weak.lock())
                        found->cancel();
                });
        }
        catch (std::bad_alloc const&)
        {
            run->no_memory();
        }
        begin(std::move(run));
    }

    DUET_DECL relay_report report() const;

    // ---- For the pumps ---------------------------------------------------------------------------------------------

    bool cancelled() const noexcept { return cancelled_; }

    bool carrying() const noexcept { return pumps_ > 0; }

    /// Null: splice(2) is not to be used.
    splice_pipes* pipes() const noexcept { return pipes_; }

    /// No pipe is left, or the system refuses splice(2): stop trying.
    void without_pipes() noexcept { pipes_ = nullptr; }

    /// A pump has ended.
    DUET_DECL static void pump_ended(self run);

    /// Count what has to end before the relay has, besides the pumps.
    void other_begins() noexcept { ++others_; }

    DUET_DECL static void other_ended(self run);

private:
    /// Calls the handler of relay().
    template <class Handler>
    class reporter
    {
    public:
        reporter(Handler handler, relay_run* run) noexcept : handler_{std::move(handler)}, run_{run} {}

        void operator()(error_code, std::size_t)
        {
            auto const report = run_->report();
            std::move(handler_)(report);
        }

        /// In two steps: see any_completion.
        auto settle(error_code, std::size_t)
        {
            return [handler = std::move(handler_), report = run_->report()]() mutable { std::move(handler)(report); };
        }

    private:
        Handler handler_;
        relay_run* run_;
    };

    DUET_DECL static void begin(self run);
    DUET_DECL void set_deadlines(connection& target, relay_options const& options) noexcept;
    DUET_DECL void cancel() noexcept;
    DUET_DECL void no_memory() noexcept;

    kept_open first_;
    kept_open second_;
    relay_pump forward_;
    relay_pump backward_;
    int pumps_ = 2;
    int others_ = 0;
    bool cancelled_ = false;
    splice_pipes* pipes_ = nullptr;
    any_completion done_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/relay/relay_pump.ipp>
#include <duet/detail/relay/relay_run.ipp>
#endif

#endif
