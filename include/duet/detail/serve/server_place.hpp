// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_PLACE_HPP
#define DUET_DETAIL_SERVE_SERVER_PLACE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <type_traits>

#include <duet/detail/serve/shard_strand.hpp>
#include <duet/detail/socket/cpu_affinity.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An execution context other than an io_context.
template <class Context>
concept other_context = std::is_convertible_v<Context&, boost::asio::execution_context&> &&
                        !std::is_convertible_v<Context&, boost::asio::io_context&> &&
                        requires(Context & context)
{
    {
        context.get_executor()
        } -> std::convertible_to<boost::asio::any_io_executor>;
};

template <class Executor>
concept server_executor = std::is_convertible_v<Executor const&, boost::asio::any_io_executor>;

/// What a server may run on, beside an io_context that one thread runs.
template <class Where>
concept strands_place = other_context<std::remove_reference_t<Where>> || server_executor<std::remove_cvref_t<Where>>;

/// Where a server runs: on an io_context that one thread runs, where further shards have threads of their own; or on
/// strands over an executor, whose threads belong to the program.
class server_place
{
public:
    explicit server_place(boost::asio::io_context& context)
        : context_{&context}, first_executor_{context.get_executor()}
    {
    }

    template <strands_place Where>
    explicit server_place(Where& where) : server_place{executor_of(where), 0}
    {
    }

    /// Null: on strands.
    boost::asio::io_context* context() const noexcept { return context_; }

    /// Of the first shard.
    boost::asio::any_io_executor const& executor() const noexcept { return first_executor_; }

    shard_strand const& first_strand() const noexcept { return first_strand_; }

    /// A strand for a further shard.
    shard_strand another_strand() const { return shard_strand{over_}; }

    /// As far as that can be told, nothing runs that is posted, as long as the calling thread blocks: the executor's
    /// threads have ended, or it is a strand that runs here. `thread` has run the first shard, or is 0.
    bool waits_in_vain(std::int64_t thread) const { return waits_in_vain_ && waits_in_vain_(thread); }

private:
    using test = std::function<bool(std::int64_t)>;

    template <class Executor>
    server_place(Executor const& executor, int)
        : over_{executor}, waits_in_vain_{test_of(executor)}, first_strand_{over_}, first_executor_{
                                                                                        first_strand_.executor()}
    {
    }

    template <class Where>
    static auto executor_of(Where& where)
    {
        if constexpr (other_context<Where>)
            return where.get_executor();
        else
            return where;
    }

    template <class Executor>
    static test test_of(Executor const& executor)
    {
        if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
            return test_of_target<boost::asio::io_context::executor_type, boost::asio::thread_pool::executor_type>(
                executor);
        else if constexpr (boost::asio::can_query<Executor const&, boost::asio::execution::context_t>::value)
            return test_of_context(boost::asio::query(executor, boost::asio::execution::context));
        else
            return {};
    }

    template <class Executor>
    static test test_of(boost::asio::strand<Executor> const& strand)
    {
        return [strand, inner = test_of(strand.get_inner_executor())](std::int64_t thread)
        { return strand.running_in_this_thread() || (inner && inner(thread)); };
    }

    /// For an executor of one of these types, or a strand over one.
    template <class... Executors>
    static test test_of_target(boost::asio::any_io_executor const& executor)
    {
        test result;
        auto const take = [&]<class Executor>(Executor const* target)
        {
            if (target)
                result = test_of(*target);
        };
        (take(executor.target<Executors>()), ...);
        (take(executor.target<boost::asio::strand<Executors>>()), ...);
        return result;
    }

    template <class Context>
    static test test_of_context(Context& context)
    {
        if constexpr (std::is_same_v<Context, boost::asio::thread_pool>)  // its threads end when it has stopped
            return [](std::int64_t thread) { return thread != 0 && !thread_lives(thread); };
        else if constexpr (requires {
                               {
                                   context.stopped()
                                   } -> std::convertible_to<bool>;
                           })
            return [&context](std::int64_t) { return context.stopped(); };
        else
            return {};
    }

    boost::asio::io_context* context_ = nullptr;
    boost::asio::any_io_executor over_;
    test waits_in_vain_;
    shard_strand first_strand_;
    boost::asio::any_io_executor first_executor_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
