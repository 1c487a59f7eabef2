// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_FORK_WATCH_IPP
#define DUET_DETAIL_SOCKET_FORK_WATCH_IPP

#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/socket/new_descriptor.hpp>

#include <pthread.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL fork_watch::fork_watch() noexcept : process_{::getpid()}
{
    // Fails only for lack of memory. A child is then taken for its parent.
    ::pthread_atfork(
        nullptr, [] { in_parent(); }, [] { in_child(); });
}

DUET_DECL fork_watch& fork_watch::get() noexcept
{
    static fork_watch watch;
    return watch;
}

DUET_DECL bool& fork_watch::uncounted::here() noexcept
{
    thread_local bool flag = false;
    return flag;
}

DUET_DECL void fork_watch::in_parent() noexcept
{
    if (!uncounted::here())
        get().forks_.fetch_add(1, std::memory_order_relaxed);
}

DUET_DECL void fork_watch::in_child() noexcept
{
    get().process_.store(::getpid(), std::memory_order_relaxed);
}

DUET_DECL void give_up_copy(int descriptor) noexcept
{
    int const other = open_socket(AF_UNIX, SOCK_STREAM, 0);
    if (other < 0)
    {
        ::close(descriptor);
        return;
    }
    ::dup2(other, descriptor);
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ::close(other);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
