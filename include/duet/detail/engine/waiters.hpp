// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_WAITERS_HPP
#define DUET_DETAIL_ENGINE_WAITERS_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/kept_error.hpp>
#include <duet/detail/engine/slim_list.hpp>
#include <duet/detail/time/coarse_clock.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What an operation other than a read or a write waits for.
enum class awaited : std::uint8_t
{
    fin,        ///< every queued write and the FIN were handed to the kernel
    delivery,   ///< the peer has acknowledged everything
    close,      ///< the connection has ended
    peer_gone,  ///< the peer is gone; one handler at a time
    quiet,      ///< no byte was transferred for too long
    finish,     ///< the owner asks the session to finish
};

/// The waiting handlers of a connection, in the order of their arrival. They are few and rare, so a list is enough.
class waiters
{
public:
    struct waiter
    {
        [[no_unique_address]] kept_error cause;  ///< why it was cancelled, if it ends later than that
        awaited what;
        std::uint64_t id;
        any_completion done;
        coarse_clock::time_point by;  ///< what within() gives it
    };

    using list = slim_list<waiter>;

    bool empty() const noexcept { return list_.empty(); }

    bool has(awaited what) const noexcept
    {
        for (auto const& each : list_)
            if (each.what == what)
                return true;
        return false;
    }

    /// Of the first handler that waits for this; null if there is none.
    kept_error* cause(awaited what) noexcept
    {
        auto const found = list_.find_if([what](waiter const& each) { return each.what == what; });
        return found == list_.end() ? nullptr : &found->cause;
    }

    /// What the handler with this id waits for, if it is here.
    std::optional<awaited> find(std::uint64_t id) const noexcept
    {
        for (auto const& each : list_)
            if (each.id == id)
                return each.what;
        return {};
    }

    /// Takes `done`, unless there is no memory (std::bad_alloc).
    void park(awaited what, std::uint64_t id, any_completion& done,
        coarse_clock::time_point by = coarse_clock::time_point::max())
    {
        list_.push_back({{}, what, id, {}, by});
        list_.back().done = std::move(done);
    }

    /// The id of a handler whose time is over, if there is one.
    std::optional<std::uint64_t> late(coarse_clock::time_point now) const noexcept
    {
        for (auto const& each : list_)
            if (each.by <= now)
                return each.id;
        return {};
    }

    /// The time of this one has been reported.
    void forget_time(std::uint64_t id) noexcept
    {
        for (auto& each : list_)
            if (each.id == id)
                each.by = coarse_clock::time_point::max();
    }

    /// The earliest time that within() gives to one of them.
    coarse_clock::time_point earliest() const noexcept
    {
        auto result = coarse_clock::time_point::max();
        for (auto const& each : list_)
            result = std::min(result, each.by);
        return result;
    }

    /// Remove the first handler that waits for this; empty if there is none.
    any_completion take(awaited what) noexcept
    {
        return take_first([what](waiter const& each) { return each.what == what; });
    }

    /// Remove the handler with this id; empty if it is not here.
    any_completion take(std::uint64_t id) noexcept
    {
        return take_first([id](waiter const& each) { return each.id == id; });
    }

    /// Remove all handlers that wait for this now.
    list take_all(awaited what) noexcept
    {
        list taken;
        for (auto each = list_.begin(); each != list_.end();)
        {
            auto const meant = each;
            ++each;
            if (meant->what == what)
                list_.pass_on(meant, taken);
        }
        return taken;
    }

    /// Remove all handlers.
    list take_all() noexcept { return std::move(list_); }

private:
    template <class Meant>
    any_completion take_first(Meant meant) noexcept
    {
        auto const found = list_.find_if(meant);
        return found == list_.end() ? any_completion{} : list_.take(found).done;
    }

    list list_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
