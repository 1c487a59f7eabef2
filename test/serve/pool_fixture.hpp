// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_POOL_FIXTURE_HPP
#define DUET_TEST_POOL_FIXTURE_HPP

// A serving_pool without a server: its sessions, what it tells of them, and handlers.

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/failing_allocations.hpp"
#include "support/raw_peer.hpp"

#include <duet/detail/serve/serving_pool.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace duet_test {

using tcp = asio::ip::tcp;
using state_type = duet::detail::server_state<tcp>;
using pool_type = duet::detail::serving_pool<tcp>;
using pool_user = duet::detail::serving_pool_user<tcp>;
using sessions_type = duet::detail::served_list<tcp>;

/// A pool, its sessions, and what it has told of them.
class served final : public pool_user
{
public:
    served(asio::io_context& context, state_type::handler_type handler)
        : context_{context}, state_{std::make_shared<state_type>(
                                 duet::detail::server_place{context}, duet::server_options{}, std::move(handler))}
    {
        pool_ = std::make_shared<pool_type>(context.get_executor(), *this);
        pool_->owned_by(pool_);
        failures.reserve(2 * pool_type::most_resting + 10);  // on_served() must not throw
    }

    /// A new session, and its peer, that sends nothing.
    sessions_type::iterator session()
    {
        auto ends = connected_pair();
        live.emplace_back().begin(adopt(ends.server, context_.get_executor()), state_, {});
        peers.push_back(std::move(ends.client));
        return std::prev(live.end());
    }

    /// As session(), and the peer has said its FIN: close() does not wait for it.
    sessions_type::iterator ending_session()
    {
        auto const result = session();
        peers.back().shutdown_write();
        return result;
    }

    /// Serve it, on the context, and go on until everybody waits.
    void serve(sessions_type::iterator session, duet::error_code cause = {}) { serve(session, cause, 0); }

    /// As serve(), and the pool's first allocation fails.
    void serve_without_memory(sessions_type::iterator session) { serve(session, {}, 1); }

    template <class Predicate>
    void run_until(Predicate const& predicate)
    {
        duet_test::detail::run_until(context_, run_guard, predicate);
    }

    void run_until_told(std::size_t count)
    {
        run_until([&] { return told() >= count; });
    }

    std::size_t told() const { return answers + failures.size() + lost; }

    pool_type& pool() { return *pool_; }

    void destroy_pool() { pool_.reset(); }

    sessions_type live;
    std::list<raw_socket> peers;

    std::size_t answers = 0;
    std::vector<std::exception_ptr> failures;  // of those that were served, null where the handler did not throw
    std::size_t lost = 0;

private:
    void serve(sessions_type::iterator session, duet::error_code cause, long failing)
    {
        asio::post(context_,
            [=, this]
            {
                allocations_to_fail = failing;
                pool_->serve(session, cause);
                allocations_to_fail = 0;
            });
        context_.restart();
        context_.poll();
    }

    void on_answered(served_iterator) noexcept override { ++answers; }

    void on_served(served_iterator session, std::exception_ptr const& failure) noexcept override
    {
        failures.push_back(failure);
        live.erase(session);
    }

    void on_lost(served_iterator session) noexcept override
    {
        ++lost;
        live.erase(session);
    }

    asio::io_context& context_;
    std::shared_ptr<state_type> state_;
    std::shared_ptr<pool_type> pool_;
};

/// Handlers wait until it is open.
class gate
{
public:
    explicit gate(asio::io_context& context) : timer_{std::in_place, context} { close(); }

    auto handler()
    {
        return [this](duet::session peer) { return passed(std::move(peer)); };
    }

    asio::awaitable<void> passed(duet::session)
    {
        ++waiting_;
        asio::use_awaitable_t<> const token;
        duet::error_code error;
        if (!open_)
            co_await timer_->async_wait(asio::redirect_error(token, error));
        if (!open_)
            throw boost::system::system_error{error};
    }

    void open()
    {
        open_ = true;
        timer_->cancel();
    }

    void close()
    {
        open_ = false;
        timer_->expires_at(asio::steady_timer::time_point::max());
    }

    /// Its context is about to be destroyed.
    void forget() { timer_.reset(); }

    std::size_t waiting() const { return waiting_; }

private:
    std::optional<asio::steady_timer> timer_;
    std::size_t waiting_ = 0;
    bool open_ = false;
};

/// There is memory again when the handler is called, so that only the pool lacks it.
inline state_type::handler_type conversation(state_type::conversation_handler handler)
{
    auto with_memory = [handler = std::move(handler)](duet::session peer)
    {
        allocations_to_fail = 0;
        return handler(std::move(peer));
    };
    return {.conversation = std::move(with_memory), .message = {}};
}

inline state_type::handler_type message(state_type::message_handler handler)
{
    return {.conversation = {}, .message = std::move(handler)};
}

}  // namespace duet_test

#endif
