// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_POOL_CORE_HPP
#define DUET_DETAIL_CONNECT_POOL_CORE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/place_queue.hpp>
#include <duet/detail/time/told_wait.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/pool_options.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A connection of a pool.
template <class Session>
struct pool_member
{
    Session session;
    coarse_clock::time_point made{};
    coarse_clock::time_point idle_since{};
    std::size_t uses = 0;
};

/// The implementation of a pool. Each lease and each acquire() under way keeps it alive.
///
/// There are as many places as there may be connections. Whoever holds a lease, or makes a connection for one, holds a
/// place. A connection is made only by the holder of a place and only if none is idle, so there are never more
/// connections than places. A place that becomes free goes to the first in the queue.
template <class Connector>
class pool_core : public std::enable_shared_from_this<pool_core<Connector>>
{
    using member_list = std::list<pool_member<typename Connector::session_type>>;

public:
    static constexpr bool has_names = requires(Connector c, std::string text) { c.connect(text, text); };

    using executor_type = typename Connector::executor_type;
    using endpoint_type = typename Connector::endpoint_type;
    using session_type = typename Connector::session_type;
    using member_type = pool_member<session_type>;
    using time_point = coarse_clock::time_point;
    using duration = pool_options::duration;
    using self = std::shared_ptr<pool_core>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    using places_type = place_queue<executor_type>;
    using place = typename places_type::place;

    pool_core(Connector by, std::string host, std::string service, pool_options const& o)
        : pool_core{std::move(by), o, true}
    {
        host_ = std::move(host);
        service_ = std::move(service);
    }

    pool_core(Connector by, endpoint_type const& endpoint, pool_options const& o) : pool_core{std::move(by), o, false}
    {
        endpoint_ = endpoint;
    }

    executor_type get_executor() const noexcept { return connector_.get_executor(); }

    /// A place, in the order of the calls.
    static awaitable<place> take_place(self core, duration within)
    {
        place own;
        auto const by = coarse_clock::after(core->clock_.now(), within);
        auto const end = co_await places_type::take(core->places(), own, by);
        switch (end)
        {
        case place_end::held:
            break;
        case place_end::refused:
            ++core->counted.refused;
            throw core->failure(errc::too_many_waiting);
        case place_end::late:
            ++core->counted.timed_out;
            throw core->failure(errc::call_timed_out);
        case place_end::cancelled:
            throw core->failure(boost::asio::error::operation_aborted);
        case place_end::closed:
            throw core->failure(errc::closed);
        }
        co_return std::move(own);
    }

    /// The idle connection that was used last and still is of use, if there is one. Those that are not are closed.
    std::optional<member_type> take_idle() noexcept
    {
        drop_expired();
        member_list dropped;
        while (!idle_.empty())
        {
            if (idle_.back().session.reusable())
            {
                std::optional<member_type> found{std::move(idle_.back())};
                idle_.pop_back();
                return found;
            }
            dropped.splice(dropped.end(), idle_, std::prev(idle_.end()));
            ++counted.unhealthy;
        }
        return {};
    }

    /// A connection that nobody uses any more. False: it was closed.
    bool keep(member_type member) noexcept
    {
        auto const now = clock_.now();
        member.session.message_received();
        member.idle_since = now;
        bool const whole = member.session.receive_state() == receive_state::open &&
                           member.session.send_state() == send_state::open && member.session.bytes_queued() == 0;
        if (!whole || closed() || member.uses >= options.max_uses || due(member) <= now ||
            idle_.size() >= options.max_idle)
            return false;
        try
        {
            idle_.push_back(std::move(member));
        }
        catch (std::bad_alloc const&)
        {
            return false;
        }
        session_access::connection(idle_.back().session)->set_late_options();  // nothing waits for its end
        if (evictor_ && due(idle_.back()) < evictor_at_)
            evictor_->tell();
        return true;
    }

    /// RAII: counts one connect.
    struct connect_count
    {
        explicit connect_count(pool_core& c) noexcept : core{c} {}

        connect_count(connect_count const&) = delete;
        connect_count& operator=(connect_count const&) = delete;

        ~connect_count() { ++(connected ? core.counted.connected : core.counted.connects_failed); }

        void succeeded() noexcept { connected = true; }

        pool_core& core;
        bool connected = false;
    };

    /// A connection that was just made.
    member_type make(session_type peer) const
    {
        member_type result;
        result.session = std::move(peer);
        result.made = result.idle_since = clock_.now();
        return result;
    }

    awaitable<session_type> connect()
    {
        if constexpr (has_names)
        {
            if (named_)
                return connector_.connect(host_, service_);
        }
        return connector_.connect(endpoint_);
    }

    /// Close the idle connections whose time is over, and those that their peers have ended.
    std::size_t evict() noexcept
    {
        auto const expired = drop_expired();
        auto const broken = drop_if([](member_type const& each) { return !each.session.reusable(); });
        counted.unhealthy += broken;
        return expired + broken;
    }

    /// Evict each when it is due, until the pool is closed.
    static awaitable<void> run_eviction(self core)
    {
        while (!core->closed())
        {
            core->evict();
            eviction_wait own{*core};
            auto const end = co_await own.wait.wait(core->evictor_at_);
            if (end == wait_end::cancelled)
                throw core->failure(boost::asio::error::operation_aborted, "run_eviction");
        }
    }

    /// Close all idle connections, and refuse those who wait, now and later.
    void stop() noexcept
    {
        member_list const dropped = std::exchange(idle_, {});
        places_.close();
        if (evictor_)
            evictor_->tell();
    }

    /// Until no place is held.
    static awaitable<void> wait_unused(self core)
    {
        bool const unused = co_await places_type::wait_unused(core->places());
        if (!unused)
            throw core->failure(boost::asio::error::operation_aborted, "close");
    }

    session_error failure(error_code code, char const* operation = "acquire") const
    {
        using traits = stream_traits<typename session_type::stream_type>;
        return {code, operation, named_ ? text_of_name(host_, service_) : traits::describe(endpoint_), 0};
    }

    pool_counters counters() const noexcept
    {
        auto result = counted;
        result.idle = idle_.size();
        result.in_use = places_.held();
        result.waiting = places_.waiting();
        return result;
    }

    bool closed() const noexcept { return places_.closed(); }

    pool_options const options;
    pool_counters counted;  // except for those that counters() fills in
    std::function<awaitable<bool>(session_type&)> check;

private:
    /// RAII: the coroutine that evicts waits here.
    struct eviction_wait
    {
        explicit eviction_wait(pool_core& c) : core{c}, wait{c.get_executor()}
        {
            core.evictor_ = &wait;
            core.evictor_at_ = core.next_due();
        }

        eviction_wait(eviction_wait const&) = delete;
        eviction_wait& operator=(eviction_wait const&) = delete;

        ~eviction_wait()
        {
            if (core.evictor_ == &wait)
                core.evictor_ = nullptr;
        }

        pool_core& core;
        told_wait<executor_type> wait;
    };

    pool_core(Connector by, pool_options const& o, bool named)
        : options{o}, connector_{std::move(by)}, named_{named}, clock_{connector_.get_executor()},
          places_{connector_.get_executor(), o.max_connections, o.max_waiting}
    {
        if (options.max_connections == 0)
            throw system_error{boost::asio::error::invalid_argument, "connection_pool"};
    }

    std::shared_ptr<places_type> places() { return {this->shared_from_this(), &places_}; }

    /// When a connection is too old, or idle for too long.
    time_point due(member_type const& member) const noexcept
    {
        return std::min(
            coarse_clock::after(member.made, options.max_age), coarse_clock::after(member.idle_since, options.idle));
    }

    time_point next_due() const noexcept
    {
        auto result = time_point::max();
        for (auto const& each : idle_)
            result = std::min(result, due(each));
        return result;
    }

    std::size_t drop_expired() noexcept
    {
        auto const now = clock_.now();
        auto const count = drop_if([&](member_type const& each) { return due(each) <= now; });
        counted.evicted += count;
        return count;
    }

    /// They are closed when the list is in order again: what waits for one may call this pool.
    template <class Predicate>
    std::size_t drop_if(Predicate wanted) noexcept
    {
        member_list dropped;
        for (auto each = idle_.begin(); each != idle_.end();)
        {
            auto const next = std::next(each);
            if (wanted(*each))
                dropped.splice(dropped.end(), idle_, each);
            each = next;
        }
        return dropped.size();
    }

    Connector connector_;
    std::string host_;
    std::string service_;
    endpoint_type endpoint_{};
    bool named_;
    context_clock clock_;
    places_type places_;
    member_list idle_;  // the one that was used last is the last
    told_wait<executor_type>* evictor_ = nullptr;
    time_point evictor_at_{};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
