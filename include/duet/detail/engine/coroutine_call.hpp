// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP
#define DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP

#include <boost/asio/awaitable.hpp>

#include <type_traits>
#include <utility>

#include <duet/session_options.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// An operation of a session that is a coroutine of its own, not yet begun: an awaitable that within() can still limit.
/// `Begin` makes the coroutine, given its time.
template <class Begin>
class [[nodiscard]] coroutine_call : public std::invoke_result_t<Begin const&, deadlines::duration>
{
    using awaitable_type = std::invoke_result_t<Begin const&, deadlines::duration>;

public:
    explicit coroutine_call(Begin begin, deadlines::duration limit = {})
        : awaitable_type{begin(limit)}, begin_{std::move(begin)}
    {
    }

    /// See operation::within().
    coroutine_call within(deadlines::duration limit) && { return coroutine_call{std::move(begin_), limit}; }

private:
    Begin begin_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
