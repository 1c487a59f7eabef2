// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_CONTEXT_SERVICE_HPP
#define DUET_DETAIL_COMPLETION_CONTEXT_SERVICE_HPP

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Finds the service of a context, for what asks for it with every session. Asio searches the list of all services
/// twice, under a lock. A thread nearly always asks for the same context, so the last answer is kept.
template <class Service>
class context_service
{
public:
    /// The service of this context; null if it has none.
    static Service* of(boost::asio::io_context* context) noexcept
    {
        if (!context)
            return nullptr;
        auto& last = last_answer();
        auto const now = changes().load(std::memory_order_relaxed);
        if (last.context != context || last.changes != now)
        {
            bool const there = boost::asio::has_service<Service>(*context);
            last = {context, there ? &boost::asio::use_service<Service>(*context) : nullptr, now};
        }
        return last.service;
    }

    /// Call this after a service was added to a context, and when one is destroyed: kept answers hold no longer.
    static void changed() noexcept { changes().fetch_add(1, std::memory_order_relaxed); }

private:
    struct answer
    {
        boost::asio::io_context* context;
        Service* service;
        unsigned changes;
    };

    static answer& last_answer() noexcept
    {
        thread_local constinit answer last{};
        return last;
    }

    static std::atomic<unsigned>& changes() noexcept
    {
        static constinit std::atomic<unsigned> count{1};
        return count;
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
