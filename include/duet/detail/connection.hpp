// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECTION_HPP
#define DUET_DETAIL_CONNECTION_HPP

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <duet/close_report.hpp>
#include <duet/detail/any_completion.hpp>
#include <duet/detail/beginning.hpp>
#include <duet/detail/coarse_clock.hpp>
#include <duet/detail/connection_ref.hpp>
#include <duet/detail/operation_memory.hpp>
#include <duet/detail/splice_pipe.hpp>
#include <duet/detail/transport.hpp>
#include <duet/detail/write_request.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The inside of a session: the stream, the state of both directions, the operations under way and the deadlines.
///
/// It lives as long as a session object or an operation refers to it, and is touched on one executor only; so its count
/// of references needs no atomics. The rules of what follows what are in `lifecycle`; here they are carried out.
///
/// A function here completes at most one handler directly, as its last act: a handler may start operations, destroy
/// the session, or both. Handlers beyond the first are posted.
///
/// Where there is no memory to go on, the session ends: it is reset, and what is under way completes with no_memory.
template <class Stream>
class connection final : private transport<Stream>::watched
{
public:
    using transport_type = transport<Stream>;
    using traits = stream_traits<Stream>;
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename traits::endpoint_type;
    using time_point = coarse_clock::time_point;
    using ref = connection_ref<connection>;

    enum class read_kind : std::uint8_t
    {
        nothing,  ///< into no room at all
        some,     ///< at least one byte
        exact,    ///< the whole buffer
        wait,     ///< no byte at all: until a read would not wait
    };

    connection(transport_type&& carrier, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options);
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;

    // Operations: see session.hpp for what each promises. `done` is called exactly once.
    /// The end of a read that need not wait.
    std::optional<ending> read_at_once(read_kind kind, boost::asio::mutable_buffer buffer) noexcept;

    /// Where the handler of the read waits; put there before start_read().
    any_completion& reader() noexcept { return read_done_; }

    void start_read(read_kind kind, boost::asio::mutable_buffer buffer, time_point by);

    /// Write what can be written now. Nothing: the rest has to wait.
    std::optional<ending> write_at_once(write_request& request) noexcept;

    /// Move what is there now into a pipe, instead of reading it. 0: a read tells why.
    std::size_t splice_at_once(splice_pipe& pipe) noexcept;

    void start_write(write_request&& request, any_completion&& done);
    void start_shutdown_send(any_completion&& done);

    /// Begin to close, unless that is under way. Nothing: it has to wait.
    std::optional<ending> close_at_once();

    void start_close(any_completion&& done);
    void start_delivered(any_completion&& done);
    void start_wait_peer_gone(any_completion&& done);

    /// `done` is told when the session is to end because no byte has come or gone for too long (idle_timed_out,
    /// half_closed_timed_out), which it does not yet; or any other error at the end. It is called within the timer's.
    void start_when_quiet(any_completion&& done);

    /// When the last byte came or went; what the peer takes out of the kernel's buffer counts.
    time_point last_activity() noexcept;

    /// Count a byte of another connection as one of this, and end it if it is quiet for too long even so.
    void join_activity(time_point other);

    /// Complete a handler from within its initiating function.
    void complete(any_completion&& done, error_code error, std::size_t size);

    void abort() noexcept;
    void cancel_all() noexcept;
    void request_finish() noexcept;
    void first_message_received() noexcept;
    void set_deadlines(deadlines const& values) noexcept;
    close_report report() const noexcept;

    /// A socket in the reactor leaves it: what is done with the stream is Asio's.
    Stream& stream() noexcept;

    transport_type& carrier() noexcept { return transport_; }

    decltype(auto) get_executor() noexcept { return transport_.get_executor(); }

    /// Use the reactor of the context, if it has one and that suits. Before the first operation.
    error_code begin() noexcept;

    lifecycle const& life() const noexcept { return life_; }

    error_code error() const noexcept { return error_; }

    endpoint_type const& local() const noexcept { return local_; }

    endpoint_type const& remote() const noexcept { return remote_; }

    deadlines const& limits() const noexcept { return limits_; }

    std::uint64_t bytes_received() const noexcept { return received_; }

    std::uint64_t bytes_sent() const noexcept { return sent_; }

    bool finish_requested() const noexcept { return finish_requested_; }

    /// The execution context is being destroyed, and with it those who wait here: what their handlers own (a coroutine
    /// owns its session) may be all that keeps this connection alive.
    [[gnu::cold]] void abandon() noexcept;

    std::string describe_peer() const { return traits::describe(remote_); }

    time_point read_deadline() const noexcept
    {
        return limits_.read > limits_.read.zero() ? coarse_clock::after(std::chrono::steady_clock::now(), limits_.read)
                                                  : time_point::max();
    }

    std::shared_ptr<remote_control<connection>> control();

    // A session object came or went. The last to go drops the connection.
    void add_handle() noexcept
    {
        if (handles_++ > 0)
            return;
        // A session that does nothing may be idle for too long, too. Its first read will not want to be earlier.
        if (auto const first = earliest(); first != time_point::max())
            arm(std::min(first, read_deadline()));
    }

    void remove_handle() noexcept
    {
        if (--handles_ == 0)
            drop();
    }

private:
    friend ref;

    enum class awaited : std::uint8_t
    {
        fin,        ///< all written, and FIN said
        delivery,   ///< all acknowledged
        close,      ///< the end
        peer_gone,  ///< one at a time
        quiet,      ///< no byte for too long
    };

    struct waiter
    {
        awaited what;
        std::uint64_t id;
        any_completion done;
    };

    ~connection();

    /// Out of line: where two references go in one function, g++ 12 warns of a use after free that is none.
    [[gnu::noinline]] static void dispose(connection* target) noexcept { delete target; }

    // In the reactor (impl/connection_direct.hpp)
    void on_events(std::uint32_t events) override;
    void on_turn() override;
    void on_shutdown() noexcept override;
    void take_turn() noexcept;
    [[gnu::cold]] void look_for_hang_up() noexcept;
    void settle() noexcept;
    [[gnu::cold]] void leave_reactor() noexcept;
    bool goes_on_with_events() const noexcept;
    std::optional<ending> try_read(read_kind kind, boost::asio::mutable_buffer buffer) noexcept;
    void read_directly();

    struct settles;

    // Reading (impl/connection_read.hpp)
    error_code refuse_read(read_kind kind, boost::asio::mutable_buffer buffer) const noexcept;
    error_code end_of_input(error_code error) noexcept;
    // Out of line, so that try_read() is small enough to be in line.
    [[gnu::noinline]] error_code end_of_input_at_once(error_code error) noexcept;
    void cancel_stream() noexcept;
    void issue_read();
    void on_read(error_code error, std::size_t size);
    void finish_read(error_code error);
    [[gnu::cold]] void interrupt_read(error_code cause) noexcept;
    error_code fail_receive(error_code error) noexcept;
    error_code fail_send(error_code error) noexcept;

    // Writing (impl/connection_write.hpp)
    error_code refuse_write() const noexcept;
    [[gnu::always_inline]] error_code push(write_request& request);
    void wait_writable();
    void issue_wait_writable();
    void on_writable(error_code error);
    void pump_writes();
    void end_write(write_queue::iterator request, error_code cause);
    [[gnu::cold]] void fail_writes(error_code cause);
    void writes_flushed();

    // Cancellation of one operation, by the slot of its handler
    void cancel_read(boost::asio::cancellation_type_t type) noexcept;
    void cancel_write(std::uint64_t id, boost::asio::cancellation_type_t type) noexcept;
    void cancel_waiter(std::uint64_t id) noexcept;
    void cancel_wait_peer_gone() noexcept;

    // Ending (impl/connection_close.hpp)
    void execute(lifecycle_action actions);
    void begin_close();
    void latch(error_code error) noexcept;
    void release(bool reset);
    void drop() noexcept;
    void discard_input();
    void on_discardable(error_code error);
    void check_delivery();
    void issue_wait_peer_gone();
    void on_hang_up(error_code error);
    bool wait_for(awaited what, any_completion& done) noexcept;
    bool is_awaited(awaited what) const noexcept;
    any_completion take_waiter(awaited what) noexcept;

    template <class Meant>
    any_completion take_waiter(Meant meant) noexcept;

    void complete_all(awaited what, error_code error);

    // Time (impl/connection_time.hpp)
    void note_activity() noexcept;
    void entered_half_closed() noexcept;
    [[gnu::noinline]] void after_peer_finished() noexcept;
    void arm(time_point when) noexcept;
    void issue_wait() noexcept;
    time_point earliest() const noexcept;
    void on_timer();
    void check_session_deadlines(time_point now);
    void check_close_deadlines(time_point now);
    bool is_draining(time_point now) noexcept;
    void expire(errc code);
    void look_again_soon() noexcept;

    void post(any_completion&& done, error_code error, std::size_t size);

    // Memory that may run out
    [[gnu::cold]] void out_of_memory() noexcept;

    template <class Begin>
    bool attempt(Begin begin) noexcept;

    struct posted_completion;

    template <class Function>
    auto bind(Function function);

    template <class Function, class Memory>
    auto bind(Function function, Memory& memory);

    transport_type transport_;
    lifecycle life_;
    bool reading_ = false;
    bool writing_ = false;     // a wait for writability is under way
    bool discarding_ = false;  // a wait for input to discard is under way
    bool timing_ = false;      // a wait of the timer's is under way
    bool finish_requested_ = false;
    bool first_message_met_ = false;
    bool attempting_ = false;
    bool fin_refused_ = false;  // the connection was gone before
    bool peer_just_finished_ = false;
    bool turn_ = false;            // a turn of the reactor's is to come
    bool hang_up_due_ = false;     // ... to look for the end of the peer
    bool gone_cancelled_ = false;  // the wait for that end
    read_kind read_kind_ = read_kind::some;
    int handles_ = 0;
    int references_ = 0;
    error_code error_;  // the first terminal error

    boost::asio::mutable_buffer read_buffer_;
    std::size_t read_size_ = 0;
    error_code read_cause_;  // why the pending read is to end
    any_completion read_done_;

    write_queue writes_;

    std::uint64_t received_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t discarded_ = 0;
    std::uint64_t unacknowledged_ = 0;
    std::uint64_t last_id_ = 0;

    deadlines limits_;
    std::size_t discard_limit_;
    time_point last_activity_;
    time_point half_closed_since_ = time_point::max();
    time_point first_message_by_ = time_point::max();
    time_point read_by_ = time_point::max();
    time_point write_by_ = time_point::max();
    time_point close_since_ = time_point::max();
    time_point looked_at_ = time_point::min();  // when unacknowledged_ was asked for
    time_point poll_at_ = time_point::max();
    coarse_clock::duration poll_delay_{};
    time_point timer_at_ = time_point::max();
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        executor_type>
        timer_;
    operation_memory<143> timer_memory_;

    std::forward_list<waiter> waiters_;  // few, and rare

    std::shared_ptr<remote_control<connection>> control_;
    endpoint_type local_;
    endpoint_type remote_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#include <duet/impl/connection.hpp>
#include <duet/impl/connection_close.hpp>
#include <duet/impl/connection_direct.hpp>
#include <duet/impl/connection_read.hpp>
#include <duet/impl/connection_time.hpp>
#include <duet/impl/connection_write.hpp>

#endif
