// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECTION_REF_HPP
#define DUET_DETAIL_CONNECTION_REF_HPP

#include <cstddef>
#include <utility>

#include <duet/detail/operation_memory.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

// Who keeps a connection alive, and who only knows of it.

/// A counted reference to a connection. Not atomic: a connection is touched on one executor only.
template <class Connection>
class connection_ref
{
public:
    connection_ref() noexcept = default;

    explicit connection_ref(Connection* target) noexcept : target_{target} { ++target_->references_; }

    connection_ref(connection_ref const& other) noexcept : target_{other.target_}
    {
        if (target_)
            ++target_->references_;
    }

    connection_ref(connection_ref&& other) noexcept : target_{std::exchange(other.target_, nullptr)} {}

    connection_ref& operator=(connection_ref other) noexcept
    {
        std::swap(target_, other.target_);
        return *this;
    }

    [[gnu::always_inline]] ~connection_ref()
    {
        if (target_ && --target_->references_ == 0)
            Connection::dispose(target_);
    }

    Connection* operator->() const noexcept { return target_; }

    Connection& operator*() const noexcept { return *target_; }

    explicit operator bool() const noexcept { return target_ != nullptr; }

    Connection* get() const noexcept { return target_; }

private:
    Connection* target_ = nullptr;
};

/// A handler for an operation of the stream's or the timer's. It keeps the connection alive until it was called; when
/// it is destroyed instead, it will never be.
template <class Connection, class Function>
class stream_handler
{
public:
    stream_handler(connection_ref<Connection> self, Function function) noexcept
        : self_{std::move(self)}, function_{function}
    {
    }

    stream_handler(stream_handler&&) noexcept = default;

    ~stream_handler()
    {
        if (self_)
            self_->abandon();
    }

    template <class... Arguments>
    void operator()(Arguments... arguments)
    {
        auto const self = std::move(self_);
        function_(*self, arguments...);
    }

private:
    connection_ref<Connection> self_;
    Function function_;
};

/// The same, for an operation that has its memory in the connection.
template <class Connection, class Function, class Memory>
class placed_handler : public stream_handler<Connection, Function>
{
public:
    using allocator_type = operation_allocator<std::byte, Memory>;

    placed_handler(connection_ref<Connection> self, Function function, Memory& memory) noexcept
        : stream_handler<Connection, Function>{std::move(self), function}, memory_{&memory}
    {
    }

    // Asked of a handler that was moved from, too.
    allocator_type get_allocator() const noexcept { return allocator_type{*memory_}; }

private:
    Memory* memory_;
};

/// What another thread may hold of a session: the executor to post to, and the connection while there is one. The
/// pointer is read and written on that executor alone.
template <class Connection>
class remote_control
{
public:
    typename Connection::executor_type executor;
    Connection* target;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
