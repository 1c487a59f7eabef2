// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CALL_COUNTER_HPP
#define DUET_TEST_CALL_COUNTER_HPP

#include <duet/detail/engine/connection_observer.hpp>
#include <duet/session.hpp>

#include <cstddef>
#include <memory>

namespace duet_test {

/// Counts what a session asks of its stream, from its construction on.
class call_counter
{
public:
    template <class Session>
    explicit call_counter(Session& of)
    {
        duet::detail::session_access::connection(of)->observe(watcher_);
    }

    /// Writes that took bytes.
    int writes() const noexcept { return watcher_->writes; }

    /// Reads, with or without bytes.
    int reads() const noexcept { return watcher_->reads; }

private:
    struct watcher final : duet::detail::connection_observer
    {
        char const* on_operation(char const* name, std::size_t) noexcept override { return name; }

        bool on_result(char const*&, duet::error_code const&, std::size_t) noexcept override { return true; }

        void on_call(duet::detail::channel_call what, duet::error_code const&, std::size_t size) noexcept override
        {
            if (what == duet::detail::channel_call::write_some && size > 0)
                ++writes;
            if (what == duet::detail::channel_call::read_some)
                ++reads;
        }

        void on_wait_begun(duet::detail::channel_wait what) noexcept override
        {
            if (what == duet::detail::channel_wait::read)
                ++reads;
        }

        void on_wait_ended(duet::detail::channel_wait, duet::error_code const&, std::size_t) noexcept override {}

        void on_state(duet::lifecycle const&, duet::error_code const&) noexcept override {}

        int writes = 0;
        int reads = 0;
    };

    std::shared_ptr<watcher> watcher_ = std::make_shared<watcher>();
};

}  // namespace duet_test

#endif
