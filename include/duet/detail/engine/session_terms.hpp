// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_TERMS_HPP
#define DUET_DETAIL_ENGINE_SESSION_TERMS_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include <duet/detail/config.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a session is given when it begins, and never changes: its executor, its clock, and those of its options that it
/// needs later. Sessions of one io_context with the same options share it, so that an idle session takes less memory.
struct session_terms
{
    boost::asio::any_io_executor executor;
    boost::asio::io_context* plain;  // plain_context_of() the executor
    context_clock clock;
    duet::deadlines deadlines;
    std::size_t queue_limit;
    std::size_t close_discard_limit;
    full_queue when_queue_full;
};

/// A counted reference to the terms of a session. Distinct references may be used by several threads at a time.
class shared_terms
{
public:
    /// `plain`: plain_context_of() the executor. Throws std::bad_alloc.
    shared_terms(
        boost::asio::any_io_executor const& executor, boost::asio::io_context* plain, session_options const& options)
        : kept_{find(executor, plain, options)}
    {
    }

    shared_terms(shared_terms&& other) noexcept : kept_{std::exchange(other.kept_, nullptr)} {}

    shared_terms& operator=(shared_terms&&) = delete;

    ~shared_terms() { release(kept_); }

    void swap(shared_terms& other) noexcept { std::swap(kept_, other.kept_); }

    session_terms const& operator*() const noexcept { return kept_->terms; }
    session_terms const* operator->() const noexcept { return &kept_->terms; }

    /// The same terms, but with these deadlines. Throws std::bad_alloc.
    shared_terms with(duet::deadlines const& values) const
    {
        session_options options;
        options.deadlines = values;
        options.queue_limit = kept_->terms.queue_limit;
        options.close_discard_limit = kept_->terms.close_discard_limit;
        options.when_queue_full = kept_->terms.when_queue_full;
        return {kept_->terms.executor, kept_->terms.plain, options};
    }

private:
    struct counted
    {
        counted(boost::asio::any_io_executor const& executor, boost::asio::io_context* context,
            context_clock const& time, session_options const& options)
            : terms{executor, context, time, options.deadlines, options.queue_limit, options.close_discard_limit,
                  options.when_queue_full}
        {
        }

        session_terms const terms;
        std::atomic<std::size_t> references{1};
    };

    /// The terms that sessions of this thread have had last. Only those of plain contexts: their executor refers to
    /// nothing that dies with the context.
    struct recent
    {
        recent() = default;
        recent(recent const&) = delete;
        recent& operator=(recent const&) = delete;

        ~recent()
        {
            for (auto*& each : list)
                release(std::exchange(each, nullptr));
        }

        std::array<counted*, 4> list{};
        std::size_t next = 0;
    };

    static bool same(duet::deadlines const& left, duet::deadlines const& right) noexcept
    {
        static_assert(std::has_unique_object_representations_v<duet::deadlines>);
        return std::memcmp(&left, &right, sizeof left) == 0;
    }

    static bool same(session_terms const& held, session_options const& options) noexcept
    {
        return held.queue_limit == options.queue_limit && held.close_discard_limit == options.close_discard_limit &&
               held.when_queue_full == options.when_queue_full && same(held.deadlines, options.deadlines);
    }

    static counted* find(
        boost::asio::any_io_executor const& executor, boost::asio::io_context* plain, session_options const& options)
    {
        context_clock const time{executor};
        if (!plain)
            return new counted{executor, plain, time, options};
        thread_local recent those;
        for (auto* const each : those.list)
        {
            if (each && each->terms.plain == plain && each->terms.clock.manual() == time.manual() &&
                same(each->terms, options))
            {
                add(*each);
                return each;
            }
        }
        auto* const made = new counted{executor, plain, time, options};
        add(*made);
        release(std::exchange(those.list[those.next], made));
        those.next = (those.next + 1) % those.list.size();
        return made;
    }

    static void add(counted& held) noexcept { held.references.fetch_add(1, std::memory_order_relaxed); }

    static void release(counted* held) noexcept
    {
        if (held && held->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete held;
    }

    counted* kept_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
