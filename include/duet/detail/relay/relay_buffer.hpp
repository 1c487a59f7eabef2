// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_BUFFER_HPP
#define DUET_DETAIL_RELAY_RELAY_BUFFER_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The buffer of one direction of a relay. A direction that can wait without a buffer borrows one while it has bytes.
/// Nearly always it gives the buffer back before another direction needs one, so each thread keeps one: many relays
/// share the same few lines of the cache.
class relay_buffer
{
public:
    relay_buffer() noexcept = default;

    /// Throws std::bad_alloc.
    explicit relay_buffer(std::size_t size) : bytes_{new char[size]}, size_{size} {}

    relay_buffer(relay_buffer&& other) noexcept : bytes_{std::move(other.bytes_)}, size_{std::exchange(other.size_, 0)}
    {
    }

    relay_buffer& operator=(relay_buffer&& other) noexcept
    {
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    ~relay_buffer() = default;

    char* data() const noexcept { return bytes_.get(); }

    std::size_t size() const noexcept { return size_; }

    /// At least so many bytes. Throws std::bad_alloc.
    static relay_buffer borrow(std::size_t size);

    /// `last` is empty afterwards.
    static void give_back(relay_buffer& last) noexcept;

    static constexpr std::size_t usual = std::size_t{64} * 1024;  ///< relay_options::buffer_size
    static constexpr std::size_t most = 16 * usual;               ///< a larger one is not kept

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

/// What is kept of one. It has no destructor, for which every access would call a function.
struct kept_relay_buffer
{
    char* data = nullptr;
    std::size_t size = 0;
};

/// The one that this thread keeps.
inline constinit thread_local kept_relay_buffer spare_relay_buffer;

/// Frees it at the end of the thread.
struct spare_relay_buffer_owner
{
    ~spare_relay_buffer_owner() { keep({}); }

    void keep(kept_relay_buffer const& next) noexcept { delete[] std::exchange(spare_relay_buffer, next).data; }
};

inline thread_local spare_relay_buffer_owner owner_of_spare_relay_buffer;

inline relay_buffer relay_buffer::borrow(std::size_t size)
{
    if (spare_relay_buffer.size < size)
        return relay_buffer{std::max(size, usual)};
    auto const spare = std::exchange(spare_relay_buffer, {});
    relay_buffer result;
    result.bytes_.reset(spare.data);
    result.size_ = spare.size;
    return result;
}

inline void relay_buffer::give_back(relay_buffer& last) noexcept
{
    auto given = std::move(last);
    if (given.size() > spare_relay_buffer.size && given.size() <= most)
        owner_of_spare_relay_buffer.keep({given.bytes_.release(), given.size_});
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
