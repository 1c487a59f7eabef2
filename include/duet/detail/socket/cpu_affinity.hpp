// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_CPU_AFFINITY_HPP
#define DUET_DETAIL_SOCKET_CPU_AFFINITY_HPP

#include <cstdint>
#include <thread>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The numbers of the cores that the calling thread may run on, in ascending order; empty if the system cannot tell.
DUET_DECL std::vector<int> cpus_of_this_thread();

/// Restrict the calling thread to these cores. False: the system refuses.
DUET_DECL bool keep_this_thread_on(std::vector<int> const& cpus) noexcept;

/// A number for the calling thread that no other living thread of the system has; 0 if the system has none.
DUET_DECL std::int64_t id_of_this_thread() noexcept;

/// True if this process has a thread with that id.
DUET_DECL bool thread_lives(std::int64_t id) noexcept;

/// Keeps a thread on one core, from apply() on. If it is destroyed on that thread, it restores the cores that the
/// thread had before.
class thread_pin
{
public:
    explicit thread_pin(int cpu) : cpu_{cpu} {}

    thread_pin(thread_pin const&) = delete;
    thread_pin& operator=(thread_pin const&) = delete;

    ~thread_pin()
    {
        if (thread_ == std::this_thread::get_id())
            keep_this_thread_on(before_);
    }

    /// Call this once, on the thread to pin. Does nothing if the system refuses or memory is short.
    DUET_DECL void apply() noexcept;

private:
    int cpu_;
    std::vector<int> before_;
    std::thread::id thread_;  // empty if apply() did nothing
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/cpu_affinity.ipp>
#endif

#endif
