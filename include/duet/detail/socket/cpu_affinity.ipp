// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_CPU_AFFINITY_IPP
#define DUET_DETAIL_SOCKET_CPU_AFFINITY_IPP

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>

#include <duet/detail/socket/cpu_affinity.hpp>

#include <sched.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL std::int64_t id_of_this_thread() noexcept
{
#if defined(__linux__)
    thread_local std::int64_t const id = ::syscall(SYS_gettid);
    return id;
#else
    return 0;
#endif
}

DUET_DECL bool thread_lives([[maybe_unused]] std::int64_t id) noexcept
{
#if defined(__linux__)
    return ::syscall(SYS_tgkill, ::getpid(), static_cast<int>(id), 0) == 0;
#else
    return false;
#endif
}

#if defined(__linux__)

/// A set of cores in the system's format, of any size; cpu_set_t itself has room for only 1,024 cores.
class cpu_set
{
public:
    explicit cpu_set(int count) : count_{count}, set_{CPU_ALLOC(static_cast<std::size_t>(count))}
    {
        if (set_)
            CPU_ZERO_S(size(), set_.get());
    }

    explicit operator bool() const noexcept { return set_ != nullptr; }

    std::size_t size() const noexcept { return CPU_ALLOC_SIZE(static_cast<std::size_t>(count_)); }

    ::cpu_set_t* get() noexcept { return set_.get(); }

    void add(int cpu) noexcept { CPU_SET_S(static_cast<std::size_t>(cpu), size(), set_.get()); }

    bool has(int cpu) const noexcept { return CPU_ISSET_S(static_cast<std::size_t>(cpu), size(), set_.get()) != 0; }

private:
    struct release
    {
        void operator()(::cpu_set_t* set) const noexcept { CPU_FREE(set); }
    };

    int count_;
    std::unique_ptr<::cpu_set_t, release> set_;
};

DUET_DECL std::vector<int> cpus_of_this_thread()
{
    std::vector<int> result;
    for (int count = CPU_SETSIZE; count <= 64 * CPU_SETSIZE; count *= 2)
    {
        cpu_set set{count};
        if (set && ::sched_getaffinity(0, set.size(), set.get()) == 0)
        {
            for (int cpu = 0; cpu < count; ++cpu)
                if (set.has(cpu))
                    result.push_back(cpu);
            break;
        }
        if (!set || errno != EINVAL)  // EINVAL: the system has more cores than the set has room for
            break;
    }
    return result;
}

DUET_DECL bool keep_this_thread_on(std::vector<int> const& cpus) noexcept
{
    if (cpus.empty())
        return false;
    cpu_set set{std::max(*std::max_element(cpus.begin(), cpus.end()) + 1, CPU_SETSIZE)};
    if (!set)
        return false;
    for (int const cpu : cpus)
        set.add(cpu);
    return ::sched_setaffinity(0, set.size(), set.get()) == 0;
}

#else

DUET_DECL std::vector<int> cpus_of_this_thread()
{
    return {};
}

DUET_DECL bool keep_this_thread_on(std::vector<int> const&) noexcept
{
    return false;
}

#endif

DUET_DECL void thread_pin::apply() noexcept
{
    try
    {
        before_ = cpus_of_this_thread();
        if (keep_this_thread_on({cpu_}))
            thread_ = std::this_thread::get_id();
    }
    catch (std::bad_alloc const&)
    {
        // Ignore this: pinning only improves speed.
    }
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
