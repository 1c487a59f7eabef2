// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_RECEIVER_HPP
#define DUET_DETAIL_ENGINE_RECEIVER_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/engine/frame_buffer.hpp>
#include <duet/detail/engine/kept_error.hpp>
#include <duet/detail/time/turn_time.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

enum class read_kind : std::uint8_t
{
    nothing,  ///< an empty buffer
    some,     ///< at least one byte
    wait,     ///< reads nothing: waits until a read would not block
    message,  ///< as wait, and what arrives is the beginning of a message
    input,    ///< as wait, but a read may still block: for a caller that tries it at once anyway
    exact,    ///< the whole buffer
    several,  ///< one whole buffer after the other
    frame,    ///< until a frame_buffer has a whole frame
};

/// True if such a read goes on until it has all of its bytes.
constexpr bool reads_whole(read_kind kind) noexcept
{
    return kind >= read_kind::exact;
}

/// True if such a read leaves the bytes where they are.
constexpr bool waits_only(read_kind kind) noexcept
{
    return kind >= read_kind::wait && kind <= read_kind::input;
}

/// The buffers of a read into several, none of which is empty.
class read_buffers
{
public:
    template <class Sequence>
    explicit read_buffers(Sequence const& buffers)
    {
        auto const end = boost::asio::buffer_sequence_end(buffers);
        for (auto each = boost::asio::buffer_sequence_begin(buffers); each != end; ++each)
        {
            boost::asio::mutable_buffer const one{*each};
            if (one.size() > 0)
                list_.push_back(one);
        }
    }

    /// The next one; an empty buffer if all were taken.
    boost::asio::mutable_buffer take() noexcept
    {
        return taken_ < list_.size() ? list_[taken_++] : boost::asio::mutable_buffer{};
    }

private:
    std::vector<boost::asio::mutable_buffer> list_;
    std::size_t taken_ = 0;
};

/// Takes input where it is told of, so that a read_kind::input stays pending, by connection::take_pending().
class input_taker
{
public:
    /// See channel_user::on_input().
    virtual bool take_input(error_code& error, turn_time& time) noexcept = 0;

protected:
    ~input_taker() = default;
};

/// The pending read: what it is to read, how many bytes it has, why it has to end, and its handler. There is at most
/// one at a time.
class receiver
{
public:
    bool busy() const noexcept { return busy_; }

    bool waits_only() const noexcept { return busy_ && detail::waits_only(kind_); }

    read_kind kind() const noexcept { return kind_; }

    /// Storage for the handler of the read. Assign the handler before begin().
    any_completion& handler() noexcept { return done_; }

    void begin(read_kind kind, boost::asio::mutable_buffer buffer) noexcept
    {
        busy_ = true;
        kind_ = kind;
        buffer_ = buffer;
        size_ = 0;
        cause_.clear();
    }

    /// What a read_kind::input may have in the place of a buffer.
    static boost::asio::mutable_buffer in_place(input_taker& who) noexcept { return {&who, 0}; }

    /// Null: there is no such read, or nobody takes it in place.
    input_taker* taker() const noexcept
    {
        return busy_ && kind_ == read_kind::input ? static_cast<input_taker*>(buffer_.data()) : nullptr;
    }

    /// What a read into several buffers fills after its first one. Call this before begin().
    void continue_with(std::unique_ptr<read_buffers> rest) noexcept { further_ = std::move(rest); }

    /// What a read of a frame has in the place of a buffer, and fills; it must outlive the read.
    static boost::asio::mutable_buffer in_place(frame_buffer& frames) noexcept { return {&frames, 0}; }

    /// A read of a frame that completes at once fills this.
    void fill(frame_buffer& frames) noexcept { buffer_ = in_place(frames); }

    /// What the last read has filled, which was one of a frame.
    frame_buffer* frames() const noexcept { return static_cast<frame_buffer*>(buffer_.data()); }

    /// The part of the buffer that is still to be filled. Throws std::bad_alloc if a frame_buffer has no memory.
    boost::asio::mutable_buffer rest() const { return kind_ == read_kind::frame ? room() : buffer_; }

    void add(std::size_t size) noexcept
    {
        size_ += size;
        if (kind_ == read_kind::frame)
            frames()->add(size);
        else
            buffer_ += size;
    }

    /// Bytes received so far.
    std::size_t size() const noexcept { return size_; }

    /// True if enough bytes have arrived to complete the read.
    bool is_complete() noexcept { return !reads_whole(kind_) || has_whole(); }

    /// What is wrong with what a complete read has received.
    error_code verdict() const noexcept { return kind_ == read_kind::frame ? frames()->error() : error_code{}; }

    /// True if the peer's FIN comes now in the middle of what is read.
    bool in_the_middle() const noexcept { return size_ > 0 || (kind_ == read_kind::frame && !frames()->empty()); }

    /// Why the read has to end; no error if it may go on.
    error_code cause() const noexcept { return cause_; }

    /// Make the read end for this cause. The first cause stays. False: no read is pending, or it has a cause already.
    bool interrupt(error_code cause) noexcept
    {
        if (!busy_ || cause_)
            return false;
        cause_ = cause;
        return true;
    }

    /// The cause of interrupt() no longer holds.
    void go_on() noexcept { cause_.clear(); }

    /// From now on another read may begin, even from within the handler of this one, which is still to be called.
    void end() noexcept { busy_ = false; }

    /// Call the handler, which may begin another read or destroy this.
    void complete(error_code const& error) { done_(error, size_); }

    /// Its end is near: the handler and the buffer are in the caller's memory.
    void prefetch() const noexcept
    {
        detail::prefetch(buffer_.data(), 64);
        done_.prefetch();
    }

    // ---- Over all reads --------------------------------------------------------------------------------------------

    void count(std::size_t size) noexcept { received_ += size; }

    std::uint64_t received() const noexcept { return received_; }

    /// A part of a message has arrived that the program has not yet answered, as far as this side can tell: bytes were
    /// received since the last message_ended().
    bool in_message() const noexcept { return in_message_; }

    void message_begun() noexcept { in_message_ = true; }

    void message_ended() noexcept { in_message_ = false; }

    void request_finish() noexcept { finish_requested_ = true; }

    /// True if the owner has asked the session to end between two messages.
    bool finish_requested() const noexcept { return finish_requested_; }

private:
    // Not inlined, because most reads are of no frame.
    [[gnu::noinline]] boost::asio::mutable_buffer room() const { return frames()->room(); }

    [[gnu::noinline]] bool has_whole() noexcept
    {
        if (kind_ == read_kind::frame)
            return frames()->look();
        if (buffer_.size() == 0 && kind_ == read_kind::several && further_)
            begin_next();
        return buffer_.size() == 0;
    }

    void begin_next() noexcept
    {
        buffer_ = further_->take();
        if (buffer_.size() == 0)
            further_.reset();
    }

    any_completion done_;
    boost::asio::mutable_buffer buffer_;  // what is left of it
    std::unique_ptr<read_buffers> further_;
    std::size_t size_ = 0;
    std::uint64_t received_ = 0;
    [[no_unique_address]] kept_error cause_;
    read_kind kind_ = read_kind::some;
    bool busy_ = false;
    bool finish_requested_ = false;
    bool in_message_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
