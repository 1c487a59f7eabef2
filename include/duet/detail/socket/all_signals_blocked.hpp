// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_ALL_SIGNALS_BLOCKED_HPP
#define DUET_DETAIL_SOCKET_ALL_SIGNALS_BLOCKED_HPP

#include <csignal>

#include <duet/detail/config.hpp>

#include <pthread.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// RAII: blocks all signals while a thread is created, so that this thread, which the program does not know of, handles
/// none of the program's signals.
class all_signals_blocked
{
public:
    all_signals_blocked() noexcept
    {
        ::sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }

    all_signals_blocked(all_signals_blocked const&) = delete;
    all_signals_blocked& operator=(all_signals_blocked const&) = delete;

    ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    ::sigset_t before_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
