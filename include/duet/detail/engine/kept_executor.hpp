// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP
#define DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <new>
#include <type_traits>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The executor that a moved-from session keeps. Sessions are moved often, and nearly all have the executor of an
/// io_context, whose address is enough. For other executors it refers to what the connection shares with other threads,
/// and without memory for that it keeps none.
template <class Executor>
class kept_executor
{
public:
    void keep(connection& source) noexcept
    {
        plain_ = source.plain_context();
        if (plain_)
            return;
        try
        {
            other_ = source.control()->executor();
        }
        catch (std::bad_alloc const&)
        {
            other_.reset();
        }
    }

    /// The executor of any type; an empty one if none was kept.
    boost::asio::any_io_executor any() const noexcept
    {
        if (plain_)
            return plain_->get_executor();
        return other_ ? *other_ : boost::asio::any_io_executor{};
    }

    /// The executor; an empty one if none was kept, which another type than any_io_executor must not be asked for.
    Executor get() const noexcept
    {
        if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
            return any();
        else
        {
            if constexpr (std::is_constructible_v<Executor, boost::asio::io_context::executor_type>)
            {
                if (plain_)
                    return Executor{plain_->get_executor()};
            }
            return *other_->template target<Executor>();
        }
    }

private:
    boost::asio::io_context* plain_ = nullptr;
    remote_control::executor_ref other_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
