// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_LOOKUP_QUEUE_HPP
#define DUET_DETAIL_RESOLVE_LOOKUP_QUEUE_HPP

#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

#include <sys/types.h>

namespace duet {
inline namespace DUET_ABI {

/// The look-ups of this process that have not ended.
struct lookup_counts
{
    std::size_t running = 0;  ///< each has a thread
    std::size_t queued = 0;
};

namespace detail {

using resolved_endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

/// A function that resolves a name, and may block for a long time.
using blocking_lookup = std::function<resolved_endpoints(std::string const& host, std::string const& service)>;

/// The function of a resolver and of its copies.
using lookup_source = std::shared_ptr<blocking_lookup const>;

/// getaddrinfo, the same source for every resolver. Throws system_error with Asio's codes for its errors. See
/// check_name() for what it must not get.
DUET_DECL lookup_source const& system_lookup();

/// The result of a look-up.
struct lookup_result
{
    resolved_endpoints endpoints{};
    std::exception_ptr failure{};
};

class lookup_queue;

/// The only connection from the thread of a look-up to one object that waits for the result. After abandon(), the
/// thread uses nothing of that object: no executor, whose context may be gone, and no timer.
class lookup_waiter
{
public:
    /// Takes the result, and may throw std::bad_alloc then: it is called again with what is left.
    using receiver = std::function<void(std::shared_ptr<lookup_result const>&)>;

    explicit lookup_waiter(receiver to) : receiver_{std::move(to)} {}

    /// Called on the look-up's thread. It calls the receiver under the lock, so that abandon() waits for that call to
    /// end.
    DUET_DECL void deliver(std::shared_ptr<lookup_result const>& result);

    /// Wait no more. A look-up that is queued for nobody else is taken from the queue.
    DUET_DECL void abandon() noexcept;

private:
    friend lookup_queue;
    struct lookup;

    std::mutex mutex_;
    receiver receiver_;
    lookup_queue* queue_ = nullptr;   // where it waits, and
    std::shared_ptr<lookup> lookup_;  // what for: set once
};

/// The look-ups of this process. Equal ones (the same source, host and service) that are under way at the same time
/// are one; at most `maximum_threads` run, and the others wait in a queue, whose length is bounded.
///
/// The threads are detached, because getaddrinfo cannot be interrupted and takes up to half a minute if the name
/// servers do not answer. Each ends when the queue is empty. Nothing waits for them: they use only this object, which
/// is never destroyed, what a look-up owns, and the waiters. A child that fork() has made has none of them, so it gets
/// a queue of its own; waiters of its parent are left to their deadlines.
///
/// Thread-safe.
class lookup_queue
{
public:
    static constexpr std::size_t maximum_threads = 4;
    static constexpr std::size_t default_max_queued = 1024;

    /// The queue of this process.
    DUET_DECL static lookup_queue& get();

    lookup_queue(lookup_queue const&) = delete;
    lookup_queue& operator=(lookup_queue const&) = delete;

    /// Begin a look-up for the waiter, or let it wait for an equal one. Throws, and changes nothing, if the queue is
    /// full, or there is no memory, or no thread and none is running.
    DUET_DECL void add(
        lookup_source source, std::string host, std::string service, std::shared_ptr<lookup_waiter> const& waiter);

    /// Called by lookup_waiter::abandon().
    DUET_DECL void remove(lookup_waiter& waiter) noexcept;

    DUET_DECL lookup_counts counts() const;

    /// A child inherits it.
    std::size_t max_queued() const noexcept { return max_queued_.load(std::memory_order_relaxed); }
    void set_max_queued(std::size_t most) noexcept { max_queued_.store(most, std::memory_order_relaxed); }

    /// False in a child that fork() has made since.
    DUET_DECL bool is_of_this_process() const noexcept;

private:
    using lookup = lookup_waiter::lookup;
    using lookup_ptr = std::shared_ptr<lookup>;

    struct by_name
    {
        DUET_DECL bool operator()(lookup_ptr const& a, lookup_ptr const& b) const noexcept;
    };

    explicit lookup_queue(lookup_queue* parents) noexcept;
    ~lookup_queue() = default;

    bool is_full() const noexcept;
    void start_thread();
    void work() noexcept;
    void forget_unwanted(lookup_ptr const& one) noexcept;

    ::pid_t const process_;
    [[maybe_unused]] lookup_queue* const parents_;  // keeps the parent's queue reachable in a child, for leak detectors
    std::atomic<std::size_t> max_queued_{default_max_queued};
    std::mutex mutable mutex_;
    std::set<lookup_ptr, by_name> under_way_;
    std::list<lookup_ptr> waiting_;  // those of them that no thread has begun, the oldest first
    std::size_t threads_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/resolve/lookup_queue.ipp>
#endif

#endif
