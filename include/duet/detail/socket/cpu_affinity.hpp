// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_CPU_AFFINITY_HPP
#define DUET_DETAIL_SOCKET_CPU_AFFINITY_HPP

#include <thread>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The numbers of the cores that the calling thread may run on, in order; none where the system does not tell.
DUET_DECL std::vector<int> cpus_of_this_thread();

/// Let the calling thread run on these alone. False: the system refuses.
DUET_DECL bool keep_this_thread_on(std::vector<int> const& cpus) noexcept;

/// Keeps a thread on one core, from apply() on; destroyed on that thread, it lets it go where it went before.
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

    /// To be called once, on the thread. Where the system refuses, or has no memory, nothing happens.
    DUET_DECL void apply() noexcept;

private:
    int cpu_;
    std::vector<int> before_;
    std::thread::id thread_;  // none, where nothing happened
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/cpu_affinity.ipp>
#endif

#endif
