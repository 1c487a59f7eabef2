// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_RECEIVER_HPP
#define DUET_DETAIL_ENGINE_RECEIVER_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

enum class read_kind : std::uint8_t
{
    nothing,  ///< into no room at all
    some,     ///< at least one byte
    exact,    ///< the whole buffer
    wait,     ///< no byte at all: until a read would not wait
};

/// The read under way: what it is to read, how far it has come, why it is to end, and who waits for it. There is one
/// at a time.
class receiver
{
public:
    bool busy() const noexcept { return busy_; }

    bool waits_only() const noexcept { return busy_ && kind_ == read_kind::wait; }

    /// Where the handler of the read waits; put there before begin().
    any_completion& handler() noexcept { return done_; }

    void begin(read_kind kind, boost::asio::mutable_buffer buffer) noexcept
    {
        busy_ = true;
        kind_ = kind;
        buffer_ = buffer;
        size_ = 0;
        cause_.clear();
    }

    /// What is left to fill.
    boost::asio::mutable_buffer rest() const noexcept { return buffer_ + size_; }

    void add(std::size_t size) noexcept { size_ += size; }

    /// Bytes so far.
    std::size_t size() const noexcept { return size_; }

    /// What has come suffices.
    bool is_complete() const noexcept { return kind_ != read_kind::exact || size_ == buffer_.size(); }

    /// Why the read is to end, if it is.
    error_code const& cause() const noexcept { return cause_; }

    /// End the read for this cause: the first one stays. False: there is none, or it is to end already.
    bool interrupt(error_code cause) noexcept
    {
        if (!busy_ || cause_)
            return false;
        cause_ = cause;
        return true;
    }

    /// Another read may begin, also from within the handler, which is still to be called.
    void end() noexcept { busy_ = false; }

    /// Call the handler, which may begin another read or destroy this.
    void complete(error_code const& error) { done_(error, size_); }

    // ---- Over all reads --------------------------------------------------------------------------------------------

    void count(std::size_t size) noexcept { received_ += size; }

    std::uint64_t received() const noexcept { return received_; }

    void request_finish() noexcept { finish_requested_ = true; }

    /// The owner wants the session to end between two messages.
    bool finish_requested() const noexcept { return finish_requested_; }

private:
    any_completion done_;
    boost::asio::mutable_buffer buffer_;
    std::size_t size_ = 0;
    error_code cause_;
    std::uint64_t received_ = 0;
    read_kind kind_ = read_kind::some;
    bool busy_ = false;
    bool finish_requested_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
