// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_HANDLE_HPP
#define DUET_DETAIL_ENGINE_SESSION_HANDLE_HPP

#include <boost/asio/error.hpp>

#include <cstdint>
#include <utility>

#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/empty_session.hpp>
#include <duet/detail/engine/kept_executor.hpp>
#include <duet/detail/engine/remote_control.hpp>
#include <duet/detail/engine/stream_connection.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a session object holds, in one word, because the frame of a coroutine has a copy for each move: a connection,
/// which it keeps open; the executor, after a move; or nothing.
template <class Stream>
class session_handle
{
public:
    using connection_type = stream_connection<Stream>;
    using reference = owner_ref<connection_type>;
    using executor_type = typename connection_type::executor_type;
    using endpoint_type = typename connection_type::endpoint_type;
    using endpoint_result = typename connection_type::endpoint_result;

    session_handle() noexcept = default;

    explicit session_handle(reference existing) noexcept : word_{reinterpret_cast<std::uintptr_t>(existing.get())}
    {
        existing->add_reference();
        existing->add_handle();
    }

    session_handle(session_handle&& other) noexcept : word_{other.leave()} {}

    session_handle& operator=(session_handle&& other) noexcept
    {
        if (this != &other)
        {
            drop(std::exchange(word_, 0));
            word_ = other.leave();
        }
        return *this;
    }

    ~session_handle() { drop(word_); }

    explicit operator bool() const noexcept { return connection() != nullptr; }

    /// Only if there is a connection.
    connection_type* operator->() const noexcept { return reinterpret_cast<connection_type*>(word_); }

    /// Empty if there is no connection.
    reference ref() const noexcept
    {
        auto* const existing = connection();
        return existing ? reference{existing} : reference{};
    }

    /// What an operation refers to. Throws std::bad_alloc if the session is empty and there is no memory.
    [[gnu::always_inline]] operation_target target() const
    {
        auto* const existing = connection();
        return existing ? operation_target{existing} : stand_in();
    }

    /// Call a function of the connection, if there is one.
    template <class Function, class... Arguments>
    void call(Function function, Arguments const&... arguments) const noexcept
    {
        if (auto* const existing = connection())
            (existing->*function)(arguments...);
    }

    /// The connection. Throws session_error (closed) if there is none.
    connection_type& get(char const* operation) const
    {
        auto* const existing = connection();
        if (!existing)
            throw error_of_empty_session(operation);
        return *existing;
    }

    /// Null if there is no connection. May be called from any thread. Throws std::bad_alloc.
    owner_ref<remote_control> control() const
    {
        auto* const existing = connection();
        return existing ? existing->control() : owner_ref<remote_control>{};
    }

    executor_type get_executor() const noexcept
    {
        auto* const existing = connection();
        return existing ? existing->get_executor() : kept::get(word_);
    }

    lifecycle const& life() const noexcept
    {
        auto* const existing = connection();
        return existing ? existing->life() : life_of_nothing();
    }

    endpoint_result local() const noexcept
    {
        if (auto* const existing = connection())
            return existing->local();
        return nowhere();
    }

    endpoint_result remote() const noexcept
    {
        if (auto* const existing = connection())
            return existing->remote();
        return nowhere();
    }

    deadlines limits() const noexcept
    {
        auto* const existing = connection();
        return existing ? existing->limits() : deadlines{};
    }

    tcp_snapshot info(error_code& error) const noexcept
    {
        if (auto* const existing = connection(); existing && !existing->life().released())
            return existing->info(error);
        error = boost::asio::error::bad_descriptor;
        return {};
    }

private:
    using kept = kept_executor<executor_type>;

    [[gnu::cold, gnu::noinline]] operation_target stand_in() const
    {
        return operation_target{new empty_session{kept::any(word_)}};
    }

    connection_type* connection() const noexcept
    {
        return kept::is(word_) ? nullptr : reinterpret_cast<connection_type*>(word_);
    }

    static void drop(std::uintptr_t word) noexcept
    {
        if (kept::is(word))
            return kept::release(word);
        if (auto* const existing = reinterpret_cast<connection_type*>(word))
        {
            existing->remove_handle();
            existing->remove_reference();
        }
    }

    /// What another object takes over from this one, which keeps the executor.
    std::uintptr_t leave() noexcept
    {
        auto* const existing = connection();
        return std::exchange(word_, existing ? kept::keep(*existing) : 0);
    }

    static endpoint_type const& nowhere() noexcept
    {
        static endpoint_type const result{};
        return result;
    }

    std::uintptr_t word_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
