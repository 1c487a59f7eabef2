// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_OPERATION_MEMORY_HPP
#define DUET_DETAIL_COMPLETION_OPERATION_MEMORY_HPP

#include <atomic>
#include <cstddef>
#include <new>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Memory for one pending Asio operation, inside the object that waits for it. A session nearly always has a pending
/// read and a pending timer, so this saves a heap allocation for each of them. A second operation at the same time, or
/// a larger one, is allocated on the heap.
///
/// Thread safety: allocate on one executor only; deallocate on any thread.
template <std::size_t Size>
class operation_memory
{
public:
    operation_memory() = default;
    operation_memory(operation_memory const&) = delete;
    operation_memory& operator=(operation_memory const&) = delete;

    void* allocate(std::size_t size)
    {
        if (size > Size || used_.load(std::memory_order_acquire))
            return ::operator new(size);
        used_.store(true, std::memory_order_relaxed);
        return room_;
    }

    void deallocate(void* memory) noexcept
    {
        if (memory == room_)
            used_.store(false, std::memory_order_release);
        else
            ::operator delete(memory);
    }

private:
    alignas(std::max_align_t) std::byte room_[Size];
    std::atomic<bool> used_{false};
};

/// The allocator for handlers whose operations use operation_memory. Asio frees the memory before it calls the handler.
template <class T, class Memory>
class operation_allocator
{
public:
    using value_type = T;

    template <class Other>
    struct rebind
    {
        using other = operation_allocator<Other, Memory>;
    };

    explicit operation_allocator(Memory& memory) noexcept : memory_{&memory} {}

    template <class Other>
    operation_allocator(operation_allocator<Other, Memory> const& other) noexcept : memory_{&other.memory()}
    {
    }

    T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(count * sizeof(T))); }

    void deallocate(T* memory, std::size_t) noexcept { memory_->deallocate(memory); }

    Memory& memory() const noexcept { return *memory_; }

    template <class Other>
    bool operator==(operation_allocator<Other, Memory> const& other) const noexcept
    {
        return memory_ == &other.memory();
    }

private:
    Memory* memory_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
