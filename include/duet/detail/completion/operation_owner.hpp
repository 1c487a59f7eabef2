// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_OPERATION_OWNER_HPP
#define DUET_DETAIL_COMPLETION_OPERATION_OWNER_HPP

#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Base of an object that has pending operations in Asio. Each operation keeps the object alive by a counted reference.
/// The count is not atomic, so such an object is used on one executor only.
class operation_owner
{
public:
    operation_owner(operation_owner const&) = delete;
    operation_owner& operator=(operation_owner const&) = delete;

    void add_reference() noexcept { ++references_; }

    /// Destroys the object when this was the last reference.
    void remove_reference() noexcept
    {
        if (--references_ == 0)
            dispose();
    }

    /// Begin an operation. False: `begin` threw, because there is no memory for the operation; its handler will not be
    /// called.
    template <class Begin>
    bool attempt(Begin begin) noexcept
    {
        bool begun = false;
        attempting_ = true;
        try
        {
            begin();
            begun = true;
        }
        catch (std::exception const&)
        {
            // The result reports it.
        }
        attempting_ = false;
        return begun;
    }

    /// True while attempt() runs: a handler destroyed now belongs to an operation that failed to begin.
    bool attempting() const noexcept { return attempting_; }

    /// True: no operation can begin here, because this stands in for an owner that does not exist.
    bool stands_in() const noexcept { return stands_in_; }

    /// A handler was destroyed without being called, because the execution context is being destroyed.
    virtual void abandon() noexcept = 0;

    /// The time of its wakeup has come.
    virtual void on_wakeup() {}

protected:
    struct stand_in
    {
    };

    operation_owner() = default;

    explicit operation_owner(stand_in) noexcept : stands_in_{true} {}

    ~operation_owner() = default;

    bool referenced() const noexcept { return references_ != 0; }

private:
    virtual void dispose() noexcept = 0;

    int references_ = 0;
    bool attempting_ = false;
    bool const stands_in_ = false;
};

/// A counted reference to an operation_owner.
template <class Owner>
class owner_ref
{
public:
    owner_ref() noexcept = default;

    explicit owner_ref(Owner* target) noexcept : target_{target} { target_->add_reference(); }

    owner_ref(owner_ref const& other) noexcept : target_{other.target_}
    {
        if (target_)
            target_->add_reference();
    }

    /// Converts to a reference to a base class of the owner.
    template <class Derived>
    owner_ref(owner_ref<Derived> const& other) noexcept requires(!std::is_same_v<Derived, Owner>) : target_{other.get()}
    {
        if (target_)
            target_->add_reference();
    }

    owner_ref(owner_ref&& other) noexcept : target_{std::exchange(other.target_, nullptr)} {}

    owner_ref& operator=(owner_ref other) noexcept
    {
        std::swap(target_, other.target_);
        return *this;
    }

    [[gnu::always_inline]] ~owner_ref()
    {
        if (target_)
            target_->remove_reference();
    }

    Owner* operator->() const noexcept { return target_; }

    Owner& operator*() const noexcept { return *target_; }

    explicit operator bool() const noexcept { return target_ != nullptr; }

    Owner* get() const noexcept { return target_; }

private:
    Owner* target_ = nullptr;
};

/// The handler of an operation. It keeps the operation's owner alive until it is called. If it is destroyed without a
/// call, it notifies the owner by abandon().
template <class Owner, class Function>
class owned_handler
{
public:
    owned_handler(Owner& owner, Function function) noexcept : owner_{&owner}, function_{function} {}

    owned_handler(owned_handler&&) noexcept = default;

    ~owned_handler()
    {
        if (owner_ && !owner_->attempting())
            owner_->abandon();
    }

    template <class... Arguments>
    void operator()(Arguments... arguments)
    {
        auto const owner = std::move(owner_);
        function_(*owner, arguments...);
    }

private:
    owner_ref<Owner> owner_;
    Function function_;
};

/// As owned_handler, for an operation that uses memory inside its owner.
template <class Owner, class Function, class Memory>
class placed_handler : public owned_handler<Owner, Function>
{
public:
    using allocator_type = operation_allocator<std::byte, Memory>;

    placed_handler(Owner& owner, Function function, Memory& memory) noexcept
        : owned_handler<Owner, Function>{owner, function}, memory_{&memory}
    {
    }

    // Must work after a move: Asio calls this on handlers that were moved from.
    allocator_type get_allocator() const noexcept { return allocator_type{*memory_}; }

private:
    Memory* memory_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
