// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_QUEUE_HPP
#define DUET_DETAIL_ACCEPT_QUEUE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/backoff.hpp>
#include <duet/detail/listener.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The inside of an acceptor: the listener, and the sessions taken from the kernel's queue but not yet handed out.
template <class Protocol, class Executor>
class accept_queue
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_type = basic_session<stream_type>;
    using traits = stream_traits<stream_type>;
    using self = std::shared_ptr<accept_queue>;

    accept_queue(Executor const& executor, acceptor_options options)
        : listener_{executor}, pause_{executor}, options_{std::move(options)}
    {
        options_.batch = std::max<std::size_t>(options_.batch, 1);
    }

    void listen(endpoint_type const& endpoint)
    {
        error_code error;
        attempt("open", endpoint, [&](error_code& e) { listener_.open(endpoint.protocol(), e); });
        if constexpr (traits::is_tcp)
        {
            if (options_.reuse_address)
                attempt("reuse_address", endpoint,
                    [&](error_code& e) { listener_.set_option(boost::asio::socket_base::reuse_address{true}, e); });
            if (endpoint.address().is_v6())
                attempt("dual_stack", endpoint,
                    [&](error_code& e) { listener_.set_option(boost::asio::ip::v6_only{!options_.dual_stack}, e); });
        }
        if (options_.reuse_port)
            attempt("reuse_port", endpoint, [&](error_code& e) { set_reuse_port(e); });
        // Before listen: the window scale of every connection follows from the buffer's size now.
        set_stream_options(listener_.native_handle(), traits::is_tcp, options_.session);
        attempt("bind", endpoint, [&](error_code& e) { bind(endpoint, e); });
        attempt("listen", endpoint, [&](error_code& e) { listener_.listen(options_.backlog, e); });
        local_ = listener_.local_endpoint(error);
        listener_.non_blocking(true, error);
    }

    void inherit(int descriptor)
    {
        error_code error;
        auto const protocol = protocol_of(descriptor);
        check_listening(descriptor, protocol.family(), error);
        if (!error)
            listener_.assign(protocol, descriptor, error);
        if (error)
            throw session_error{error, "listen", "descriptor " + std::to_string(descriptor), 0};
        inherited_ = true;
        set_stream_options(descriptor, traits::is_tcp, options_.session);
        local_ = listener_.local_endpoint(error);
        listener_.non_blocking(true, error);
    }

    static boost::asio::awaitable<session_type, Executor> accept(self queue)
    {
        boost::asio::use_awaitable_t<Executor> const token;
        for (;;)
        {
            if (queue->taken_.empty() && queue->is_open())
            {
                // After a full batch there may be ever more: the sessions get their turn first.
                if (std::exchange(queue->batch_was_full_, false))
                    co_await boost::asio::post(queue->get_executor(), token);
                queue->take_batch();
            }
            if (!queue->taken_.empty())
            {
                auto session = std::move(queue->taken_.front());
                queue->taken_.pop_front();
                co_return session;
            }
            if (!queue->is_open())
                throw session_error{queue->failure_ ? queue->failure_ : error_code{errc::closed}, "accept",
                    traits::describe(queue->local_), 0};
            error_code error;
            if (queue->pausing_for_ > queue->pausing_for_.zero())
            {
                queue->pause_.expires_after(std::exchange(queue->pausing_for_, {}));
                co_await queue->pause_.async_wait(boost::asio::redirect_error(token, error));
            }
            else
            {
                co_await queue->listener_.async_wait(
                    listener_type::wait_read, boost::asio::redirect_error(token, error));
            }
            if (error && queue->is_open())
                throw session_error{error, "accept", traits::describe(queue->local_), 0};
        }
    }

    void close() noexcept
    {
        if (!listener_.is_open())
            return;
        // A socket that others hold too goes on without us, and is not ours to filter.
        if (traits::is_tcp && !inherited_)
            refuse_new_handshakes(listener_.native_handle());
        while (take_one())
            continue;
        discard();
    }

    void discard() noexcept
    {
        error_code ignored;
        if (listener_.is_open() && !inherited_)
            remove_socket_file();
        listener_.close(ignored);
        pause_.cancel();
    }

    bool is_open() const noexcept { return listener_.is_open(); }

    endpoint_type const& local() const noexcept { return local_; }

    acceptor_counters const& counters() const noexcept { return counters_; }

    listen_queue kernel_queue(error_code& error) noexcept
    {
        listen_queue result;
        if constexpr (traits::is_tcp)
        {
            auto const info = query_tcp_info(listener_.native_handle(), error);
            result.length = info.segments_unacknowledged;
            result.limit = info.segments_sacked;
            result.overflows = listen_overflows();
        }
        else
        {
            error = boost::asio::error::operation_not_supported;
        }
        return result;
    }

    Executor get_executor() noexcept { return listener_.get_executor(); }

    int native_handle() noexcept { return listener_.native_handle(); }

private:
    using listener_type = boost::asio::basic_socket_acceptor<Protocol, Executor>;

    static constexpr std::uint64_t most_broken_in_a_row = 16;

    template <class Call>
    void attempt(char const* operation, endpoint_type const& endpoint, Call call)
    {
        error_code error;
        call(error);
        if (error)
            throw session_error{error, operation, traits::describe(endpoint), 0};
    }

    void set_reuse_port(error_code& error)
    {
#if defined(SO_REUSEPORT)
        int const on = 1;
        if (::setsockopt(listener_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
            error.assign(errno, boost::system::system_category());
#else
        error = boost::asio::error::operation_not_supported;
#endif
    }

    void bind(endpoint_type const& endpoint, error_code& error)
    {
        listener_.bind(endpoint, error);
        if constexpr (!traits::is_tcp)
        {
            if (error == boost::asio::error::address_in_use && options_.reuse_address &&
                remove_stale_socket_file(endpoint.path().c_str()))
                listener_.bind(endpoint, error);
        }
    }

    void remove_socket_file() noexcept
    {
        if constexpr (!traits::is_tcp)
        {
            auto const path = local_.path();
            if (!path.empty() && path.front() != '\0')
                ::unlink(path.c_str());
        }
    }

    Protocol protocol_of(int descriptor)
    {
        if constexpr (traits::is_tcp)
        {
            ::sockaddr_storage address{};
            ::socklen_t size = sizeof(address);
            ::getsockname(descriptor, reinterpret_cast<::sockaddr*>(&address), &size);
            return address.ss_family == AF_INET6 ? Protocol::v6() : Protocol::v4();
        }
        else
        {
            return Protocol{};
        }
    }

    /// Take what is in the kernel's queue, a batch at the most.
    void take_batch() noexcept
    {
        std::size_t count = 0;
        while (count < options_.batch && take_one())
            ++count;
        batch_was_full_ = count == options_.batch;
    }

    /// Take one connection from the kernel's queue. False: no more for now.
    bool take_one() noexcept
    {
        endpoint_type remote;
        auto size = static_cast<::socklen_t>(remote.capacity());
        error_code error;
        int const descriptor = accept_connection(listener_.native_handle(), remote.data(), &size, error);
        if (descriptor >= 0)
        {
            remote.resize(size);
            return keep(descriptor, remote);
        }
        switch (classify_accept_error(error))
        {
        case accept_error_class::would_block:
            return false;
        case accept_error_class::connection:
            ++counters_.connection_failures;
            // So many in a row are no matter of single connections any more.
            if (++broken_in_a_row_ % most_broken_in_a_row != 0)
                return true;
            pause(error);
            return false;
        case accept_error_class::resource:
            pause(error);
            return false;
        case accept_error_class::fatal:
            failure_ = error;
            listener_.close(error);
            return false;
        }
        return false;
    }

    bool keep(int descriptor, endpoint_type const& remote) noexcept
    {
        bool owned = false;  // by the stream
        try
        {
            stream_type stream{listener_.get_executor()};
            error_code error;
            stream.assign(local_.protocol(), descriptor, error);
            if (error)
            {
                ::close(descriptor);
                pause(error);
                return false;
            }
            owned = true;
            auto local = local_;
            if constexpr (traits::is_tcp)
            {
                if (local.address().is_unspecified())
                    local = stream.local_endpoint(error);
            }
            taken_.push_back(
                session_access::make_accepted<session_type>(std::move(stream), local, remote, options_.session));
        }
        catch (std::exception const&)
        {
            if (!owned)
                ::close(descriptor);
            pause(boost::asio::error::no_memory);
            return false;
        }
        ++counters_.accepted;
        broken_in_a_row_ = 0;
        failures_ = 0;
        backoff_.reset();
        return true;
    }

    void pause(error_code const& error) noexcept
    {
        ++counters_.resource_failures;
        pausing_for_ = backoff_.next();
        if (options_.on_resource_failure)
            options_.on_resource_failure({error, pausing_for_, ++failures_});
    }

    listener_type listener_;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        Executor>
        pause_;
    acceptor_options options_;
    acceptor_counters counters_;
    endpoint_type local_;
    std::deque<session_type> taken_;
    error_code failure_;  // of the listener itself
    std::uint64_t broken_in_a_row_ = 0;
    std::uint64_t failures_ = 0;
    std::chrono::steady_clock::duration pausing_for_{};
    backoff backoff_{
        {.initial = std::chrono::milliseconds{5}, .maximum = std::chrono::seconds{1}, .multiplier = 2, .jitter = 0}, 0};
    bool inherited_ = false;
    bool batch_was_full_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
