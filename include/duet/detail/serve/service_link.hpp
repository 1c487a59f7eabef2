// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVICE_LINK_HPP
#define DUET_DETAIL_SERVE_SERVICE_LINK_HPP

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <duet/error.hpp>
#include <duet/service_manager.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What run() tells the service manager: when it is ready, when it ends, and that its context runs. That the manager
/// does not hear it changes nothing for the servers.
class service_link
{
public:
    using duration = std::chrono::steady_clock::duration;

    explicit service_link(boost::asio::io_context& context) : timer_{context} {}

    void ready() noexcept
    {
        if (!std::exchange(told_ready_, true))
            manager_.notify("READY=1");
    }

    /// The drain begins. The manager, whose patience may be less, is to wait for `longest`. Throws std::bad_alloc.
    void stopping(duration longest)
    {
        if (told_stopping_)
            return;
        auto const microseconds = std::chrono::duration_cast<std::chrono::microseconds>(longest).count();
        manager_.notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(microseconds));
        told_stopping_ = true;
    }

    /// Tell the watchdog that the context runs, again and again, as long as `owner`, which has this object,
    /// exists. If that has begun already it goes on. Throws std::bad_alloc; so may the context, after which it must be
    /// called again.
    void watch(std::weak_ptr<void> owner)
    {
        if (waits_ || manager_.watchdog() <= manager_.watchdog().zero())
            return;
        manager_.notify("WATCHDOG=1");
        timer_.expires_after(manager_.watchdog() / 2);
        timer_.async_wait(
            [this, owner = std::move(owner)](error_code const&)
            {
                auto const exists = owner.lock();
                if (!exists)
                    return;
                waits_ = false;
                watch(owner);
            });
        waits_ = true;
    }

private:
    service_manager manager_;
    boost::asio::steady_timer timer_;
    bool told_ready_ = false;
    bool told_stopping_ = false;
    bool waits_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
