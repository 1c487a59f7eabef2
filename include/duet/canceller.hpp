// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CANCELLER_HPP
#define DUET_CANCELLER_HPP

#include <utility>

#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/remote_control.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Cancels or aborts one session from any thread. A copy costs one atomic increment. It may outlive the session and the
/// session's execution context, and then does nothing.
///
/// Both functions return at once: they post the request to the session's executor. They throw std::bad_alloc.
///
/// Distinct objects: safe. Shared objects: safe.
class canceller
{
public:
    /// A canceller without a session; it does nothing.
    canceller() noexcept = default;

    /// See session::canceller().
    explicit canceller(detail::owner_ref<detail::remote_control> control) noexcept : control_{std::move(control)} {}

    /// As session::cancel().
    void cancel() const { post<&detail::connection::cancel_all>(); }

    /// As session::abort().
    void abort() const { post<&detail::connection::abort>(); }

private:
    template <void (detail::connection::*Function)() noexcept>
    void post() const
    {
        if (!control_)
            return;
        control_->post(
            [](detail::connection* target)
            {
                if (target)
                    (target->*Function)();
            });
    }

    detail::owner_ref<detail::remote_control> control_;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
