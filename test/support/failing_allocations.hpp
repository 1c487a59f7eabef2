// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_FAILING_ALLOCATIONS_HPP
#define DUET_TEST_FAILING_ALLOCATIONS_HPP

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <new>

namespace duet_test {

/// Of this thread's allocations so many succeed, so many fail then, and the rest succeeds.
inline thread_local long allocations_before_failure = 0;
inline thread_local long allocations_to_fail = 0;

inline bool allocation_fails() noexcept
{
    if (allocations_to_fail == 0 || allocations_before_failure-- > 0)
        return false;
    allocations_before_failure = 0;
    --allocations_to_fail;
    return true;
}

/// True if the exception says that there was no memory.
inline bool is_of_memory(std::exception_ptr const& failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (std::bad_alloc const&)
    {
        return true;
    }
    catch (boost::system::system_error const& error)
    {
        return error.code() == boost::system::errc::not_enough_memory;
    }
    catch (...)
    {
        return false;
    }
}

}  // namespace duet_test

// The test program's own, found before the libraries'; so only one file of a program may include this. Asio gets its
// memory from aligned_alloc.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    void* result = nullptr;
    if (duet_test::allocation_fails() || ::posix_memalign(&result, std::max(alignment, sizeof(void*)), size) != 0)
        return nullptr;
    return result;
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DUET_TEST_KEEPS_OPERATOR_NEW  // ThreadSanitizer has one that cannot be replaced
#endif
#endif

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)
// Not inlined: g++ 12 would see free() meet what its own operator new has given.
[[gnu::noinline]] void* operator new(std::size_t size)
{
    void* const result = duet_test::allocation_fails() ? nullptr : std::malloc(size);
    if (!result)
        throw std::bad_alloc{};
    return result;
}

// What std::stable_sort uses. The C++ library's own calls the one above, but a sanitizer's does not.
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept
{
    return duet_test::allocation_fails() ? nullptr : std::malloc(size);
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
    std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}
#endif

#endif
