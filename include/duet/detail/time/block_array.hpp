// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_BLOCK_ARRAY_HPP
#define DUET_DETAIL_TIME_BLOCK_ARRAY_HPP

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An array that grows by blocks, which stay where they are, and keeps them. One that doubles has room for up to as
/// many elements more as it has: 32 bytes for each idle session, whose places are in two of them. Finds an element in
/// fewer instructions than std::deque.
template <class T>
class block_array
{
public:
    std::size_t size() const noexcept { return size_; }

    bool empty() const noexcept { return size_ == 0; }

    T& operator[](std::size_t index) noexcept { return (*blocks_[index / per_block])[index % per_block]; }

    T& front() noexcept { return (*this)[0]; }

    T& back() noexcept { return (*this)[size_ - 1]; }

    /// Throws std::bad_alloc.
    void push_back(T const& value)
    {
        if (size_ == blocks_.size() * per_block)
            blocks_.push_back(std::make_unique<block>());
        (*this)[size_++] = value;
    }

    void pop_back() noexcept { --size_; }

private:
    static constexpr std::size_t per_block = 64;

    using block = std::array<T, per_block>;

    std::vector<std::unique_ptr<block>> blocks_;
    std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
