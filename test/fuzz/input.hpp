// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_FUZZ_INPUT_HPP
#define DUET_TEST_FUZZ_INPUT_HPP

// What a fuzz target is made of: the input, and how it says that something is wrong.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace duet_test {

/// The fuzzer keeps the input of a run that ends like this.
inline void require(bool condition, char const* what)
{
    if (condition)
        return;
    std::fprintf(stderr, "wrong: %s\n", what);
    std::abort();
}

/// The bytes of one run, from begin to end.
class fuzz_input
{
public:
    fuzz_input(std::uint8_t const* data, std::size_t size) noexcept : next_{data}, end_{data + size} {}

    bool empty() const noexcept { return next_ == end_; }

    /// 0 if there is none left.
    std::uint8_t byte() noexcept { return empty() ? std::uint8_t{0} : *next_++; }

    /// '0' is 0, and so on, so that a person can write inputs.
    std::size_t number() noexcept { return static_cast<std::uint8_t>(byte() - '0'); }

    std::string rest() const { return {reinterpret_cast<char const*>(next_), static_cast<std::size_t>(end_ - next_)}; }

private:
    std::uint8_t const* next_;
    std::uint8_t const* end_;
};

}  // namespace duet_test

#endif
