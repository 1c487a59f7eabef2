// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_LOOKUP_QUEUE_IPP
#define DUET_DETAIL_RESOLVE_LOOKUP_QUEUE_IPP

#include <boost/asio/error.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>

#include <duet/detail/resolve/lookup_queue.hpp>
#include <duet/detail/socket/all_signals_blocked.hpp>
#include <duet/detail/socket/fork_watch.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline error_code code_of_getaddrinfo(int result, int system_error_number) noexcept
{
    namespace error = boost::asio::error;
    switch (result)
    {
    case EAI_AGAIN:
        return error::host_not_found_try_again;
    case EAI_BADFLAGS:
        return error::invalid_argument;
    case EAI_FAIL:
        return error::no_recovery;
    case EAI_FAMILY:
        return error::address_family_not_supported;
    case EAI_MEMORY:
        return error::no_memory;
    case EAI_SERVICE:
        return error::service_not_found;
    case EAI_SOCKTYPE:
        return error::socket_type_not_supported;
    case EAI_SYSTEM:
        return {system_error_number, boost::system::system_category()};
    default:  // EAI_NONAME; some systems report EAI_NODATA or EAI_ADDRFAMILY for a name without addresses
        return error::host_not_found;
    }
}

inline resolved_endpoints call_getaddrinfo(std::string const& host, std::string const& service)
{
    ::addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    ::addrinfo* found = nullptr;
    int const result = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), service.c_str(), &hints, &found);
    if (result != 0)
        throw system_error{code_of_getaddrinfo(result, errno), "resolve"};
    std::unique_ptr<::addrinfo, void (*)(::addrinfo*)> const owner{found, &::freeaddrinfo};
    resolved_endpoints endpoints;
    for (auto const* each = found; each != nullptr; each = each->ai_next)
    {
        boost::asio::ip::tcp::endpoint endpoint;
        if ((each->ai_family != AF_INET && each->ai_family != AF_INET6) || each->ai_addrlen > endpoint.capacity())
            continue;
        std::memcpy(endpoint.data(), each->ai_addr, each->ai_addrlen);
        endpoint.resize(each->ai_addrlen);
        endpoints.push_back(endpoint);
    }
    return endpoints;
}

DUET_DECL lookup_source const& system_lookup()
{
    // Never destroyed: threads may use it while the program ends.
    static auto const& source = *new lookup_source{std::make_shared<blocking_lookup const>(&call_getaddrinfo)};
    return source;
}

/// One look-up. Its waiters and its place in the queue are guarded by the queue's lock.
struct lookup_waiter::lookup
{
    using waiter_map = std::map<lookup_waiter*, std::shared_ptr<lookup_waiter>>;

    lookup(lookup_source from, std::string h, std::string s)
        : source{std::move(from)}, host(std::move(h)), service(std::move(s))
    {
    }

    void run() noexcept
    {
        try
        {
            result->endpoints = (*source)(host, service);
        }
        catch (...)
        {
            result->failure = std::current_exception();
        }
    }

    lookup_source source;
    std::string host;
    std::string service;
    std::shared_ptr<lookup_result> result = std::make_shared<lookup_result>();
    waiter_map waiters;
    std::optional<std::list<std::shared_ptr<lookup>>::iterator> place;  // in the queue, until a thread begins it
};

// ---- lookup_waiter -------------------------------------------------------------------------------------------------

DUET_DECL void lookup_waiter::deliver(std::shared_ptr<lookup_result const>& result)
{
    std::lock_guard const lock{mutex_};
    if (receiver_)
        receiver_(result);
}

DUET_DECL void lookup_waiter::abandon() noexcept
{
    receiver dropped;
    // In a child, no thread of the parent's is left that would use the receiver; one may have held a lock.
    bool const is_copy = queue_ && !queue_->is_of_this_process();
    if (queue_ && !is_copy)
        queue_->remove(*this);
    std::unique_lock lock{mutex_, std::defer_lock};
    if (!is_copy)
        lock.lock();
    dropped.swap(receiver_);
}

// ---- lookup_queue --------------------------------------------------------------------------------------------------

DUET_DECL bool lookup_queue::by_name::operator()(lookup_ptr const& a, lookup_ptr const& b) const noexcept
{
    return std::tie(a->source, a->host, a->service) < std::tie(b->source, b->host, b->service);
}

inline lookup_queue::lookup_queue(lookup_queue* parents) noexcept
    : process_{fork_watch::get().process()}, parents_{parents}
{
    if (parents)
        set_max_queued(parents->max_queued());
}

DUET_DECL lookup_queue& lookup_queue::get()
{
    static std::atomic<lookup_queue*> current{nullptr};
    auto* known = current.load(std::memory_order_acquire);
    while (!known || !known->is_of_this_process())
    {
        auto* const own = new lookup_queue{known};
        if (current.compare_exchange_strong(known, own, std::memory_order_acq_rel))
            return *own;
        delete own;
    }
    return *known;
}

DUET_DECL bool lookup_queue::is_of_this_process() const noexcept
{
    return process_ == fork_watch::get().process();
}

DUET_DECL void lookup_queue::add(
    lookup_source source, std::string host, std::string service, std::shared_ptr<lookup_waiter> const& waiter)
{
    auto const own = std::make_shared<lookup>(std::move(source), std::move(host), std::move(service));
    std::list<lookup_ptr> last(1, own);  // memory for its place in the queue
    std::lock_guard const lock{mutex_};
    if (is_full() && !under_way_.contains(own))
        throw system_error{errc::too_many_lookups, "resolve"};
    auto const inserted = under_way_.insert(own);
    auto const one = *inserted.first;
    if (inserted.second)
    {
        one->place = last.begin();
        waiting_.splice(waiting_.end(), last);
    }
    try
    {
        one->waiters.emplace(waiter.get(), waiter);
        if (inserted.second)
            start_thread();
    }
    catch (...)
    {
        one->waiters.erase(waiter.get());
        forget_unwanted(one);
        throw;
    }
    waiter->queue_ = this;
    waiter->lookup_ = one;
}

DUET_DECL void lookup_queue::remove(lookup_waiter& waiter) noexcept
{
    lookup::waiter_map::node_type removed;  // destroyed without the lock
    std::lock_guard const lock{mutex_};
    removed = waiter.lookup_->waiters.extract(&waiter);
    if (removed)
        forget_unwanted(waiter.lookup_);
}

/// Forget a look-up that nobody waits for, unless a thread has begun it. An equal one that begins later shares that.
inline void lookup_queue::forget_unwanted(lookup_ptr const& one) noexcept
{
    if (!one->waiters.empty() || !one->place)
        return;
    waiting_.erase(*one->place);
    under_way_.erase(one);
}

/// It counts those that have no thread yet as if all threads ran.
inline bool lookup_queue::is_full() const noexcept
{
    return under_way_.size() >= maximum_threads && under_way_.size() - maximum_threads >= max_queued();
}

DUET_DECL lookup_counts lookup_queue::counts() const
{
    std::lock_guard const lock{mutex_};
    return {under_way_.size() - waiting_.size(), waiting_.size()};
}

/// Start a thread for the queue, if there are few. Without a new one, those that run do the work. Throws if none does.
inline void lookup_queue::start_thread()
{
    if (threads_ == maximum_threads)
        return;
    try
    {
        all_signals_blocked const blocked;
        std::thread{[this] { work(); }}.detach();
        ++threads_;
    }
    catch (std::system_error const& error)
    {
        if (threads_ == 0)
            throw system_error{error_code{error.code().value(), boost::system::system_category()}, "resolve"};
    }
    catch (std::bad_alloc const&)
    {
        if (threads_ == 0)
            throw;
    }
}

/// Deliver a result, from the thread of the look-up.
inline void deliver_surely(lookup_waiter& waiter, std::shared_ptr<lookup_result const> result) noexcept
{
    for (;;)
    {
        try
        {
            return waiter.deliver(result);
        }
        catch (std::bad_alloc const&)
        {
            // There was no memory to post the result, and somebody waits for it: try again.
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }
}

/// A thread: one look-up after the other, until the queue is empty.
inline void lookup_queue::work() noexcept
{
    for (;;)
    {
        lookup_ptr one;
        {
            std::lock_guard const lock{mutex_};
            if (waiting_.empty())
            {
                --threads_;
                return;
            }
            one = waiting_.front();
            waiting_.pop_front();
            one->place.reset();
        }
        one->run();
        lookup::waiter_map waiters;
        {
            std::lock_guard const lock{mutex_};
            under_way_.erase(one);
            waiters.swap(one->waiters);
        }
        // Keep no reference to the result: an exception in it ends on a thread that has caught it.
        std::shared_ptr<lookup_result const> result = std::move(one->result);
        for (auto left = waiters.size(); auto const& each : waiters)
            deliver_surely(*each.second, --left == 0 ? std::move(result) : result);
    }
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
