// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_TRY_POST_HPP
#define DUET_DETAIL_COMPLETION_TRY_POST_HPP

#include <boost/asio/post.hpp>

#include <new>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Post a function without throwing. False: it was not posted, for lack of memory.
template <class Executor, class Function>
bool try_post(Executor const& executor, Function function) noexcept
{
    try
    {
        boost::asio::post(executor, std::move(function));
        return true;
    }
    catch (std::bad_alloc const&)
    {
        return false;
    }
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
