// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP
#define DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
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
        if (auto* const plain = source.plain_context())
        {
            kept_ = {std::shared_ptr<void const>{}, plain};
            return;
        }
        try
        {
            kept_ = source.control()->executor();
        }
        catch (std::bad_alloc const&)
        {
            kept_.reset();
        }
    }

    /// The executor of any type; an empty one if none was kept.
    boost::asio::any_io_executor any() const noexcept
    {
        if (auto* const context = plain())
            return context->get_executor();
        return kept_ ? other() : boost::asio::any_io_executor{};
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
                if (auto* const context = plain())
                    return Executor{context->get_executor()};
            }
            return *other().template target<Executor>();
        }
    }

private:
    /// The io_context; null if it is another executor, or none.
    boost::asio::io_context* plain() const noexcept
    {
        if (kept_.use_count() != 0)
            return nullptr;
        return static_cast<boost::asio::io_context*>(const_cast<void*>(kept_.get()));
    }

    boost::asio::any_io_executor const& other() const noexcept
    {
        return *static_cast<boost::asio::any_io_executor const*>(kept_.get());
    }

    std::shared_ptr<void const> kept_;  // an any_io_executor or, if nobody owns it, an io_context
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
