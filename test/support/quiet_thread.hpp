// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_QUIET_THREAD_HPP
#define DUET_TEST_QUIET_THREAD_HPP

#include <csignal>
#include <thread>
#include <utility>

#include <pthread.h>

namespace duet_test {

// A thread that takes no signals: those are for the test's own threads. It is born with all of them blocked.
template <typename Work>
std::thread quiet_thread(Work&& work)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread result{std::forward<Work>(work)};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return result;
}

}  // namespace duet_test

#endif
