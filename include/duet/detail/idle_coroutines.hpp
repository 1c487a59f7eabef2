// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_IDLE_COROUTINES_HPP
#define DUET_DETAIL_IDLE_COROUTINES_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include <duet/detail/any_completion.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// Coroutines of asio::awaitable that have done what they were spawned for, and wait to do it again for something else:
/// spawning one costs six allocations and a third of what a short session takes. `Work` says whose each is.
template <class Work>
class idle_coroutines
{
public:
    struct coroutine
    {
        Work work;
        any_completion resume;
    };

    static constexpr std::size_t most = 128;

    explicit idle_coroutines(boost::asio::any_io_executor executor) : executor_{std::move(executor)} {}

    bool empty() const noexcept { return idle_.empty(); }

    /// Whether another one may wait(). It must do so next, or end.
    bool has_room() noexcept
    {
        if (ended_ || idle_.size() >= most)
            return false;
        try
        {
            if (idle_.size() == idle_.capacity())
                idle_.reserve(2 * idle_.size() + 1);
        }
        catch (std::bad_alloc const&)
        {
            return false;
        }
        return true;
    }

    /// Await it, to wait. One that is resumed with nothing to do has to end.
    auto wait(Work work) noexcept { return operation{*this, std::move(work)}; }

    /// The last that came: its memory is the warmest.
    coroutine take() noexcept
    {
        auto last = std::move(idle_.back());
        idle_.pop_back();
        return last;
    }

    /// Let none wait, now and later: they keep the context running.
    void end()
    {
        ended_ = true;
        while (!empty())
            take().resume({}, 0);
    }

private:
    class operation
    {
    public:
        operation(idle_coroutines& home, Work work) noexcept : home_{&home}, work_{std::move(work)} {}

        template <boost::asio::completion_token_for<void()> Token>
        auto operator()(Token&& token)
        {
            return boost::asio::async_initiate<Token, void()>(
                [home = home_, work = work_](auto&& handler)
                {
                    auto resume = [handler = std::forward<decltype(handler)>(handler)](error_code, std::size_t) mutable
                    { std::move(handler)(); };
                    home->idle_.push_back({work, any_completion{std::move(resume), home->executor_, true}});
                },
                token);
        }

    private:
        idle_coroutines* home_;
        Work work_;
    };

    boost::asio::any_io_executor executor_;
    std::vector<coroutine> idle_;
    bool ended_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
