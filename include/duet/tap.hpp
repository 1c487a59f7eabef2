// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TAP_HPP
#define DUET_TAP_HPP

#include <memory>

#include <duet/captured_segment.hpp>
#include <duet/tap_options.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {
class tap_thread;
}  // namespace detail

/// Captures the TCP segments of connections, from construction on, on a thread of its own. Linux only.
///
/// It needs root, CAP_NET_RAW, or a network namespace of one's own (`unshare -Urn`). A loopback packet, which passes a
/// machine twice, is captured once, where it is sent: inside the system call that sends it. Times are the kernel's.
/// IPv6 packets with extension headers and fragments are not captured.
///
/// ```cpp
/// duet::tap tap{{.filters = {{server_endpoint}}}};
/// ...
/// auto captured = tap.take();
/// duet::merge(log, captured);  // duet/merge.hpp
/// duet::write_pcapng(file, log, captured.segments);  // duet/pcapng.hpp
/// ```
///
/// Thread safety: take() may be called from any thread.
class tap
{
public:
    /// Throws system_error; what() names the operation that failed, and what it needs. operation_not_permitted: the
    /// privilege is missing. operation_not_supported: this is not Linux. invalid_argument: too many filters.
    DUET_DECL explicit tap(tap_options const& options = {});

    DUET_DECL ~tap();

    tap(tap const&) = delete;
    tap& operator=(tap const&) = delete;

    /// What was captured since the last call: at least what the system calls that have returned put on the wire of this
    /// machine. What the kernel sends later on its own, as a delayed acknowledgement, comes with a later call. Does not
    /// wait.
    DUET_DECL tap_capture take();

private:
    std::unique_ptr<detail::tap_thread> thread_;
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/wire/tap.ipp>
#endif

#endif
