// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_WAIT_HPP
#define DUET_TEST_WAIT_HPP

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <poll.h>

// Time in tests is only a guard against hanging. No test passes or fails because a machine was slow, so every guard is
// generous, and more so where a sanitizer slows the program down.

namespace duet_test {

#if defined(__SANITIZE_THREAD__)
inline constexpr int sanitizer_factor = 10;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr int sanitizer_factor = 4;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr int sanitizer_factor = 10;
#elif __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr int sanitizer_factor = 4;
#else
inline constexpr int sanitizer_factor = 1;
#endif
#else
inline constexpr int sanitizer_factor = 1;
#endif

using guard_clock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds eventually_guard = std::chrono::seconds{15} * sanitizer_factor;
inline constexpr std::chrono::seconds blocking_guard = std::chrono::seconds{20} * sanitizer_factor;
inline constexpr std::chrono::seconds run_guard = std::chrono::seconds{30} * sanitizer_factor;

// A hang guard ended the wait: the test failed, and what() says what it was waiting for.
class hang : public std::runtime_error
{
public:
    explicit hang(std::string const& what) : std::runtime_error{"hang guard: " + what} {}
};

// Waits for a fact that only the kernel knows (a socket's state, a counter), for which there is no event to wait on.
// Blocks the thread: inside a coroutine use until() of coro.hpp. Between threads and coroutines of the test itself use
// a real event instead.
template <typename Predicate>
void eventually(Predicate&& predicate, std::string_view const what)
{
    auto const deadline = guard_clock::now() + eventually_guard;
    while (!std::invoke(predicate))
    {
        if (guard_clock::now() >= deadline)
            throw hang{"never became true: " + std::string{what}};
        ::poll(nullptr, 0, 1);
    }
}

}  // namespace duet_test

#endif
