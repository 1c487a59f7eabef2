// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TLS_FAILING_OPENSSL_HPP
#define DUET_TEST_TLS_FAILING_OPENSSL_HPP

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdlib>
#include <stdexcept>

namespace duet_test {

/// A fixture of a whole test program, before its first use of OpenSSL: of this thread's allocations by OpenSSL so many
/// succeed, so many fail then, and the rest succeeds.
struct openssl_memory
{
    openssl_memory()
    {
        if (::CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
            throw std::logic_error{"OpenSSL has memory already"};
    }

    static inline thread_local long before_failure = 0;
    static inline thread_local long to_fail = 0;

private:
    static bool fails() noexcept
    {
        if (to_fail == 0 || before_failure-- > 0)
            return false;
        before_failure = 0;
        --to_fail;
        return true;
    }

    static void* allocate(std::size_t size, char const*, int) noexcept
    {
        return size == 0 || fails() ? nullptr : std::malloc(size);
    }

    static void* reallocate(void* old, std::size_t size, char const* file, int line) noexcept
    {
        if (!old)
            return allocate(size, file, line);
        if (size == 0)
        {
            std::free(old);
            return nullptr;
        }
        return fails() ? nullptr : std::realloc(old, size);
    }

    static void release(void* memory, char const*, int) noexcept { std::free(memory); }
};

}  // namespace duet_test

#endif
