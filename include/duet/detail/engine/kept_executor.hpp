// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP
#define DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>
#include <type_traits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The executor that a moved-from session keeps. Sessions are moved often, and nearly all have the executor of an
/// io_context, whose address is enough: copying an any_io_executor costs ten times as much.
template <class Executor>
class kept_executor
{
public:
    /// `plain`: plain_context_of() the executor of `source`.
    template <class Source>
    void keep(boost::asio::io_context* plain, Source& source) noexcept
    {
        plain_ = plain;
        if (!plain)
            other_.emplace(source.get_executor());
    }

    /// The executor; an empty one if none was kept, which another type than any_io_executor must not be asked for.
    Executor get() const noexcept
    {
        if constexpr (std::is_constructible_v<Executor, boost::asio::io_context::executor_type>)
        {
            if (plain_)
                return Executor{plain_->get_executor()};
        }
        if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
            return other_ ? *other_ : Executor{};
        else
            return *other_;
    }

private:
    boost::asio::io_context* plain_ = nullptr;
    std::optional<Executor> other_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
