// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVICE_MANAGER_HPP
#define DUET_SERVICE_MANAGER_HPP

#include <boost/system/error_code.hpp>

#include <chrono>
#include <string>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The service manager that has started this program, as systemd with `Type=notify`: what sd_notify(3) does, without
/// its library. The functions do nothing for a program that nobody waits for, so it runs by hand as well.
///
/// run_options::notify does all that most servers need: readiness, the begin of the drain, and the watchdog.
///
/// Distinct objects: safe. Shared objects: safe.
class service_manager
{
public:
    /// Looks at the environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    DUET_DECL service_manager();

    /// True if somebody waits for news.
    bool present() const noexcept { return !address_.empty(); }

    /// How often the watchdog wants to hear WATCHDOG=1, or it ends the program. Twice as often is recommended. Zero:
    /// there is no watchdog, or it does not watch this process.
    std::chrono::microseconds watchdog() const noexcept { return watchdog_; }

    /// Send assignments, one in a line: "READY=1", "STATUS=serving\nMAINPID=7". No more than 4 KiB, in one datagram.
    /// Waits for one second at most if the manager does not read.
    ///
    /// Errors, which no server should end for: those of sendto(2), as connection_refused if the manager is gone;
    /// no_buffer_space or would_block if it does not read; invalid_argument if NOTIFY_SOCKET is no address of a
    /// Unix-domain socket. Success if nobody waits for news.
    DUET_DECL boost::system::error_code notify(std::string_view assignments) const noexcept;

private:
    std::string address_;
    std::chrono::microseconds watchdog_{};
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/service_manager.ipp>
#endif

#endif
