// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_INITIATION_HPP
#define DUET_DETAIL_ENGINE_INITIATION_HPP

#include <boost/asio/buffer.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/write_request.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// How operations begin. An operation that can complete at once does so before its handler is wrapped and stored, which
// is most of the cost of a small write. Only operations that have to wait pay that cost.

/// The first buffer of a sequence whose size is not 0; an empty buffer if there is none.
template <class Buffer, class Sequence>
Buffer first_nonempty(Sequence const& buffers)
{
    auto each = boost::asio::buffer_sequence_begin(buffers);
    auto const end = boost::asio::buffer_sequence_end(buffers);
    while (each != end && Buffer{*each}.size() == 0)
        ++each;
    return each == end ? Buffer{} : Buffer{*each};
}

// The frame of a coroutine has two copies of each operation that it awaits, as long as it lives: so there is one class
// for each set of arguments.

/// A read without a buffer: it waits until another one need not wait. As all reads, it completes at once if it is
/// refused or need not wait; otherwise its handler is stored in the connection.
class waiting_to_read
{
public:
    explicit waiting_to_read(read_kind how) noexcept : kind_{how} {}

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return 0; }

    waiting_to_read wait_for_input() const noexcept { return with(read_kind::wait, limit_); }

    static waiting_to_read with(read_kind how, deadlines::duration limit) noexcept
    {
        waiting_to_read result{how};
        result.limit_ = limit;
        return result;
    }

    std::optional<io_result> at_once(connection& target) const { return target.read_at_once(kind_, {}); }

    any_completion& place(connection& target) const noexcept { return target.reader(); }

    void wait(connection& target) const { target.start_read(kind_, {}, limit_, nullptr); }

private:
    read_kind kind_;
    deadlines::duration limit_{};
};

/// A read into one buffer.
class reading
{
public:
    reading(read_kind how, boost::asio::mutable_buffer buffer) noexcept : kind_{how}, buffer_{buffer} {}

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return buffer_.size(); }

    waiting_to_read wait_for_input() const noexcept { return waiting_to_read::with(read_kind::wait, limit_); }

    std::optional<io_result> at_once(connection& target) const { return target.read_at_once(kind_, buffer_); }

    any_completion& place(connection& target) const noexcept { return target.reader(); }

    void wait(connection& target) const { target.start_read(kind_, buffer_, limit_, nullptr); }

private:
    read_kind kind_;
    boost::asio::mutable_buffer buffer_;
    deadlines::duration limit_{};
};

/// A read of what is available, with deadlines of its own instead of the session's read deadline. `by` must outlive it.
class reading_by
{
public:
    reading_by(boost::asio::mutable_buffer buffer, read_deadlines const& by) noexcept : buffer_{buffer}, by_{&by} {}

    std::size_t wanted() const noexcept { return buffer_.size(); }

    std::optional<io_result> at_once(connection& target) const { return target.read_at_once(read_kind::some, buffer_); }

    any_completion& place(connection& target) const noexcept { return target.reader(); }

    void wait(connection& target) const { target.start_read(read_kind::some, buffer_, {}, by_); }

private:
    boost::asio::mutable_buffer buffer_;
    read_deadlines const* by_;
};

/// A read into a sequence of buffers. One that reads what is available fills the first, as async_read_some() does.
template <class Buffers>
class reading_several
{
public:
    reading_several(read_kind how, Buffers const& buffers) : buffers_{buffers}, kind_{how} {}

    /// A copy is a new read that has not begun.
    reading_several(reading_several const& other) : buffers_{other.buffers_}, limit_{other.limit_}, kind_{other.kind_}
    {
    }

    reading_several(reading_several&&) noexcept(std::is_nothrow_move_constructible_v<Buffers>) = default;

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const { return boost::asio::buffer_size(buffers_); }

    waiting_to_read wait_for_input() const noexcept { return waiting_to_read::with(read_kind::wait, limit_); }

    std::optional<io_result> at_once(connection& target)
    {
        auto const first = first_nonempty<boost::asio::mutable_buffer>(buffers_);
        auto result = target.read_at_once(kind_, first);
        if (result || !reads_whole(kind_))
            return result;
        try
        {
            list_ = std::make_unique<read_buffers>(buffers_);
            return result;
        }
        catch (std::bad_alloc const&)
        {
            return io_result{boost::asio::error::no_memory, 0};
        }
    }

    any_completion& place(connection& target) const noexcept { return target.reader(); }

    void wait(connection& target)
    {
        if (list_)
            target.start_read_into(std::move(list_), limit_);
        else
            target.start_read(kind_, first_nonempty<boost::asio::mutable_buffer>(buffers_), limit_, nullptr);
    }

private:
    Buffers buffers_;
    std::unique_ptr<read_buffers> list_;
    deadlines::duration limit_{};
    read_kind kind_;
};

/// A read into what the program has: one buffer, or a sequence of them.
template <class Buffers>
auto reading_into(read_kind how, Buffers const& buffers)
{
    if constexpr (std::is_convertible_v<Buffers const&, boost::asio::mutable_buffer>)
        return reading{how, boost::asio::mutable_buffer{buffers}};
    else if constexpr (boost::asio::is_mutable_buffer_sequence<Buffers>::value)
        return reading_several<Buffers>{how, buffers};
    else
    {
        static_assert(boost::asio::is_mutable_buffer_sequence<Buffers>::value,
            "duet: a read takes a buffer that it may fill, asio::buffer(variable), or a sequence of such buffers");
        return reading{how, boost::asio::mutable_buffer{}};
    }
}

/// A write. It is tried at once; the bytes that the kernel does not accept are queued.
template <class Buffers>
class writing
{
    static constexpr bool is_single = std::is_convertible_v<Buffers const&, boost::asio::const_buffer>;

public:
    writing(Buffers const& buffers, bool whole) : buffers_{buffers}, whole_{whole} {}

    /// A copy is a new write that has not begun.
    writing(writing const& other) : writing{other.buffers_, other.whole_} { limit_ = other.limit_; }

    writing(writing&&) noexcept(std::is_nothrow_move_constructible_v<Buffers>) = default;

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const { return boost::asio::buffer_size(buffers_); }

    /// Unless it is refused, at_once() writes to the channel.
    bool writes_now(connection const& target) const noexcept { return !target.has_writes(); }

    std::optional<io_result> at_once(connection& target)
    {
        if constexpr (is_single)
            request_.emplace(boost::asio::const_buffer{buffers_}, whole_);
        else
        {
            try
            {
                list_.assign(boost::asio::buffer_sequence_begin(buffers_), boost::asio::buffer_sequence_end(buffers_));
            }
            catch (std::bad_alloc const&)
            {
                return io_result{boost::asio::error::no_memory, 0};
            }
            request_.emplace(list_, whole_);
        }
        return target.write_at_once(*request_);
    }

    void wait(connection& target, any_completion&& done)
    {
        target.start_write(std::move(*request_), std::move(done), limit_);
    }

private:
    struct none
    {
    };

    Buffers buffers_;
    [[no_unique_address]] std::conditional_t<is_single, none, std::vector<boost::asio::const_buffer>> list_;
    std::optional<write_request> request_;
    deadlines::duration limit_{};
    bool whole_;
};

/// A write of the bytes in a pipe.
class writing_piped
{
public:
    explicit writing_piped(piped_bytes const& bytes) noexcept : request_{bytes}, wanted_{bytes.size} {}

    std::size_t wanted() const noexcept { return wanted_; }

    std::optional<io_result> at_once(connection& target) { return target.write_at_once(request_); }

    void wait(connection& target, any_completion&& done)
    {
        target.start_write(std::move(request_), std::move(done), {});
    }

private:
    write_request request_;
    std::size_t wanted_;
};

/// close(). Often there is nothing to wait for.
class closing
{
public:
    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::optional<io_result> at_once(connection& target) const { return target.close_at_once(); }

    void wait(connection& target, any_completion&& done) const { target.start_close(std::move(done), limit_); }

private:
    deadlines::duration limit_{};
};

/// Any other operation, started by one member function of the connection.
class calling
{
public:
    using function = void (connection::*)(any_completion&&, deadlines::duration);

    explicit calling(function start) noexcept : start_{start} {}

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::optional<io_result> at_once(connection&) const noexcept { return {}; }

    void wait(connection& target, any_completion&& done) const { (target.*start_)(std::move(done), limit_); }

private:
    function start_;
    deadlines::duration limit_{};
};

/// An observer of the connection is told of an operation that begins now. Returns its name from now on. `goes_on`: if
/// it completes at once, its result is told before the program goes on.
template <class Start>
[[gnu::cold, gnu::noinline]] char const* tell_operation(
    connection& target, Start const& start, char const* name, bool goes_on)
{
    if constexpr (requires { start.wanted(); })
        name = target.tell_operation(name, start.wanted());
    else
        name = target.tell_operation(name, 0);
    if constexpr (requires { start.writes_now(target); })
        if (goes_on && start.writes_now(target))
            return name;
    target.tell_leave();
    return name;
}

/// Begin an operation: it has to wait, or its result is `known` but its handler must not be called directly. The
/// handler is stored as Stored{handler, arguments...}. Only what most reads need is inlined.
template <class Stored, bool IsCoroutine, class Start, class Handler, class... Arguments>
[[gnu::noinline]] void begin_elsewhere(connection& target, Start& start, std::optional<io_result> const& known,
    Handler&& handler, Arguments const&... arguments)
{
    any_completion done;
    done.emplace<Stored>(target.executor(), IsCoroutine, std::forward<Handler>(handler), arguments...);
    if (known)
        target.complete(std::move(done), known->error, known->size);
    else if constexpr (!requires { start.place(target); })
        start.wait(target, std::move(done));
}

template <class Stored, bool IsCoroutine, class Start, class Handler, class... Arguments>
[[gnu::always_inline]] inline void begin(connection& target, Start& start, std::optional<io_result> const& known,
    Handler&& handler, Arguments const&... arguments)
{
    if constexpr (requires { start.place(target); })
        if (!known)
        {
            start.place(target).template emplace<Stored>(
                target.executor(), IsCoroutine, std::forward<Handler>(handler), arguments...);
            return start.wait(target);
        }
    begin_elsewhere<Stored, IsCoroutine>(target, start, known, std::forward<Handler>(handler), arguments...);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
