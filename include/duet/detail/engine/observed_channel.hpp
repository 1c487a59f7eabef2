// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_OBSERVED_CHANNEL_HPP
#define DUET_DETAIL_ENGINE_OBSERVED_CHANNEL_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <duet/detail/channel/channel.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/engine/connection_observer.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class connection;

/// Stands between a connection and its channel and reports to an observer what passes. For the connection it is the
/// channel, and for the channel it is the user. A connection without an observer has no such object, so it pays
/// nothing.
///
/// The connection owns it. Pending waits hold references to this object instead of the connection. Therefore this
/// object keeps the connection alive until the channel is closed and the last wait has ended.
class alignas(64) observed_channel final : public channel, private channel_user
{
public:
    DUET_DECL observed_channel(connection& user, channel& inner);

    /// Report to another observer; null: to none. Throws std::bad_alloc.
    DUET_DECL void observe(std::shared_ptr<connection_observer> observer);

    /// See connection_observer::on_operation() and on_result(). Returns the name that the operation has from now on.
    char const* tell_operation(char const* name, std::size_t size) noexcept
    {
        return observer_ ? observer_->on_operation(name, size) : name;
    }

    char const* tell_result(char const* name, error_code const& error, std::size_t size) noexcept
    {
        if (!observer_ || !observer_->on_result(name, error, size))
            tell_earlier(name, error, size);
        return name;
    }

    /// See connection_observer::on_leave().
    void tell_leave() noexcept
    {
        if (observer_)
            observer_->on_leave();
    }

    /// The connection changes to another channel.
    DUET_DECL channel& followed_by(channel& next) noexcept override;

private:
    // What the connection tries
    std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;
    std::size_t take_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept override;
    bool readable_now() noexcept override;
    std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept override;
    std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept override;
    std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept override;
    std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept override;
    std::size_t discard(std::size_t limit, error_code& error) noexcept override;
    void set_fin_follows(bool follows) noexcept override { inner_->set_fin_follows(follows); }
    void shutdown_send(error_code& error) noexcept override;
    void reset() noexcept override;
    void close() noexcept override;

    // What it asks
    bool has_input() noexcept override { return inner_->has_input(); }
    bool has_failed() noexcept override { return inner_->has_failed(); }
    bool has_hung_up() noexcept override { return inner_->has_hung_up(); }
    error_code take_failure() noexcept override { return inner_->take_failure(); }
    std::size_t unacknowledged() noexcept override { return inner_->unacknowledged(); }
    void set_dead_peer_timeout(deadlines::duration timeout) noexcept override
    {
        inner_->set_dead_peer_timeout(timeout);
    }
    void set_no_delay_late() noexcept override { inner_->set_no_delay_late(); }
    void set_no_delay_now() noexcept override { inner_->set_no_delay_now(); }
    duet::tcp_snapshot info(error_code& error) noexcept override { return inner_->info(error); }

    // What it waits for
    void read(boost::asio::mutable_buffer buffer) override;
    void wait_readable(wake how) override;
    void wait_writable() override;
    void wait_gone() override;
    void turn() override;
    void cancel_read() noexcept override;
    void cancel_gone() noexcept override;

    // What the channel tells
    void on_read(error_code const& error, std::size_t size) override;
    void on_writable(error_code error) override;
    void on_gone(error_code error) override;
    void on_turn() override;
    void on_near(unsigned distance) noexcept override;
    void abandon() noexcept override;
    void dispose() noexcept override;

    template <class Begin>
    void begin(channel_wait what, Begin wait);
    template <class Tell>
    void pass_on(channel_wait what, error_code const& error, std::size_t size, Tell tell);
    DUET_DECL void tell_earlier(char const*& name, error_code const& error, std::size_t size) noexcept;
    void tell_call(channel_call what, error_code const& error, std::size_t size) noexcept;
    void tell_state() noexcept;
    void end() noexcept;

    // What each event needs is in two lines of the cache.
    connection_observer* observer_ = nullptr;
    connection& connection_;
    channel* inner_;
    lifecycle seen_;
    channel_wait reading_ = channel_wait::read;  // which wait on_read() ends
    bool ended_ = false;
    owner_ref<channel_user> keep_;                             // the connection
    std::vector<std::shared_ptr<connection_observer>> known_;  // earlier ones, too: operations have names of theirs
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
