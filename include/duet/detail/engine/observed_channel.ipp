// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_OBSERVED_CHANNEL_IPP
#define DUET_DETAIL_ENGINE_OBSERVED_CHANNEL_IPP

#include <boost/asio/error.hpp>

#include <new>
#include <utility>

#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL observed_channel::observed_channel(connection& user, channel& inner)
    : channel{inner.able()}, connection_{user}, inner_{&inner}, seen_{user.life()}, keep_{&user}
{
    inner_->set_user(*this);
    reads_from(inner);
}

DUET_DECL void observed_channel::observe(std::shared_ptr<connection_observer> observer)
{
    observer_ = nullptr;
    if (!observer)
        return;
    auto* const next = observer.get();
    known_.push_back(std::move(observer));
    observer_ = next;
}

/// It may have begun when another observed.
DUET_DECL void observed_channel::tell_earlier(char const*& name, error_code const& error, std::size_t size) noexcept
{
    for (auto const& each : known_)
        if (each.get() != observer_ && each->on_result(name, error, size))
            break;
}

DUET_DECL channel& observed_channel::followed_by(channel& next) noexcept
{
    inner_ = &next;
    inner_->set_user(*this);
    reads_from(next);
    able_as(next);
    return *this;
}

// ---- Towards the channel -------------------------------------------------------------------------------------------

inline std::size_t observed_channel::read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    auto const size = inner_->read_some(buffer, error);
    tell_call(channel_call::read_some, error, size);
    return size;
}

inline std::size_t observed_channel::take_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
{
    auto const size = inner_->take_some(buffer, error);
    tell_call(channel_call::read_some, error, size);
    return size;
}

inline bool observed_channel::readable_now() noexcept
{
    return inner_->readable_now();
}

inline std::size_t observed_channel::write_some(boost::asio::const_buffer buffer, error_code& error) noexcept
{
    auto const size = inner_->write_some(buffer, error);
    tell_call(channel_call::write_some, error, size);
    return size;
}

inline std::size_t observed_channel::write_some(
    std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept
{
    auto const size = inner_->write_some(buffers, error);
    tell_call(channel_call::write_some, error, size);
    return size;
}

inline std::size_t observed_channel::write_some(piped_bytes const& bytes, error_code& error) noexcept
{
    auto const size = inner_->write_some(bytes, error);
    tell_call(channel_call::write_some, error, size);
    return size;
}

inline std::size_t observed_channel::take_into(splice_pipe& pipe, error_code& error) noexcept
{
    auto const size = inner_->take_into(pipe, error);
    tell_call(channel_call::take_into, error, size);
    return size;
}

inline std::size_t observed_channel::discard(std::size_t limit, error_code& error) noexcept
{
    auto const size = inner_->discard(limit, error);
    tell_call(channel_call::discard, error, size);
    return size;
}

inline void observed_channel::shutdown_send(error_code& error) noexcept
{
    inner_->shutdown_send(error);
    tell_call(channel_call::shutdown_send, error, 0);
}

inline void observed_channel::reset() noexcept
{
    inner_->reset();
    tell_call(channel_call::reset, {}, 0);
    end();
}

inline void observed_channel::close() noexcept
{
    inner_->close();
    tell_call(channel_call::close, {}, 0);
    end();
}

inline void observed_channel::cancel_read() noexcept
{
    tell_call(channel_call::cancel_read, {}, 0);
    inner_->cancel_read();
}

inline void observed_channel::cancel_gone() noexcept
{
    tell_call(channel_call::cancel_gone, {}, 0);
    inner_->cancel_gone();
}

/// The handler of a wait refers to this object, so the attempt has to be this object's, too. Otherwise a handler that
/// is destroyed in a failing attempt would look like the destruction of the context.
template <class Begin>
void observed_channel::begin(channel_wait what, Begin wait)
{
    if (!attempt(wait))
        throw std::bad_alloc{};
    if (observer_)
        observer_->on_wait_begun(what);
}

inline void observed_channel::read(boost::asio::mutable_buffer buffer)
{
    begin(channel_wait::read, [&] { inner_->read(buffer); });
    reading_ = channel_wait::read;
}

inline void observed_channel::wait_readable(wake how)
{
    begin(channel_wait::readable, [&] { inner_->wait_readable(how); });
    reading_ = channel_wait::readable;
}

inline void observed_channel::wait_writable()
{
    begin(channel_wait::writable, [&] { inner_->wait_writable(); });
}

inline void observed_channel::wait_gone()
{
    begin(channel_wait::gone, [&] { inner_->wait_gone(); });
}

inline void observed_channel::turn()
{
    begin(channel_wait::turn, [&] { inner_->turn(); });
}

// ---- Towards the connection ----------------------------------------------------------------------------------------

template <class Tell>
void observed_channel::pass_on(channel_wait what, error_code const& error, std::size_t size, Tell tell)
{
    owner_ref<channel_user> const keep{&connection_};
    if (observer_)
        observer_->on_wait_ended(what, error, size);
    tell(static_cast<channel_user&>(connection_));
    tell_state();
    tell_leave();
}

inline void observed_channel::on_read(error_code const& error, std::size_t size)
{
    pass_on(reading_, error, size, [&](channel_user& user) { user.on_read(error, size); });
}

inline void observed_channel::on_writable(error_code error)
{
    pass_on(channel_wait::writable, error, 0, [&](channel_user& user) { user.on_writable(error); });
}

inline void observed_channel::on_gone(error_code error)
{
    pass_on(channel_wait::gone, error, 0, [&](channel_user& user) { user.on_gone(error); });
}

inline void observed_channel::on_turn()
{
    pass_on(channel_wait::turn, {}, 0, [](channel_user& user) { user.on_turn(); });
}

inline void observed_channel::abandon() noexcept
{
    static_cast<channel_user&>(connection_).abandon();
}

inline void observed_channel::on_near(unsigned distance) noexcept
{
    if (distance == 2)
    {
        prefetch(this, sizeof *this);
        prefetch(observer_, 4 * 64);
    }
    else if (observer_)
        observer_->on_near();
    static_cast<channel_user&>(connection_).on_near(distance);
}

/// The last wait has ended.
inline void observed_channel::dispose() noexcept
{
    if (ended_)
        auto const last = std::move(keep_);  // may destroy this object
}

// ---- Towards the observer ------------------------------------------------------------------------------------------

inline void observed_channel::tell_call(channel_call what, error_code const& error, std::size_t size) noexcept
{
    if (observer_)
        observer_->on_call(what, error, size);
    tell_state();
}

inline void observed_channel::tell_state() noexcept
{
    if (connection_.life() == seen_)
        return;
    seen_ = connection_.life();
    if (observer_)
        observer_->on_state(seen_, connection_.error());
}

/// The channel is closed. The connection, which closes it, stays alive until the call has returned.
inline void observed_channel::end() noexcept
{
    ended_ = true;
    if (!referenced())
        dispose();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
