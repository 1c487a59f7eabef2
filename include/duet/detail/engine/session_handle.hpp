// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_HANDLE_HPP
#define DUET_DETAIL_ENGINE_SESSION_HANDLE_HPP

#include <boost/asio/error.hpp>

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

/// What a session object holds: a connection, which it keeps open, or nothing. After a move it still has the executor.
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

    explicit session_handle(reference existing) noexcept : connection_{std::move(existing)}
    {
        connection_->add_handle();
    }

    session_handle(session_handle&& other) noexcept
        : connection_{std::move(other.connection_)}, executor_{std::move(other.executor_)}
    {
        other.keep_executor_of(connection_);
    }

    session_handle& operator=(session_handle&& other) noexcept
    {
        if (this != &other)
        {
            drop();
            connection_ = std::move(other.connection_);
            executor_ = std::move(other.executor_);
            other.keep_executor_of(connection_);
        }
        return *this;
    }

    ~session_handle()
    {
        if (connection_)
            connection_->remove_handle();
    }

    explicit operator bool() const noexcept { return static_cast<bool>(connection_); }

    connection_type* operator->() const noexcept { return connection_.get(); }

    reference const& ref() const noexcept { return connection_; }

    /// What an operation refers to. Throws std::bad_alloc if the session is empty and there is no memory.
    [[gnu::always_inline]] operation_target target() const
    {
        return connection_ ? operation_target{connection_.get()} : stand_in();
    }

    /// Call a function of the connection, if there is one.
    template <class Function, class... Arguments>
    void call(Function function, Arguments const&... arguments) const noexcept
    {
        if (connection_)
            ((*connection_).*function)(arguments...);
    }

    /// The connection. Throws session_error (closed) if there is none.
    connection_type& get(char const* operation) const
    {
        if (!connection_)
            throw error_of_empty_session(operation);
        return *connection_;
    }

    /// Null if there is no connection. May be called from any thread. Throws std::bad_alloc.
    owner_ref<remote_control> control() const
    {
        return connection_ ? connection_->control() : owner_ref<remote_control>{};
    }

    executor_type get_executor() const noexcept { return connection_ ? connection_->get_executor() : executor_.get(); }

    lifecycle const& life() const noexcept { return connection_ ? connection_->life() : life_of_nothing(); }

    endpoint_result local() const noexcept
    {
        if (connection_)
            return connection_->local();
        return nowhere();
    }

    endpoint_result remote() const noexcept
    {
        if (connection_)
            return connection_->remote();
        return nowhere();
    }

    deadlines limits() const noexcept { return connection_ ? connection_->limits() : deadlines{}; }

    tcp_snapshot info(error_code& error) const noexcept
    {
        if (connection_ && !connection_->life().released())
            return connection_->info(error);
        error = boost::asio::error::bad_descriptor;
        return {};
    }

private:
    [[gnu::cold, gnu::noinline]] operation_target stand_in() const
    {
        return operation_target{new empty_session{executor_.any()}};
    }

    void drop() noexcept
    {
        if (connection_)
            connection_->remove_handle();
        connection_ = {};
    }

    void keep_executor_of(reference const& taken) noexcept
    {
        if (taken)
            executor_.keep(*taken);
    }

    static endpoint_type const& nowhere() noexcept
    {
        static endpoint_type const result{};
        return result;
    }

    reference connection_;
    kept_executor<executor_type> executor_;  // set while the session is moved-from
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
