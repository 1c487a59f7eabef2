// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP
#define DUET_DETAIL_ENGINE_KEPT_EXECUTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <new>
#include <type_traits>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/remote_control.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The executor that a moved-from session keeps, in one word, whose lowest bit is set. Sessions are moved often, and
/// nearly all have the executor of an io_context, whose address is enough. For other executors it refers to what the
/// connection shares with other threads, and without memory for that it keeps none: 0.
template <class Executor>
class kept_executor
{
public:
    /// That of a connection. Pass the result to release() once.
    static std::uintptr_t keep(connection& source) noexcept
    {
        if (auto* const context = source.plain_context())
            return reinterpret_cast<std::uintptr_t>(context) | is_kept;
        return keep_other(source);
    }

    static bool is(std::uintptr_t word) noexcept { return (word & is_kept) != 0; }

    static void release(std::uintptr_t word) noexcept
    {
        if ((word & is_other) != 0)
            intrusive_ptr_release(&other(word));
    }

    /// The executor of any type; an empty one if none was kept.
    static boost::asio::any_io_executor any(std::uintptr_t word) noexcept
    {
        if (word == 0)
            return {};
        return (word & is_other) != 0 ? other(word).get() : boost::asio::any_io_executor{plain(word).get_executor()};
    }

    /// The executor; an empty one if none was kept, which another type than any_io_executor must not be asked for.
    static Executor get(std::uintptr_t word) noexcept
    {
        if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
            return any(word);
        else
        {
            if constexpr (std::is_constructible_v<Executor, boost::asio::io_context::executor_type>)
            {
                if ((word & is_other) == 0)
                    return Executor{plain(word).get_executor()};
            }
            return *other(word).get().template target<Executor>();
        }
    }

private:
    static constexpr std::uintptr_t is_kept = 1;
    static constexpr std::uintptr_t is_other = 2;
    static constexpr std::uintptr_t marks = is_kept | is_other;
    static_assert(alignof(boost::asio::io_context) > marks && alignof(shared_executor) > marks);

    [[gnu::cold, gnu::noinline]] static std::uintptr_t keep_other(connection& source) noexcept
    {
        try
        {
            auto executor = source.control()->executor();
            return reinterpret_cast<std::uintptr_t>(executor.detach()) | marks;
        }
        catch (std::bad_alloc const&)
        {
            return 0;
        }
    }

    static boost::asio::io_context& plain(std::uintptr_t word) noexcept
    {
        return *reinterpret_cast<boost::asio::io_context*>(word & ~marks);
    }

    static shared_executor& other(std::uintptr_t word) noexcept
    {
        return *reinterpret_cast<shared_executor*>(word & ~marks);
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
