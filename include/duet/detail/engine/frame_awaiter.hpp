// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_FRAME_AWAITER_HPP
#define DUET_DETAIL_ENGINE_FRAME_AWAITER_HPP

#include <coroutine>
#include <cstring>
#include <optional>
#include <string_view>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/frame_operations.hpp>
#include <duet/detail/engine/operation.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// Asio's awaiter of an operation is never ready: it suspends the coroutine, begins the operation, and resumes the
// coroutine from its handler. That costs more than all the rest of a small frame that is in the buffer already. So
// `co_await` finds another awaiter for such an operation, around Asio's. It needs to know the operation, to which
// Asio's awaiter only has a reference.

using frame_read = operation<frame_or_end, reading_frame>;

/// Notes the read of a frame that was made last on this thread: the one that is awaited next, mostly.
template <>
struct operation_mark<reading_frame>
{
    operation_mark() noexcept { newest = this; }
    operation_mark(operation_mark const&) noexcept { newest = this; }
    operation_mark& operator=(operation_mark const&) noexcept = default;

    static inline thread_local operation_mark* newest = nullptr;
};

/// The operation that was noted, if this awaiter of Asio begins with a reference to it. Null: it may have another one.
template <class Awaiter>
frame_read* newest_read_of(Awaiter const& awaiter) noexcept
{
    auto* const newest = static_cast<frame_read*>(operation_mark<reading_frame>::newest);
    void const* held = nullptr;
    static_assert(sizeof awaiter >= sizeof held);
    std::memcpy(&held, static_cast<void const*>(&awaiter), sizeof held);
    return held == newest ? newest : nullptr;
}

/// Awaits a read of a frame. A frame that is in the buffer is given without a suspension; everything else is left to
/// `Awaiter`, which is Asio's. frame_buffer::at_hand() bounds how many frames come like this.
template <class Awaiter>
class frame_awaiter
{
public:
    explicit frame_awaiter(Awaiter& inner) noexcept : inner_{inner}, ready_{newest_read_of(inner)}
    {
        if (ready_ && !ready_->need_not_begin())
            ready_ = nullptr;
    }

    frame_awaiter(frame_awaiter const&) = delete;
    frame_awaiter& operator=(frame_awaiter const&) = delete;

    bool await_ready() const noexcept { return ready_ != nullptr; }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine)
    {
        inner_.await_suspend(coroutine);
    }

    std::optional<std::string_view> await_resume()
    {
        if (ready_)
            return ready_->result_now();
        return inner_.await_resume();
    }

private:
    Awaiter& inner_;
    frame_read* ready_;
};

/// Found for the awaiter that Asio makes of a frame_read, because that is among its template arguments.
template <template <class...> class Awaiter, class Signature, class... More>
frame_awaiter<Awaiter<Signature, frame_read, More...>> operator co_await(
    Awaiter<Signature, frame_read, More...>&& awaiter) noexcept
{
    return frame_awaiter<Awaiter<Signature, frame_read, More...>>{awaiter};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
