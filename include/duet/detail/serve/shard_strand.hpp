// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SHARD_STRAND_HPP
#define DUET_DETAIL_SERVE_SHARD_STRAND_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution/relationship.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Lets one in at a time: a thread that runs functions of a strand, or one that stops the strand for a moment.
class strand_gate
{
public:
    void enter()
    {
        std::unique_lock lock{mutex_};
        left_.wait(lock, [this] { return !taken_; });
        taken_ = true;
    }

    /// False: nobody has left by `until`.
    bool enter_until(std::chrono::steady_clock::time_point until)
    {
        std::unique_lock lock{mutex_};
        if (!left_.wait_until(lock, until, [this] { return !taken_; }))
            return false;
        return taken_ = true;
    }

    void leave() noexcept
    {
        std::lock_guard const lock{mutex_};
        taken_ = false;
        left_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable left_;
    bool taken_ = false;
};

/// What the copies of a gated_executor share: the gate, and the executor behind it with each combination of properties.
class gated_core
{
    using inner_type = boost::asio::any_io_executor;

public:
    static constexpr std::size_t never_blocks = 1;
    static constexpr std::size_t continues = 2;
    static constexpr std::size_t tracks_work = 4;

    /// One combination of properties.
    struct variant
    {
        gated_core* core = nullptr;
        std::size_t properties = 0;
    };

    explicit gated_core(inner_type const& over)
    {
        namespace execution = boost::asio::execution;
        inner_[0] = boost::asio::prefer(over, execution::blocking.possibly, execution::relationship.fork);
        inner_[never_blocks] = boost::asio::require(inner_[0], execution::blocking.never);
        inner_[continues] = boost::asio::prefer(inner_[0], execution::relationship.continuation);
        inner_[never_blocks | continues] = boost::asio::require(inner_[continues], execution::blocking.never);
        for (std::size_t i = 0; i < variants_.size(); ++i)
            variants_[i] = {this, i};
    }

    gated_core(gated_core const&) = delete;
    gated_core& operator=(gated_core const&) = delete;

    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

    void remove_reference() noexcept
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    variant const* with(std::size_t properties) const noexcept { return &variants_[properties]; }

    /// The executor behind the gate, with these properties except the last one.
    inner_type const& inner(std::size_t properties) const noexcept { return inner_[properties & ~tracks_work]; }

    strand_gate& gate() noexcept { return gate_; }

    /// While there is work, the executor behind the gate has work. Throws what that throws, unless there is some
    /// already.
    void add_work()
    {
        std::lock_guard const lock{mutex_};
        if (works_ == 0)
            work_ = boost::asio::prefer(inner_[0], boost::asio::execution::outstanding_work.tracked);
        ++works_;
    }

    void remove_work() noexcept
    {
        inner_type ended;  // destroyed after the lock
        std::lock_guard const lock{mutex_};
        if (--works_ == 0)
            ended.swap(work_);
    }

private:
    ~gated_core() = default;

    std::array<inner_type, 4> inner_;
    std::array<variant, 8> variants_;
    strand_gate gate_;
    std::mutex mutex_;
    inner_type work_;
    std::size_t works_ = 0;
    std::atomic<int> references_{0};
};

/// An executor that calls functions inside a gate. It is one pointer, so an any_io_executor stores a strand over it
/// without an allocation.
class gated_executor
{
    using blocking_type = boost::asio::execution::blocking_t;
    using relationship_type = boost::asio::execution::relationship_t;
    using work_type = boost::asio::execution::outstanding_work_t;
    using core_type = gated_core;

public:
    static gated_executor make(boost::asio::any_io_executor const& over)
    {
        return gated_executor{(new core_type{over})->with(0)};
    }

    gated_executor(gated_executor const& other) noexcept : gated_executor{other.variant_} {}

    gated_executor& operator=(gated_executor const& other) noexcept
    {
        gated_executor copy{other};
        std::swap(variant_, copy.variant_);
        return *this;
    }

    ~gated_executor()
    {
        if (has(core_type::tracks_work))
            core().remove_work();
        core().remove_reference();
    }

    template <class Function>
    void execute(Function&& function) const
    {
        auto gated = [keeps = gated_executor{core().with(0)}, called = std::forward<Function>(function)]() mutable
        {
            struct inside
            {
                explicit inside(strand_gate& entered) : gate{entered} { gate.enter(); }

                inside(inside const&) = delete;
                inside& operator=(inside const&) = delete;

                ~inside() { gate.leave(); }

                strand_gate& gate;
            } const guard{keeps.gate()};
            called();
        };
        core().inner(variant_->properties).execute(std::move(gated));
    }

    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept
    {
        return boost::asio::query(core().inner(0), boost::asio::execution::context);
    }

    blocking_type query(blocking_type) const noexcept
    {
        return has(core_type::never_blocks) ? blocking_type{blocking_type::never}
                                            : blocking_type{blocking_type::possibly};
    }

    gated_executor require(blocking_type::never_t) const { return with(core_type::never_blocks, true); }
    gated_executor require(blocking_type::possibly_t) const { return with(core_type::never_blocks, false); }
    gated_executor require(relationship_type::continuation_t) const { return with(core_type::continues, true); }
    gated_executor require(relationship_type::fork_t) const { return with(core_type::continues, false); }
    gated_executor require(work_type::tracked_t) const { return with(core_type::tracks_work, true); }
    gated_executor require(work_type::untracked_t) const { return with(core_type::tracks_work, false); }

    strand_gate& gate() const noexcept { return core().gate(); }

    bool operator==(gated_executor const&) const noexcept = default;

private:
    /// Throws only if this is the first one that tracks work.
    explicit gated_executor(gated_core::variant const* variant) : variant_{variant}
    {
        if (has(core_type::tracks_work))
            core().add_work();
        core().add_reference();
    }

    gated_executor with(std::size_t property, bool on) const
    {
        auto const others = variant_->properties & ~property;
        return gated_executor{core().with(on ? others | property : others)};
    }

    bool has(std::size_t property) const noexcept { return (variant_->properties & property) != 0; }

    gated_core& core() const noexcept { return *variant_->core; }

    gated_core::variant const* variant_;
};

/// The strand of one shard, over an executor whose threads belong to the program.
///
/// A strand of Asio's with one addition: another thread can stop it, and use what belongs to it meanwhile. So a server
/// can be destroyed on any thread, whether the executor's threads are busy, idle or gone.
class shard_strand
{
public:
    /// Without a strand: the shard has a thread of its own.
    shard_strand() noexcept = default;

    explicit shard_strand(boost::asio::any_io_executor const& over) : strand_{gated_executor::make(over)} {}

    explicit operator bool() const noexcept { return strand_.has_value(); }

    boost::asio::any_io_executor executor() const { return *strand_; }

    /// True on a thread that runs a function of the strand now.
    bool runs_here() const noexcept { return strand_->running_in_this_thread(); }

    /// Call `function` while the strand stands still, or on it if it runs here. Functions that are posted meanwhile
    /// wait. It must not throw. False: not called, because the strand has been busy with one function until `until`.
    template <class Function>
    bool stop_for(Function const& function, std::chrono::steady_clock::time_point until) const
    {
        if (runs_here())
        {
            function();
            return true;
        }
        auto const executor = strand_->get_inner_executor();
        if (!executor.gate().enter_until(until))
            return false;
        function();
        executor.gate().leave();
        return true;
    }

private:
    using strand_type = boost::asio::strand<gated_executor>;

    static_assert(sizeof(strand_type) <= sizeof(std::shared_ptr<void>) + sizeof(void*));

    std::optional<strand_type> strand_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
