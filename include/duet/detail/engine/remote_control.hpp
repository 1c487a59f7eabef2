// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_REMOTE_CONTROL_HPP
#define DUET_DETAIL_ENGINE_REMOTE_CONTROL_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <mutex>
#include <utility>

#include <duet/detail/completion/operation_owner.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class connection;

/// An executor to which several objects refer, on any thread.
class shared_executor : public boost::intrusive_ref_counter<shared_executor, boost::thread_safe_counter>
{
public:
    explicit shared_executor(boost::asio::any_io_executor const& executor) noexcept : executor_{executor} {}

    boost::asio::any_io_executor const& get() const noexcept { return executor_; }

private:
    boost::asio::any_io_executor const executor_;
};

/// The part of a connection that other threads may hold. It posts to the connection's executor while the connection
/// lives. It may outlive both the connection and the execution context.
///
/// Distinct objects: safe. Shared objects: safe, except detach().
class remote_control
{
public:
    using executor_ref = boost::intrusive_ptr<shared_executor>;

    remote_control(boost::asio::any_io_executor const& executor, connection& target)
        : executor_{new shared_executor{executor}}, target_{&target}
    {
    }

    remote_control(remote_control const&) = delete;
    remote_control& operator=(remote_control const&) = delete;

    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

    void remove_reference() noexcept
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    /// The connection's executor. Call this while the connection lives.
    executor_ref const& executor() const noexcept { return executor_; }

    /// Post `work`, which is called with the connection, or with null if that is destroyed meanwhile. False: it was
    /// destroyed before, and `work` is not called. Throws std::bad_alloc. The destructor of `work` must not destroy
    /// anything of the caller's: it may run under the lock.
    template <class Work>
    bool post(Work work)
    {
        owner_ref const self{this};
        // While the lock is held, the connection is not destroyed, and neither is its execution context, which would
        // have destroyed the connection first.
        std::lock_guard const lock{mutex_};
        if (!target_)
            return false;
        boost::asio::post(executor_->get(), [self, work = std::move(work)] { work(self->target_); });
        return true;
    }

    /// The connection is being destroyed. Call this on its executor.
    void detach() noexcept
    {
        executor_ref released;  // destroyed after the lock
        std::lock_guard const lock{mutex_};
        released.swap(executor_);
        target_ = nullptr;
    }

private:
    ~remote_control() = default;

    std::mutex mutex_;
    executor_ref executor_;
    connection* target_;  // written under the lock and on the executor: either is enough to read it
    std::atomic<int> references_{0};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
