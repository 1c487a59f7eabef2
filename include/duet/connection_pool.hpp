// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CONNECTION_POOL_HPP
#define DUET_CONNECTION_POOL_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <duet/connector.hpp>
#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/detail/connect/pool_core.hpp>
#include <duet/error.hpp>
#include <duet/pool_options.hpp>

namespace duet {
inline namespace DUET_ABI {

template <class Connector>
class basic_connection_pool;

/// A connection that a pool has lent. Use it as a pointer to the session.
///
/// give_back() says that the connection may serve others: the whole answer was read, and nothing more is to come. A
/// lease that is destroyed without it resets its connection, because half an answer must never be read by the next one.
/// Either way the place in the pool is free again. The pool sees what has arrived and was not read; what a read took
/// beyond the answer, as read_until() and readers with a buffer may, the program has to look for.
///
/// It may outlive the pool. Distinct objects: safe. Shared objects: unsafe; use and destroy it on the pool's executor.
template <class Connector>
class basic_pool_lease
{
public:
    using session_type = typename Connector::session_type;

    /// No connection. co_spawn() needs this for the types that its coroutines return.
    basic_pool_lease() noexcept = default;

    basic_pool_lease(basic_pool_lease&&) noexcept = default;

    basic_pool_lease& operator=(basic_pool_lease&& other) noexcept
    {
        if (this != &other)
        {
            abandon();
            core_ = std::move(other.core_);
            place_ = std::move(other.place_);
            member_ = std::move(other.member_);
        }
        return *this;
    }

    ~basic_pool_lease() { abandon(); }

    /// False if it has no connection: it was given back, taken, or moved from.
    bool valid() const noexcept { return member_.session.valid(); }

    session_type& operator*() noexcept { return member_.session; }

    session_type* operator->() noexcept { return &member_.session; }

    /// True if another lease has used this connection before. Then a request may meet the end of the connection: a
    /// server may close an idle connection while the request is on its way. One that may be repeated is worth a second
    /// try.
    bool reused() const noexcept { return member_.uses > 1; }

    /// Give the connection back: the next one uses it. It is closed instead (its destructor's plain close: FIN if all
    /// was read) if a direction has ended, if a write is not complete, if its time or its uses are over, if enough are
    /// idle, or if the pool is closed. An operation must not be under way. A lease without a connection does nothing.
    void give_back() noexcept
    {
        if (!valid())
            return;
        place_type const own{std::move(place_)};
        core_->keep(std::exchange(member_, {}));
    }

    /// Take the connection away from the pool for good, which may make another one in its place.
    session_type take() noexcept
    {
        place_type const own{std::move(place_)};
        return std::exchange(member_, {}).session;
    }

private:
    friend basic_connection_pool<Connector>;

    using core_type = detail::pool_core<Connector>;
    using place_type = typename core_type::place;
    using member_type = typename core_type::member_type;

    basic_pool_lease(std::shared_ptr<core_type> core, place_type place, member_type member) noexcept
        : core_{std::move(core)}, place_{std::move(place)}, member_{std::move(member)}
    {
        ++member_.uses;
    }

    void abandon() noexcept
    {
        if (!valid())
            return;
        place_type const own{std::move(place_)};
        member_type member{std::exchange(member_, {})};
        ++core_->counted.abandoned;
        member.session.abort();
    }

    std::shared_ptr<core_type> core_;
    place_type place_;
    member_type member_{};
};

/// Connections to one peer, each of which serves one request after the other.
///
/// ```cpp
/// duet::connection_pool pool{duet::connector{context, {.timeout = 5s}}, "db.example", "7000", {.max_connections = 4}};
/// // Often, from many coroutines:
/// auto lease = co_await pool.acquire();
/// co_await lease->write(question);
/// std::string answer;
/// std::size_t const size = co_await lease->read_until(answer, "\n", 4096);
/// if (size == answer.size())
///     lease.give_back();  // the whole answer was read, and nothing came behind it
/// ```
///
/// **Order.** While there are fewer connections than pool_options::max_connections, and none is idle, acquire() makes
/// one. Else it waits, and is served in the order of the calls. Of the idle connections the one that was used last is
/// lent first, so that those that are not needed become too old.
///
/// **Health.** A connection is lent again only if both of its directions are open, no operation is under way, and
/// nothing has arrived: neither FIN, nor a reset, nor bytes that nobody asked for. That costs one system call.
/// on_check() adds a check of the program's. A server may still end a connection just as a request is sent on it, see
/// basic_pool_lease::reused().
///
/// **A connect that fails** fails the acquire() that made it, with the exception of the connector. The place is free
/// then, and the next in the queue connects for itself.
///
/// **Time.** Idle connections become too old on the clock of the context. They have no timer, and do not keep the
/// context running: they are closed with the next acquire() that lends an idle one or connects, with evict(), or in
/// time while run_eviction() runs. An idle connection is closed as its destructor does: FIN.
///
/// **Cancellation** of an acquire(), of any type and in any phase: it fails with condition::cancelled and leaves its
/// place in the queue or its connection to others.
///
/// The pool may be destroyed at any time: as stop(). Leases and acquires under way go on to their ends.
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor, which must be the awaiting coroutine's too.
template <class Connector>
class basic_connection_pool
{
    using core_type = detail::pool_core<Connector>;
    using self = std::shared_ptr<core_type>;

public:
    using connector_type = Connector;
    using executor_type = typename Connector::executor_type;
    using endpoint_type = typename Connector::endpoint_type;
    using session_type = typename Connector::session_type;
    using duration = pool_options::duration;
    using lease = basic_pool_lease<Connector>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// What acquire() returns: an awaitable of a lease that is also called with a completion token.
    using acquire_call = detail::coroutine_call<awaitable<lease>, core_type>;

    /// To a host and service, which are resolved for each connection. Throws system_error (invalid_argument) if
    /// max_connections is 0.
    basic_connection_pool(Connector by, std::string host, std::string service,
        pool_options const& options = {}) requires(core_type::has_names)
        : core_{std::make_shared<core_type>(std::move(by), std::move(host), std::move(service), options)}
    {
    }

    /// To an endpoint. Throws as above.
    basic_connection_pool(Connector by, endpoint_type const& endpoint, pool_options const& options = {})
        : core_{std::make_shared<core_type>(std::move(by), endpoint, options)}
    {
    }

    basic_connection_pool(basic_connection_pool const&) = delete;
    basic_connection_pool& operator=(basic_connection_pool const&) = delete;

    ~basic_connection_pool() { core_->stop(); }

    /// Lend a connection: an idle one, or a new one, or one that another lease gives back.
    ///
    /// Errors: what the connector throws; errc::call_timed_out, after pool_options::wait in the queue;
    /// errc::too_many_waiting, at once; errc::closed after stop(); cancelled.
    acquire_call acquire() { return acquire(core_->options.wait); }

    /// As above, but wait for so long.
    acquire_call acquire(duration within) { return {acquire(core_, within), *core_}; }

    /// Call `check` with an idle connection that seems healthy, before it is lent again: a coroutine that may talk to
    /// the peer. False, or an exception: it is closed, and another one is lent. Limit its time, as with within(). An
    /// empty function removes the check.
    void on_check(std::function<awaitable<bool>(session_type&)> check) { core_->check = std::move(check); }

    /// Close the idle connections that are too old, and those of no use any more: a peer has ended them. Returns how
    /// many. One system call for each that is left.
    std::size_t evict() noexcept { return core_->evict(); }

    /// evict() whenever a connection becomes too old, until stop(). This keeps the context running. One at a time.
    ///
    /// Errors: cancelled. Cancellation of any type.
    awaitable<void> run_eviction() { return core_type::run_eviction(core_); }

    /// Lend no more: an acquire() fails with errc::closed, now and later, as do those that wait. Idle connections are
    /// closed, and leased ones when they are given back.
    void stop() noexcept { core_->stop(); }

    /// stop(), and wait until no lease is left and no connect is under way. May be called again, and several times at
    /// once.
    ///
    /// Errors: cancelled. Cancellation of any type stops the waiting; the pool stays closed.
    awaitable<void> close()
    {
        core_->stop();
        return core_type::wait_unused(core_);
    }

    pool_counters counters() const noexcept { return core_->counters(); }

    executor_type get_executor() const noexcept { return core_->get_executor(); }

private:
    static awaitable<lease> acquire(self core, duration within)
    {
        typename core_type::place own = co_await core_type::take_place(core, within);
        for (auto found = core->take_idle(); found; found = core->take_idle())
        {
            bool const healthy = co_await check(core, found->session);
            if (core->closed())
                throw core->failure(errc::closed);
            if (healthy)
            {
                ++core->counted.reused;
                co_return lease{core, std::move(own), std::move(*found)};
            }
            ++core->counted.unhealthy;
            found->session.abort();
        }
        typename core_type::connect_count count{*core};
        session_type peer = co_await core->connect();
        count.succeeded();
        if (core->closed())
            throw core->failure(errc::closed);
        co_return lease{core, std::move(own), core->make(std::move(peer))};
    }

    static awaitable<bool> check(self core, session_type& peer)
    {
        if (!core->check)
            co_return true;
        bool healthy = false;
        try
        {
            auto const call = core->check;  // another may be set meanwhile
            bool const answer = co_await call(peer);
            healthy = answer;
        }
        catch (std::exception const&)
        {
            // It is not, unless this was cancelled.
        }
        auto const state = co_await boost::asio::this_coro::cancellation_state;
        if (state.cancelled() != boost::asio::cancellation_type::none)
            throw core->failure(boost::asio::error::operation_aborted);
        co_return healthy&& peer.reusable();
    }

    self core_;
};

using connection_pool = basic_connection_pool<connector>;
using unix_connection_pool = basic_connection_pool<unix_connector>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
