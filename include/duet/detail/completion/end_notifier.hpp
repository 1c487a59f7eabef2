// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_END_NOTIFIER_HPP
#define DUET_DETAIL_COMPLETION_END_NOTIFIER_HPP

#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A completion handler that calls its function when it is destroyed. So the end is noticed even if memory runs out: a
/// coroutine is then destroyed before it ends, and its handler is never called.
template <class Function>
class end_notifier
{
public:
    explicit end_notifier(Function function) : function_{std::move(function)} {}

    end_notifier(end_notifier&& other) noexcept
        : function_{std::move(other.function_)}, last_{std::exchange(other.last_, false)}
    {
    }

    ~end_notifier()
    {
        if (last_)
            function_();
    }

    template <class... Results>
    void operator()(Results const&...) const noexcept
    {
    }

private:
    Function function_;
    bool last_ = true;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
