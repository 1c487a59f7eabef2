// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_ANY_COMPLETION_HPP
#define DUET_DETAIL_COMPLETION_ANY_COMPLETION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// How deeply inline completions are nested on this thread. Completing inline resumes the coroutine, which may start
/// the next operation, which may complete inline: each adds a level to the stack.
inline thread_local int inline_depth = 0;
inline constexpr int maximum_inline_depth = 16;

inline bool may_nest() noexcept
{
    return inline_depth < maximum_inline_depth;
}

/// RAII: counts one level, also when the handler throws. What a handler throws leaves through the context's run().
struct inline_level
{
    inline_level() noexcept { ++inline_depth; }

    ~inline_level() { --inline_depth; }

    inline_level(inline_level const&) = delete;
    inline_level& operator=(inline_level const&) = delete;
};

class posted_completion;

/// Holds one handler of any type with the signature void(error_code, std::size_t). It is called at most once.
///
/// It calls the handler on the handler's own executor. Small handlers (such as an awaiting coroutine) are stored inside
/// this object; others use the allocator associated with them, as does what is queued on an executor.
class any_completion
{
public:
    any_completion() noexcept = default;

    template <class Handler, class Executor>
        requires(!std::is_same_v<std::decay_t<Handler>, any_completion>)
    any_completion(Handler&& handler, Executor const& executor, bool inline_allowed)
    {
        assign(std::forward<Handler>(handler), executor, inline_allowed);
    }

    any_completion(any_completion&& other) noexcept { take(other); }

    any_completion& operator=(any_completion&& other) noexcept
    {
        if (this != &other)
        {
            clear();
            take(other);
        }
        return *this;
    }

    ~any_completion() { clear(); }

    explicit operator bool() const noexcept { return functions_ != nullptr; }

    /// Store a handler. There must be none yet.
    template <class Handler, class Executor>
    void assign(Handler&& handler, Executor const& executor, bool inline_allowed)
    {
        emplace<std::decay_t<Handler>>(executor, inline_allowed, std::forward<Handler>(handler));
    }

    /// Store a Handler that is constructed from `inner` and `arguments`. Its executor, allocator and cancellation slot
    /// are those of `inner`. There must be none yet.
    template <class Handler, class Executor, class Inner, class... Arguments>
    void emplace(Executor const& executor, bool inline_allowed, Inner&& inner, Arguments const&... arguments)
    {
        slot_ = boost::asio::get_associated_cancellation_slot(inner);
        auto const target = boost::asio::get_associated_executor(inner, executor);
        using target_type = std::decay_t<decltype(target)>;
        if constexpr (std::is_same_v<target_type, Executor>)
        {
            if (target == executor)
                return store<Handler>(inline_allowed, std::forward<Inner>(inner), arguments...);
        }
        else if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
        {
            auto const* const held = executor.template target<target_type>();
            if (held && *held == target)
                return store<Handler>(inline_allowed, std::forward<Inner>(inner), arguments...);
        }
        using bound = bound_handler<Handler, target_type>;
        store<bound>(inline_allowed, bound{target, Handler(std::forward<Inner>(inner), arguments...)});
    }

    /// Store a handler of the library, without an executor, allocator or slot of its own. There must be none yet.
    template <class Handler>
    void keep(Handler&& handler, bool inline_allowed = false)
    {
        slot_ = {};
        store<std::decay_t<Handler>>(inline_allowed, std::forward<Handler>(handler));
    }

    /// True if the handler may be called from within its initiating function.
    bool inline_allowed() const noexcept { return functions_ && functions_->inline_allowed && may_nest(); }

    /// Call `cancel` with the cancellation type when the handler's owner requests cancellation. Set this only when the
    /// operation has to wait, because connecting a cancellation slot has a cost.
    template <class Cancel>
    void on_cancel(Cancel cancel)
    {
        if (slot_.is_connected())
            slot_.assign(std::move(cancel));
    }

    /// Where the handler's owner requests cancellation: for an operation that is one step of another.
    boost::asio::cancellation_slot const& slot() const noexcept { return slot_; }

    /// Post the call of a completion to `plain`, which is the context of `executor`, or to `executor` if `plain` is
    /// null. To a plain context it is posted with the memory of its handler, which an any_io_executor cannot use.
    static void post(
        boost::asio::any_io_executor const& executor, boost::asio::io_context* plain, posted_completion&& call);

    /// A call is near. What is stored is mostly a pointer or two: to a coroutine, which has its slot elsewhere.
    void prefetch() const noexcept
    {
        prefetch_target(storage_);
        prefetch_target(storage_ + sizeof(void*));
        prefetch_target(&slot_);
    }

    void operator()(boost::system::error_code error, std::size_t size)
    {
        auto const* const table = std::exchange(functions_, nullptr);
        if (!table)
            return;  // the handler was abandoned: no memory, or its execution context is being destroyed
        if (slot_.is_connected())
            slot_.clear();
        table->call(storage_, error, size);
    }

private:
    struct function_table
    {
        void (*call)(void*, boost::system::error_code, std::size_t);
        void (*move)(void*, void*) noexcept;
        void (*destroy)(void*) noexcept;
        void (*post)(void const*, boost::asio::io_context&, posted_completion&&);  // null: the default allocator
        bool inline_allowed;
    };

    /// A handler whose executor is not the session's. It keeps work outstanding on its own executor, and is dispatched
    /// to it.
    template <class Handler, class Executor>
    struct bound_handler
    {
        using work_type = std::decay_t<decltype(boost::asio::prefer(
            std::declval<Executor const&>(), boost::asio::execution::outstanding_work.tracked))>;

        bound_handler(Executor const& executor, Handler handler_)
            : work{boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked)},
              handler(std::move(handler_))
        {
        }

        void operator()(boost::system::error_code error, std::size_t size)
        {
            // Read what the result needs from the session here, on the session's executor. The handler gets the result
            // on its own executor.
            auto const allocator = get_allocator();
            if constexpr (requires { handler.settle(error, size); })
                boost::asio::dispatch(work, boost::asio::bind_allocator(allocator, handler.settle(error, size)));
            else
            {
                auto call = [handler = std::move(handler), error, size]() mutable { std::move(handler)(error, size); };
                boost::asio::dispatch(work, boost::asio::bind_allocator(allocator, std::move(call)));
            }
        }

        using allocator_type = boost::asio::associated_allocator_t<Handler>;

        allocator_type get_allocator() const noexcept { return boost::asio::get_associated_allocator(handler); }

        work_type work;
        Handler handler;
    };

    static constexpr std::size_t inline_size = 4 * sizeof(void*);

    template <class Handler>
    static constexpr bool fits = sizeof(Handler) <= inline_size &&
                                 alignof(Handler) <= alignof(void*) && std::is_nothrow_move_constructible_v<Handler>;

    template <class Handler>
    using allocator_of =
        typename std::allocator_traits<boost::asio::associated_allocator_t<Handler>>::template rebind_alloc<Handler>;

    template <class Handler>
    static void post_with(Handler const& handler, boost::asio::io_context& context, posted_completion&& call);

    template <class Handler>
    static constexpr bool has_memory =
        !std::is_same_v<boost::asio::associated_allocator_t<Handler>, boost::asio::associated_allocator_t<int>>;

    /// The last entry of a function_table. `Stored`: where in the storage the handler is.
    template <class Handler, class Stored>
    static constexpr auto poster() noexcept -> decltype(function_table::post)
    {
        if constexpr (!has_memory<Handler>)
            return nullptr;
        else
            return [](void const* storage, boost::asio::io_context& context, posted_completion&& call)
            {
                if constexpr (std::is_same_v<Stored, Handler>)
                    post_with(*static_cast<Handler const*>(storage), context, std::move(call));
                else
                    post_with(**static_cast<Handler* const*>(storage), context, std::move(call));
            };
    }

    /// How to use a Handler that is in the storage itself.
    template <class Handler>
    static constexpr function_table stored_here(bool inline_allowed) noexcept
    {
        return {[](void* storage, boost::system::error_code error, std::size_t size)
            {
                // Move the handler to the stack first: it may start an operation that reuses this storage.
                auto* const stored = static_cast<Handler*>(storage);
                Handler handler{std::move(*stored)};
                stored->~Handler();
                std::move(handler)(error, size);
            },
            [](void* from, void* to) noexcept
            {
                auto* const stored = static_cast<Handler*>(from);
                ::new (to) Handler(std::move(*stored));
                stored->~Handler();
            },
            [](void* storage) noexcept { static_cast<Handler*>(storage)->~Handler(); }, poster<Handler, Handler>(),
            inline_allowed};
    }

    /// The same for one to which the storage has a pointer.
    template <class Handler>
    static constexpr function_table stored_elsewhere(bool inline_allowed) noexcept
    {
        return {[](void* storage, boost::system::error_code error, std::size_t size)
            {
                auto* const stored = *static_cast<Handler**>(storage);
                Handler handler{std::move(*stored)};
                free(stored);
                std::move(handler)(error, size);
            },
            [](void* from, void* to) noexcept { ::new (to) Handler*(*static_cast<Handler**>(from)); },
            [](void* storage) noexcept { free(*static_cast<Handler**>(storage)); }, poster<Handler, Handler*>(),
            inline_allowed};
    }

    template <class Handler, class Inner, class... Arguments>
    void store(bool inline_allowed, Inner&& inner, Arguments const&... arguments)
    {
        if constexpr (fits<Handler>)
        {
            static constexpr function_table tables[]{stored_here<Handler>(false), stored_here<Handler>(true)};
            ::new (static_cast<void*>(storage_)) Handler(std::forward<Inner>(inner), arguments...);
            functions_ = &tables[inline_allowed ? 1 : 0];
        }
        else
        {
            static constexpr function_table tables[]{stored_elsewhere<Handler>(false), stored_elsewhere<Handler>(true)};
            allocator_of<Handler> allocator{boost::asio::get_associated_allocator(inner)};
            auto* const stored = std::allocator_traits<allocator_of<Handler>>::allocate(allocator, 1);
            try
            {
                ::new (static_cast<void*>(stored)) Handler(std::forward<Inner>(inner), arguments...);
            }
            catch (...)
            {
                std::allocator_traits<allocator_of<Handler>>::deallocate(allocator, stored, 1);
                throw;
            }
            ::new (static_cast<void*>(storage_)) Handler*(stored);
            functions_ = &tables[inline_allowed ? 1 : 0];
        }
    }

    template <class Handler>
    static void free(Handler* stored) noexcept
    {
        allocator_of<Handler> allocator{boost::asio::get_associated_allocator(*stored)};
        stored->~Handler();
        std::allocator_traits<allocator_of<Handler>>::deallocate(allocator, stored, 1);
    }

    void take(any_completion& other) noexcept
    {
        slot_ = other.slot_;
        functions_ = std::exchange(other.functions_, nullptr);
        if (functions_)
            functions_->move(other.storage_, storage_);
    }

    static_assert(sizeof(boost::asio::cancellation_slot) >= sizeof(void*));

    void clear() noexcept
    {
        if (auto const* const table = std::exchange(functions_, nullptr))
            table->destroy(storage_);
    }

    alignas(void*) std::byte storage_[inline_size];
    function_table const* functions_ = nullptr;
    boost::asio::cancellation_slot slot_;
};

/// The call of a completion in an executor's queue. If there is no memory to post it, the completion moves back to
/// where it came from.
class posted_completion
{
public:
    using owner_ref_type = owner_ref<operation_owner>;

    /// `after` is called when the handler has run.
    posted_completion(owner_ref_type owner, any_completion& from, boost::system::error_code error, std::size_t size,
        void (*after)(operation_owner&)) noexcept
        : owner_{std::move(owner)}, done_{std::move(from)}, origin_{&from}, error_{error}, size_{size}, after_{after}
    {
    }

    posted_completion(posted_completion&&) noexcept = default;

    ~posted_completion()
    {
        if (owner_ && owner_->attempting())
            *origin_ = std::move(done_);
    }

    void operator()()
    {
        done_(error_, size_);
        after_(*owner_);
    }

private:
    friend any_completion;

    owner_ref_type owner_;
    any_completion done_;
    any_completion* origin_;
    boost::system::error_code error_;
    std::size_t size_;
    void (*after_)(operation_owner&);
};

inline void any_completion::post(
    boost::asio::any_io_executor const& executor, boost::asio::io_context* plain, posted_completion&& call)
{
    auto const& done = call.done_;
    if (plain && done.functions_ && done.functions_->post)
        done.functions_->post(done.storage_, *plain, std::move(call));
    else
        boost::asio::post(executor, std::move(call));
}

template <class Handler>
void any_completion::post_with(Handler const& handler, boost::asio::io_context& context, posted_completion&& call)
{
    auto const allocator = boost::asio::get_associated_allocator(handler);
    boost::asio::post(context, boost::asio::bind_allocator(allocator, std::move(call)));
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
