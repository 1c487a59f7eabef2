// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CANCELLER_HPP
#define DUET_CANCELLER_HPP

#include <boost/asio/post.hpp>

#include <functional>
#include <memory>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Cancels or aborts one session from any thread. Copies are cheap. They may outlive the session, and then do nothing,
/// but must not outlive the session's execution context.
///
/// Both functions return at once: they post the request to the session's executor.
///
/// Distinct objects: safe. Shared objects: safe.
class canceller
{
public:
    /// A canceller without a session; it does nothing.
    canceller() = default;

    explicit canceller(std::function<void(bool)> post) : post_{std::move(post)} {}

    /// As session::cancel().
    void cancel() const
    {
        if (post_)
            post_(false);
    }

    /// As session::abort().
    void abort() const
    {
        if (post_)
            post_(true);
    }

private:
    std::function<void(bool)> post_;
};

namespace detail {

template <class Control>
canceller make_canceller(std::shared_ptr<Control> control)
{
    if (!control)
        return {};
    return canceller{[control = std::move(control)](bool abort)
        {
            boost::asio::post(control->executor,
                [control, abort]
                {
                    if (!control->target)
                        return;
                    if (abort)
                        control->target->abort();
                    else
                        control->target->cancel_all();
                });
        }};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
