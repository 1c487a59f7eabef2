// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_HPP
#define DUET_DETAIL_ENGINE_CONNECTION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <duet/close_report.hpp>
#include <duet/detail/channel/channel.hpp>
#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/completion/plain_context.hpp>
#include <duet/detail/engine/closer.hpp>
#include <duet/detail/engine/deadline_table.hpp>
#include <duet/detail/engine/end_history.hpp>
#include <duet/detail/engine/io_result.hpp>
#include <duet/detail/engine/kept_error.hpp>
#include <duet/detail/engine/observed_channel.hpp>
#include <duet/detail/engine/peer_watch.hpp>
#include <duet/detail/engine/receiver.hpp>
#include <duet/detail/engine/remote_control.hpp>
#include <duet/detail/engine/sender.hpp>
#include <duet/detail/engine/session_remarks.hpp>
#include <duet/detail/engine/session_terms.hpp>
#include <duet/detail/engine/waiters.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/wakeup.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The implementation of a session, independent of what carries its bytes. It connects its parts (the pending read, the
/// queue of writes, the deadlines, the waiting handlers) to a channel, and carries out the decisions of the lifecycle.
/// Each of its many members is one of those parts, or connects them.
///
/// It lives as long as a session object or an operation refers to it. It is used on one executor only.
///
/// Each function calls at most one completion handler directly, as its last action, because a handler may start
/// operations, destroy the session, or both. Further handlers are posted.
///
/// If memory runs out, the session ends: the connection is reset, and pending operations complete with no_memory.
class connection : public channel_user
{
public:
    using time_point = coarse_clock::time_point;
    using ref = owner_ref<connection>;

    // ---- Operations: see session.hpp for what each promises. `done` is called exactly once. ------------------------

    /// Try a read without waiting. Returns its result; nullopt: it has to wait.
    DUET_DECL std::optional<io_result> read_at_once(read_kind kind, boost::asio::mutable_buffer buffer) noexcept;

    /// As read_at_once(), once a read_kind::input has ended. Only if the connection is able_to_take().
    DUET_DECL std::optional<io_result> take_at_once(boost::asio::mutable_buffer buffer) noexcept;

    // See channel.hpp.
    bool able_to_take() const noexcept { return channel_->able().takes; }
    bool may_read() const noexcept { return channel_->may_read(); }
    bool input_ends() const noexcept { return channel_->input_ends(); }
    void fin_follows(bool does) noexcept { channel_->set_fin_follows(does); }

    /// Storage for the handler of the pending read. Assign the handler before start_read().
    any_completion& reader() noexcept { return receiver_.handler(); }

    bool reading() const noexcept { return receiver_.busy(); }

    /// What a read of a frame fills that may complete at once, and what the last one has filled.
    void set_frames(frame_buffer& frames) noexcept { receiver_.fill(frames); }
    frame_buffer* frames() const noexcept { return receiver_.frames(); }

    /// `by`: deadlines that were counted from an earlier time; null: count the session's deadline and `limit` from now.
    DUET_DECL void start_read(
        read_kind kind, boost::asio::mutable_buffer buffer, deadlines::duration limit, read_deadlines const* by);

    /// For input_taker::take_input(): read what has arrived. 0: see its error.
    DUET_DECL std::size_t take_pending(boost::asio::mutable_buffer into, error_code& error, turn_time& time) noexcept;

    /// Write at once what another connection has taken. False: some of `bytes` is left, for write_at_once().
    DUET_DECL bool pass_on(boost::asio::const_buffer& bytes, turn_time& time) noexcept;

    /// Start a read that fills one buffer after the other. There is at least one.
    DUET_DECL void start_read_into(std::unique_ptr<read_buffers> buffers, deadlines::duration limit);

    /// Write what the channel accepts now. Nullopt: the rest has to wait.
    DUET_DECL std::optional<io_result> write_at_once(write_request& request) noexcept;

    DUET_DECL void start_write(write_request&& request, any_completion&& done, deadlines::duration limit);

    /// Move the bytes that are available now into a pipe instead of reading them. 0: an ordinary read reports why.
    DUET_DECL std::size_t splice_at_once(splice_pipe& pipe) noexcept;

    DUET_DECL void start_shutdown_send(any_completion&& done, deadlines::duration limit);

    /// Begin to close, unless a close is already under way. Nullopt: the end has to be waited for.
    DUET_DECL std::optional<io_result> close_at_once();

    /// Wait for the end of the close that close_at_once() began.
    DUET_DECL void start_close(any_completion&& done, deadlines::duration limit);

    DUET_DECL void start_delivered(any_completion&& done, deadlines::duration limit);
    DUET_DECL void start_wait_peer_gone(any_completion&& done, deadlines::duration limit);
    DUET_DECL void start_wait_finish_requested(any_completion&& done, deadlines::duration limit);

    /// `done` is called with idle_timed_out or half_closed_timed_out when no byte has been transferred for too long;
    /// the session then does not end by itself. Any other error means that the session has ended. `done` is called from
    /// within the timer's handler.
    DUET_DECL void start_when_quiet(any_completion&& done);

    /// Complete an operation from within its initiating function.
    DUET_DECL void complete(any_completion&& done, error_code error, std::size_t size);

    // ---- What takes effect at once. --------------------------------------------------------------------------------

    DUET_DECL void abort() noexcept;
    DUET_DECL void cancel_all() noexcept;

    /// Ask the session to finish between two messages: a read that waits with nothing begun is told so after `grace`.
    DUET_DECL void request_finish(deadlines::duration grace) noexcept;

    /// Bytes of the next message are in the program's buffer already.
    DUET_DECL void message_begun() noexcept;

    /// A whole message has arrived.
    DUET_DECL void message_received() noexcept;

    /// What has arrived so far is no part of a message: a header in front of the first one.
    DUET_DECL void header_received() noexcept;

    /// The first whole message has arrived; there may be more in the same request.
    void first_message_received() noexcept { times_.first_message_received(); }

    DUET_DECL void set_deadlines(deadlines const& values) noexcept;

    /// The socket has connected without these options: TCP_NODELAY, set before the second write if `no_delay`, and the
    /// keepalive, set when an operation has waited for a quarter of dead_peer. Many connections end before either.
    DUET_DECL void set_options_late(bool no_delay) noexcept;

    /// Set them now, unless that has been done: the program may look at the socket, or keep it without an operation.
    DUET_DECL void set_late_options() noexcept;

    /// What is to be told of it at its end.
    session_remarks& remarks() noexcept { return remarks_; }

    /// The time of the last byte that was received, sent or acknowledged by the peer.
    DUET_DECL time_point last_activity() noexcept;

    /// Count the last activity of another connection, at time `other`, as activity of this one. Then expire this
    /// connection if it has been quiet for too long even so.
    DUET_DECL void join_activity(time_point other);

    /// Report to `observer` what happens to this connection from now on; null ends that. The end of an operation or a
    /// wait that is already pending may not be reported. Throws std::bad_alloc. Call it on the connection's executor,
    /// and not after its end.
    DUET_DECL void observe(std::shared_ptr<connection_observer> observer);

    /// An observer is, or was, attached: tell it of each operation and its result.
    bool observed() const noexcept { return observed_ != nullptr; }

    [[gnu::cold]] DUET_DECL char const* tell_operation(char const* name, std::size_t size) noexcept;
    [[gnu::cold]] DUET_DECL char const* tell_result(
        char const* name, error_code const& error, std::size_t size) noexcept;
    [[gnu::cold]] DUET_DECL void tell_leave() noexcept;

    // ---- State. ----------------------------------------------------------------------------------------------------

    lifecycle const& life() const noexcept { return life_; }

    /// The first terminal error.
    error_code error() const noexcept { return error_; }
    deadlines const& limits() const noexcept { return times_.limits(); }

    std::uint64_t bytes_received() const noexcept { return receiver_.received(); }
    std::uint64_t bytes_sent() const noexcept { return sender_.sent(); }
    std::uint64_t bytes_queued() const noexcept { return sender_.queued(); }
    /// Writes wait for the channel.
    bool has_writes() const noexcept { return !sender_.empty(); }
    /// Some of them have messages for which nobody waits: see write_request::keep().
    bool writes_unseen() const noexcept { return sender_.loses_unseen(); }
    bool finish_requested() const noexcept { return receiver_.finish_requested(); }

    /// Nothing has ended, is under way or has arrived: see session_state.hpp.
    DUET_DECL bool reusable() noexcept;

    /// A part of a message has arrived that was not answered yet.
    bool in_message() const noexcept { return receiver_.in_message(); }

    DUET_DECL close_report report() const noexcept;
    duet::post_mortem post_mortem() const noexcept { return history_.tell(report()); }
    tcp_snapshot info(error_code& error) noexcept { return channel_->info(error); }

    boost::asio::any_io_executor const& executor() const noexcept { return terms_->executor; }

    /// See plain_context_of().
    boost::asio::io_context* plain_context() const noexcept { return terms_->plain; }

    /// The deadlines for a read that begins now and that within() gives `limit`.
    read_deadlines deadlines_of_read(deadlines::duration limit) const noexcept
    {
        return {deadline_of(times_.limits().read), deadline_of(limit)};
    }
    virtual std::string describe_peer() const = 0;
    virtual std::string describe_local() const = 0;

    /// It was made by a connector.
    bool is_client() const noexcept { return client_; }
    void set_client() noexcept { client_ = true; }

    /// May be called from any thread. Throws std::bad_alloc.
    DUET_DECL owner_ref<remote_control> control();

    // Count the session objects that refer to the connection. When the last one goes, the connection is dropped.
    DUET_DECL void add_handle() noexcept;
    void remove_handle() noexcept
    {
        if (--handles_ == 0)
            drop();
    }
    bool has_handles() const noexcept { return handles_ != 0; }

protected:
    DUET_DECL connection(boost::asio::any_io_executor const& executor, session_options const& options);
    DUET_DECL ~connection();

    /// No session object is left, or the channel has given its socket away.
    DUET_DECL void drop() noexcept;

    /// Set the channel. Call this before the first operation.
    void use(channel& first) noexcept { channel_ = &first; }

    /// Start the pending operations again on another channel. The previous channel must have forgotten them already.
    DUET_DECL void change_channel(channel& next) noexcept;

    [[gnu::cold]] DUET_DECL void out_of_memory() noexcept;

    /// The channel has been closed or reset.
    virtual void on_released() noexcept = 0;

private:
    context_clock const& clock() const noexcept { return terms_->clock; }

    /// `limit` from now; zero: never.
    time_point deadline_of(deadlines::duration limit) const noexcept
    {
        return limit > limit.zero() ? coarse_clock::after(clock().now(), limit) : time_point::max();
    }

    struct leave_read;

    // Callbacks of the channel
    void on_read(error_code const& error, std::size_t size) override;
    bool on_input(error_code& error, turn_time& time) noexcept override;
    void on_writable(error_code error) override;
    void on_gone(error_code error) override;
    void on_turn() override;
    void on_near(unsigned distance) noexcept override;
    [[gnu::cold]] void abandon() noexcept override;

    // Reading (connection_read.ipp)
    void count_received(std::size_t size) noexcept;
    void end_message() noexcept;
    bool must_finish() const noexcept;
    [[gnu::cold]] void finish_soon() noexcept;
    [[gnu::cold]] void go_on_reading();
    error_code refuse_read(read_kind kind, boost::asio::mutable_buffer buffer) const noexcept;
    std::optional<io_result> try_read(boost::asio::mutable_buffer buffer) noexcept;
    std::optional<io_result> has_read(std::size_t size, error_code const& error) noexcept;
    error_code end_of_input(error_code error) noexcept;
    [[gnu::cold]] error_code end_of_input_at_once(error_code error) noexcept;
    void issue_read();
    void finish_read(error_code const& error);
    void has_begun_to_read() noexcept;
    [[gnu::cold]] void interrupt_read(error_code cause) noexcept;
    void cancel_read(boost::asio::cancellation_type_t type) noexcept;
    error_code fail_receive(error_code error) noexcept;
    error_code fail_send(error_code error) noexcept;
    [[gnu::cold]] void after_peer_finished() noexcept;

    // Writing (connection_write.ipp)
    error_code refuse_write() const noexcept;
    void answered() noexcept;
    [[gnu::always_inline]] error_code push(write_request& request);
    void wait_writable(bool anew);
    void issue_wait_writable();
    void pump_writes();
    void cancel_write(std::uint64_t id, boost::asio::cancellation_type_t type) noexcept;
    void end_write(write_queue::iterator request, error_code cause);
    [[gnu::cold]] error_code refuse_full(full_queue how) noexcept;
    [[gnu::cold]] void fail_writes(error_code cause);
    void writes_flushed();

    // Ending (connection_close.ipp)
    void execute(lifecycle_action actions);
    void begin_close();
    end_phase phase() const noexcept;
    void latch(error_code error) noexcept;
    [[gnu::cold]] void fail(direction where, error_code met, error_code lasting) noexcept;
    void ends_here(char const* operation) noexcept;
    void release(bool reset);
    [[gnu::cold]] void leave_to_kernel();
    [[gnu::cold]] bool tell_failure_later(error_code const& error) noexcept;
    void discard_input();
    void on_discardable(error_code error);
    void check_delivery();
    error_code failure_of_channel() noexcept;
    void look_for_delivery();
    void issue_wait_gone();
    void look_for_hang_up();

    // Deadlines (connection_time.ipp)
    pending_operations pending() const noexcept;
    void note_activity() noexcept;
    void note_activity(turn_time& time) noexcept;
    [[gnu::cold]] void count_read_deadlines(turn_time& time) noexcept;
    [[gnu::cold]] void end_passing_on(error_code const& error) noexcept;
    void note_activity_if_awaited() noexcept;
    bool notes_activity() const noexcept;
    void wait_begins() noexcept;
    void wait_has_begun() noexcept;
    void rest() noexcept;
    bool look_for_progress(time_point now) noexcept;
    void see_to_watch() noexcept;
    [[gnu::cold]] void watch_peer() noexcept;
    void set_late_keepalive() noexcept;
    [[gnu::cold]] void look_at_peer(time_point now);
    [[gnu::cold]] void check_reading_deadlines(time_point now);
    void check_close_deadlines(time_point now);
    void entered_half_closed() noexcept;
    void arm(time_point when) noexcept;
    void arm_all() noexcept;
    DUET_DECL void on_wakeup() override;
    void poll();
    void look_again_soon() noexcept;
    void check_session_deadlines(time_point now);
    void expire(error_code code);

    // Waiting handlers (connection.ipp)
    bool wait_for(awaited what, any_completion& done, deadlines::duration limit = {}) noexcept;
    [[gnu::cold]] void end_late_calls(time_point now);
    void complete_all(awaited what, error_code error);
    void cancel_waiter(std::uint64_t id, error_code cause) noexcept;
    void cancel_wait_gone(error_code cause) noexcept;
    void post(any_completion&& done, error_code error, std::size_t size);

    // Small members stand where those before them leave room.
    bool client_ = false;
    bool keepalive_is_late_ = false;  // see set_options_late()
    shared_terms terms_;
    channel* channel_ = nullptr;
    [[no_unique_address]] kept_error error_;  // the first terminal error
    int handles_ = 0;
    receiver receiver_;
    [[no_unique_address]] sender sender_;
    bool peer_just_finished_ = false;  // its FIN was read, and the handler of that read is still to run
    bool failure_due_ = false;         // a write has failed: try it again at the next turn, after the pending read
    bool failure_deferred_ = false;    // that has been done once
    [[no_unique_address]] closer closer_;
    lifecycle life_;
    [[no_unique_address]] end_history history_;
    bool set_for_reads_ = false;  // a wake-up that is set is in time for all that may be due while a read waits
    bool hang_up_due_ = false;    // look for the hang-up at the next turn
    deadline_table times_;
    peer_watch peer_watch_;
    wakeup wakeup_;
    waiters waiters_;
    std::atomic<remote_control*> control_{nullptr};  // made by the first call of control()
    std::unique_ptr<observed_channel> observed_;     // set once an observer was attached
    session_remarks remarks_;
    std::uint64_t last_id_ = 0;  // the last id given to a write or a waiting handler
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/engine/connection.ipp>
#include <duet/detail/engine/connection_close.ipp>
#include <duet/detail/engine/connection_input.ipp>
#include <duet/detail/engine/connection_read.ipp>
#include <duet/detail/engine/connection_time.ipp>
#include <duet/detail/engine/connection_write.ipp>
#include <duet/detail/engine/observed_channel.ipp>
#endif

#endif
