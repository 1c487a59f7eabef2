// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_FORK_WATCH_HPP
#define DUET_DETAIL_SOCKET_FORK_WATCH_HPP

// A descriptor may have other holders: fork() copies it. What is set on a socket (a filter, SO_LINGER) or done to the
// connection (shutdown) affects all of them, so it is left to the process that made the descriptor.

#include <atomic>

#include <duet/detail/config.hpp>

#include <sys/types.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What this process knows of its forks, without a system call. It sees fork(), but neither vfork() nor posix_spawn(),
/// whose children execute another program at once.
class fork_watch
{
public:
    /// The watch of this process. The first call begins to watch.
    DUET_DECL static fork_watch& get() noexcept;

    fork_watch(fork_watch const&) = delete;
    fork_watch& operator=(fork_watch const&) = delete;

    /// The number of this process.
    ::pid_t process() const noexcept { return process_.load(std::memory_order_relaxed); }

    /// How often this process has forked. It then may have children that hold its descriptors.
    unsigned forks() const noexcept { return forks_.load(std::memory_order_relaxed); }

    /// RAII: a fork() by this thread is not counted, because its child executes a program at once.
    class uncounted
    {
    public:
        uncounted() noexcept { here() = true; }

        uncounted(uncounted const&) = delete;
        uncounted& operator=(uncounted const&) = delete;
        ~uncounted() { here() = false; }

        DUET_DECL static bool& here() noexcept;
    };

private:
    DUET_DECL fork_watch() noexcept;

    DUET_DECL static void in_parent() noexcept;
    DUET_DECL static void in_child() noexcept;

    std::atomic<::pid_t> process_;
    std::atomic<unsigned> forks_{0};
};

/// In a child: let go of a copy of the parent's descriptor, before Asio closes it. Asio may remove what it closes from
/// its epoll, and unless the program has called notify_fork(), that is the parent's epoll, too. So the number refers to
/// a socket of no meaning from now on.
DUET_DECL void give_up_copy(int descriptor) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/fork_watch.ipp>
#endif

#endif
