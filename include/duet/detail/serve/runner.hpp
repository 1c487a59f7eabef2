// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_RUNNER_HPP
#define DUET_DETAIL_SERVE_RUNNER_HPP

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/completion/end_notifier.hpp>
#include <duet/detail/serve/service_link.hpp>
#include <duet/server.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class runner;

/// A server of any protocol, and how far its drain by the runner has come.
class served_server
{
public:
    enum class phase : std::uint8_t
    {
        serving,
        draining,
        over,  ///< all sessions have ended, or the time is over
    };

    virtual ~served_server() = default;

    /// Begin a drain, and call runner::drain_ended() when it has ended, or could not go on for lack of memory. Throws
    /// std::bad_alloc.
    virtual void drain(std::shared_ptr<runner> running) = 0;

    virtual void abort() = 0;
    virtual bool drained() const noexcept = 0;
    virtual drain_report report() const noexcept = 0;
    virtual std::size_t active() const noexcept = 0;
    virtual server_options const& options() const noexcept = 0;
    virtual std::exception_ptr listener_failure() const = 0;

    /// False: on an io_context, which that of the runner must be.
    virtual bool on_strands() const noexcept = 0;

    /// Call `failed` when a listener fails, and `drained` when a drain or an abort has ended, on the executor of the
    /// server. Empty: no longer.
    virtual void on_end(std::function<void()> failed, std::function<void()> drained) = 0;

    phase now = phase::serving;
};

/// run() under way. Its handlers share it, because the last of them may be called after run() has returned, when the
/// program runs the context again.
class runner : public std::enable_shared_from_this<runner>
{
public:
    using server_list = std::vector<std::unique_ptr<served_server>>;

    DUET_DECL runner(boost::asio::io_context& context, server_list servers);

    /// On a context of its own, for servers whose threads belong to the program.
    DUET_DECL explicit runner(server_list servers);

    /// Tell the service manager how it goes: see run_options::notify.
    void tell_service_manager() { service_.emplace(context_); }

    /// Run the context until all servers have drained, or the program has stopped it. True: they have drained.
    DUET_DECL bool run();

    /// Release the signals and the hooks of the servers, so that the program can use them again.
    DUET_DECL void leave() noexcept;

    /// The drain of this server is over, or could not go on.
    DUET_DECL void drain_ended(served_server& server) noexcept;

    boost::asio::io_context& context() noexcept { return context_; }

    server_list const& servers() const noexcept { return servers_; }

    /// The first signal that came; 0 if none did.
    int signal() const noexcept { return signal_; }

private:
    void take_signals();
    service_link::duration longest_drain() const noexcept;
    void wait_signal();
    void on_signal(int number) noexcept;
    void start();
    void wake() noexcept;
    bool all_over() const noexcept;

    /// A hook for this server that calls `told` on the runner's context.
    std::function<void()> hook_of(served_server const& server, void (runner::*told)());

    void listener_failed();

    /// How other threads reach this object until leave(). They may hold this longer than the context lives.
    struct reach
    {
        std::mutex mutex;
        runner* target = nullptr;
    };

    std::shared_ptr<reach> const reach_ = std::make_shared<reach>();
    std::unique_ptr<boost::asio::io_context> own_;
    boost::asio::io_context& context_;
    server_list servers_;
    boost::asio::signal_set signals_;
    std::optional<service_link> service_;
    int signal_ = 0;
    bool left_ = false;
    bool waits_signal_ = false;  // false: the wait has to be started
    bool wants_drain_ = false;
    bool wants_abort_ = false;
    bool pauses_ = false;  // try again a little later: there was no memory
    bool awake_ = false;   // this object has stopped the context, not the program
};

template <class Protocol>
class served_server_of final : public served_server
{
public:
    explicit served_server_of(basic_server<Protocol>& served) noexcept : server_{served} {}

    void drain(std::shared_ptr<runner> running) override
    {
        auto& context = running->context();
        end_notifier notifier{[keep = std::move(running), this] { keep->drain_ended(*this); }};
        auto ended = [this, notifier = std::move(notifier)](std::exception_ptr const& failure, drain_report const&)
        {
            if (!failure)
                now = phase::over;
        };
        now = phase::draining;
        boost::asio::co_spawn(context, server_.drain(server_.options().drain_timeout), std::move(ended));
    }

    void abort() override { server_.abort(); }
    bool drained() const noexcept override { return server_access::core(server_).drained(); }
    drain_report report() const noexcept override { return server_access::core(server_).report(); }
    std::size_t active() const noexcept override { return server_.counters().active; }
    server_options const& options() const noexcept override { return server_.options(); }
    std::exception_ptr listener_failure() const override { return server_.listener_failure(); }
    bool on_strands() const noexcept override { return server_access::core(server_).on_strands(); }

    void on_end(std::function<void()> failed, std::function<void()> drained) override
    {
        server_access::core(server_).on_drained(std::move(drained));
        server_.on_listener_failure(std::move(failed));
    }

private:
    basic_server<Protocol>& server_;
};

/// Write a line to stderr if that can be done at once. A reader that is gone or does not read is no reason to end with
/// SIGPIPE, or to hang.
DUET_DECL void print_on_stderr(std::string const& line) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/serve/runner.ipp>
#endif

#endif
