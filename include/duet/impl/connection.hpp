// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_HPP
#define DUET_IMPL_CONNECTION_HPP

// Making and sharing a connection, and how its handlers are called.

#include <boost/asio/post.hpp>

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Stream>
connection<Stream>::connection(
    transport_type&& carrier, endpoint_type const& local, endpoint_type const& remote, session_options const& options)
    : transport_{std::move(carrier)}, limits_{options.deadlines}, discard_limit_{options.close_discard_limit},
      last_activity_{std::chrono::steady_clock::now()}, timer_{transport_.get_executor()}, local_{local}, remote_{
                                                                                                              remote}
{
    first_message_by_ = coarse_clock::after(last_activity_, limits_.first_message);
}

template <class Stream>
connection<Stream>::~connection()
{
    if (control_)
        control_->target = nullptr;
}

template <class Stream>
std::shared_ptr<remote_control<connection<Stream>>> connection<Stream>::control()
{
    if (!control_)
        control_ =
            std::make_shared<remote_control<connection>>(remote_control<connection>{transport_.get_executor(), this});
    return control_;
}

template <class Stream>
template <class Function>
auto connection<Stream>::bind(Function function)
{
    return stream_handler<connection, Function>{ref{this}, function};
}

template <class Stream>
template <class Function, class Memory>
auto connection<Stream>::bind(Function function, Memory& memory)
{
    return placed_handler<connection, Function, Memory>{ref{this}, function, memory};
}

template <class Stream>
void connection<Stream>::abandon() noexcept
{
    if (attempting_)
        return;  // no memory for an operation: whoever attempts it ends the connection in good order
    ref const keep{this};
    // A plain close would say FIN, which hides that these are missing.
    if (!writes_.empty() && contains(life_.apply(lifecycle_event::write_cut), lifecycle_action::reset))
        transport_.reset(*this);
    // Destroyed one by one at the end, when none is a member any more: each may destroy sessions, this one too.
    auto const read = std::move(read_done_);
    auto const writes = std::exchange(writes_, {});
    auto const waiters = std::exchange(waiters_, {});
}

/// Complete a handler from within its initiating function.
template <class Stream>
void connection<Stream>::complete(any_completion&& done, error_code error, std::size_t size)
{
    if (!done.inline_allowed())
        return post(std::move(done), error, size);
    ref const keep{this};
    inline_level const level;
    done(error, size);
}

/// Whether an operation of the stream's, the timer's or the executor's could begin. What it throws says that there is
/// no memory for it, and its handler was not called.
template <class Stream>
template <class Begin>
bool connection<Stream>::attempt(Begin begin) noexcept
{
    bool begun = false;
    attempting_ = true;
    try
    {
        begin();
        begun = true;
    }
    catch (std::exception const&)
    {
        // Said by the result.
    }
    attempting_ = false;
    return begun;
}

/// Without its next operation or timer a connection may hang for good, so it ends here.
template <class Stream>
void connection<Stream>::out_of_memory() noexcept
{
    latch(boost::asio::error::no_memory);
    abort();
}

/// A handler on its way through the executor's queue. When there is no memory for the way, it goes back to where it
/// came from.
template <class Stream>
struct connection<Stream>::posted_completion
{
    posted_completion(ref target, any_completion& from, error_code e, std::size_t s) noexcept
        : self{std::move(target)}, done{std::move(from)}, origin{&from}, error{e}, size{s}
    {
    }

    posted_completion(posted_completion&&) noexcept = default;

    ~posted_completion()
    {
        if (self && self->attempting_)
            *origin = std::move(done);
    }

    void operator()() { done(error, size); }

    ref self;
    any_completion done;
    any_completion* origin;
    error_code error;
    std::size_t size;
};

/// Complete a handler behind what is already queued. No handler is lost: without memory to queue it, it is called here
/// and now.
template <class Stream>
void connection<Stream>::post(any_completion&& done, error_code error, std::size_t size)
{
    ref const keep{this};
    if (attempt([&] { boost::asio::post(transport_.get_executor(), posted_completion{keep, done, error, size}); }))
        return;
    auto refused = std::move(done);
    inline_level const level;
    refused(error, size);
}

template <class Stream>
bool connection<Stream>::is_awaited(awaited what) const noexcept
{
    return std::any_of(waiters_.begin(), waiters_.end(), [what](waiter const& each) { return each.what == what; });
}

/// Take out the first who waits and is meant, if there is one.
template <class Stream>
template <class Meant>
any_completion connection<Stream>::take_waiter(Meant meant) noexcept
{
    auto before = waiters_.before_begin();
    for (auto each = waiters_.begin(); each != waiters_.end(); before = each++)
    {
        if (!meant(*each))
            continue;
        auto done = std::move(each->done);
        waiters_.erase_after(before);
        return done;
    }
    return {};
}

template <class Stream>
any_completion connection<Stream>::take_waiter(awaited what) noexcept
{
    return take_waiter([what](waiter const& each) { return each.what == what; });
}

template <class Stream>
void connection<Stream>::complete_all(awaited what, error_code error)
{
    if (waiters_.empty())
        return;
    // Those who wait now: where there is no memory to post, one who is told may wait again at once.
    std::forward_list<waiter> others;
    auto meant = std::exchange(waiters_, {});
    auto last = others.before_begin();
    for (auto before = meant.before_begin(); std::next(before) != meant.end();)
    {
        if (std::next(before)->what == what)
            ++before;
        else
        {
            others.splice_after(last, meant, before);
            ++last;
        }
    }
    waiters_ = std::move(others);
    for (auto& each : meant)
        post(std::move(each.done), error, 0);
}

/// Park a handler until complete_all(), or until it is cancelled. False: no memory; the session has ended, and the
/// handler is still the caller's.
template <class Stream>
bool connection<Stream>::wait_for(awaited what, any_completion& done) noexcept
{
    auto last = waiters_.before_begin();
    while (std::next(last) != waiters_.end())
        ++last;
    auto const park = [&]
    {
        done.on_cancel([this, id = ++last_id_](auto) { cancel_waiter(id); });
        last = waiters_.emplace_after(last);
    };
    if (!attempt(park))
    {
        out_of_memory();
        return false;
    }
    *last = {what, last_id_, std::move(done)};
    return true;
}

template <class Stream>
void connection<Stream>::latch(error_code error) noexcept
{
    if (!error_)
        error_ = error;
}

/// End every pending operation with operation_aborted; the connection stays as it is.
template <class Stream>
void connection<Stream>::cancel_all() noexcept
{
    ref const keep{this};
    boost::system::error_code const cause = boost::asio::error::operation_aborted;
    bool const writing = !writes_.empty();
    bool const poisons = writing && (writes_.front().part_way() || life_.send() == send_state::finishing);
    interrupt_read(cause);
    fail_writes(cause);
    complete_all(awaited::fin, cause);
    complete_all(awaited::close, cause);
    complete_all(awaited::delivery, cause);
    cancel_wait_peer_gone();
    if (poisons)
        execute(life_.apply(lifecycle_event::write_cut));
}

template <class Stream>
void connection<Stream>::cancel_waiter(std::uint64_t id) noexcept
{
    auto const is_meant = [id](waiter const& each) { return each.id == id; };
    auto const waiting = std::find_if(waiters_.begin(), waiters_.end(), is_meant);
    if (waiting == waiters_.end())
        return;
    if (waiting->what == awaited::peer_gone)
        return cancel_wait_peer_gone();
    post(take_waiter(is_meant), boost::asio::error::operation_aborted, 0);
}

/// Ask the session to finish at its next idle point: see session::wait_readable().
template <class Stream>
void connection<Stream>::request_finish() noexcept
{
    finish_requested_ = true;
    if (reading_ && read_kind_ == read_kind::wait)
        interrupt_read(errc::draining);
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
