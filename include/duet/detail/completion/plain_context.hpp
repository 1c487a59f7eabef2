// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_PLAIN_CONTEXT_HPP
#define DUET_DETAIL_COMPLETION_PLAIN_CONTEXT_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>

#include <type_traits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The io_context behind the executor, if the executor adds nothing to it, so that its handlers may be called directly
/// on the context's thread. Null for strands and for executors of other contexts.
template <class Executor>
boost::asio::io_context* plain_context_of(Executor const& executor) noexcept
{
    using context_executor = boost::asio::io_context::executor_type;
    context_executor const* plain = nullptr;
    if constexpr (std::is_same_v<Executor, context_executor>)
        plain = &executor;
    else if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
        plain = executor.template target<context_executor>();
    return plain ? &boost::asio::query(*plain, boost::asio::execution::context) : nullptr;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
