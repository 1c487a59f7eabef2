// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_FRAME_BUFFER_HPP
#define DUET_DETAIL_ENGINE_FRAME_BUFFER_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <duet/error.hpp>
#include <duet/frame_layout.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Frames that are gathered to be written together. The memory stays for the next ones.
class gathered_frames
{
public:
    std::size_t size() const noexcept { return size_; }

    boost::asio::const_buffer data() const noexcept { return {bytes_.data(), size_}; }

    void clear() noexcept { size_ = 0; }

    /// Copy three parts behind what is there. Throws std::bad_alloc, and is then as before.
    void append(std::string_view head, std::string_view body, std::string_view tail)
    {
        auto* const at = room(head.size() + body.size() + tail.size());
        append_behind(std::copy(head.begin(), head.end(), at), body, tail);
    }

    /// As above. All of the few bytes are copied, also those that the next part overwrites: that is two stores.
    void append(frame_head const& head, std::string_view body, std::string_view tail)
    {
        auto* const at = room(frame_head::most + body.size() + tail.size());
        append_behind(head.copy_all(at), body, tail);
    }

    /// Give away the memory, which data() points to.
    std::vector<char> release() noexcept
    {
        size_ = 0;
        return std::exchange(bytes_, {});
    }

private:
    /// Where so many bytes can be copied to.
    char* room(std::size_t size)
    {
        if (bytes_.size() - size_ < size) [[unlikely]]
            grow(size);
        return bytes_.data() + size_;
    }

    [[gnu::cold, gnu::noinline]] void grow(std::size_t size)
    {
        bytes_.resize(std::max(size_ + size, bytes_.size() * 2));
    }

    void append_behind(char* at, std::string_view body, std::string_view tail) noexcept
    {
        at = std::copy(body.begin(), body.end(), at);
        at = std::copy(tail.begin(), tail.end(), at);
        size_ = static_cast<std::size_t>(at - bytes_.data());
    }

    std::vector<char> bytes_;  // all of it may be written to
    std::size_t size_ = 0;     // of what was gathered
};

/// A framing of any type. Where the type is known, codec_of does the same without a virtual call.
class frame_codec
{
public:
    virtual frame_layout layout(std::string_view bytes, std::size_t seen) const noexcept = 0;
    virtual void append(std::string_view body, gathered_frames& to) const = 0;
    /// Append what stands around a message. Returns the size of what comes behind it.
    virtual std::size_t append_around(std::string_view body, gathered_frames& to) const = 0;

protected:
    frame_codec() = default;
    frame_codec(frame_codec const&) = default;
    frame_codec& operator=(frame_codec const&) = default;
    ~frame_codec() = default;
};

template <framing Framing>
class codec_of final : public frame_codec
{
public:
    explicit codec_of(Framing framing) : framing_{std::move(framing)} {}

    frame_layout layout(std::string_view bytes, std::size_t seen) const noexcept override
    {
        return framing_.layout(bytes, seen);
    }

    bool accepts(std::string_view body) const { return framing_.accepts(body); }

    void append(std::string_view body, gathered_frames& to) const override
    {
        auto const head = framing_.head(body);
        std::string_view const tail{framing_.tail()};
        if constexpr (std::is_same_v<decltype(head), frame_head const>)
            to.append(head, body, tail);
        else
            to.append(std::string_view{head}, body, tail);
    }

    std::size_t append_around(std::string_view body, gathered_frames& to) const override
    {
        auto const head = framing_.head(body);
        std::string_view const tail{framing_.tail()};
        to.append(std::string_view{head}, {}, tail);
        return tail.size();
    }

    Framing const& get() const noexcept { return framing_; }

private:
    Framing framing_;
};

/// The bytes that were received and not yet given out, and the frame that they begin with.
class frame_buffer
{
public:
    frame_buffer(frame_codec const& codec, std::size_t limit) noexcept : codec_{codec}, limit_{limit} {}

    frame_buffer(frame_buffer const&) = delete;
    frame_buffer& operator=(frame_buffer const&) = delete;

    /// Look for the next frame. True: it is whole, or there can be none: see error().
    bool look() noexcept { return found_ || error_ || look(codec_); }

    /// As look(), with the codec as what it is, so that it can be inlined.
    template <class Codec>
    bool look(Codec const& codec) noexcept
    {
        if (found_ || error_)
            return true;
        if (seen_ == size_)
            return false;
        auto const frame = codec.layout(rest(), seen_);
        auto const total = frame.total();
        if (frame.malformed || total == 0)
            error_ = errc::malformed_frame;
        else if (total > limit_)
            error_ = errc::limit_exceeded;
        else if (total > size_)
        {
            seen_ = size_;
            wanted_ = total;
            return false;
        }
        else
        {
            // One by one: a copy of the whole reads what was just written in other sizes, for which processors wait.
            head_ = frame.head;
            body_ = frame.body;
            total_ = total;
            found_ = true;
        }
        return true;
    }

    error_code const& error() const noexcept { return error_; }

    /// What this error of a read is: the peer's FIN may come in the middle of a frame.
    error_code error_of_end(error_code error) const noexcept
    {
        return error == boost::asio::error::eof && size_ > 0 ? error_code{errc::truncated} : error;
    }

    /// What look() has found will be taken: by a handler that is not called at once. Until then no other may take it.
    void promise() noexcept { promised_ = true; }

    bool promised() const noexcept { return promised_; }

    /// True if a frame was found that nobody else is to have, and that may be taken without a turn for others: not too
    /// many were taken since begin_row().
    bool at_hand() const noexcept { return found_ && !promised_ && in_a_row_ < most_in_a_row; }

    /// An operation is begun, which lets others have their turn now and then.
    void begin_row() noexcept { in_a_row_ = 0; }

    /// Give out the frame that look() has found. The view is valid until room() is called.
    std::string_view take() noexcept
    {
        std::string_view const body{bytes_.get() + begin_ + head_, body_};
        begin_ += total_;
        size_ -= total_;
        seen_ = wanted_ = 0;
        found_ = promised_ = false;
        given_ = true;
        over_ = last_;
        ++in_a_row_;
        return body;
    }

    /// True if a frame was given out since the last call.
    bool given() noexcept { return std::exchange(given_, false); }

    /// What was received and not given out.
    std::string_view rest() const noexcept { return {bytes_.get() + begin_, size_}; }

    bool empty() const noexcept { return size_ == 0; }

    /// Room for more bytes. The buffer doubles when it was full, however much a prefix announces, and never exceeds the
    /// limit, or 4 KiB if that is more. Throws std::bad_alloc.
    boost::asio::mutable_buffer room()
    {
        if (size_ == capacity_ || (filled_ && capacity_ < std::min(most(), read_ahead)))
            grow();
        else if (size_ == 0)
            begin_ = 0;
        else if (begin_ > 0 && std::max(wanted_, size_ + 1) > capacity_ - begin_)
        {
            std::memmove(bytes_.get(), bytes_.get() + begin_, size_);
            begin_ = 0;
        }
        auto const used = begin_ + size_;
        return {bytes_.get() + used, capacity_ - used};
    }

    /// So many bytes have arrived in the room.
    void add(std::size_t size) noexcept
    {
        size_ += size;
        filled_ = begin_ + size_ == capacity_;
    }

    /// A read begins. False: there is to be none, because the session had been asked to finish before the one that has
    /// brought the last frame. One that has brought none, because it was cancelled or late, may be tried again.
    bool may_read(bool finish_requested) noexcept
    {
        last_ = finish_requested;
        return !over_;
    }

private:
    static constexpr std::size_t smallest = 4 * 1024;
    static constexpr std::size_t read_ahead = 64 * 1024;
    static constexpr unsigned most_in_a_row = 64;

    std::size_t most() const noexcept { return std::max(limit_, smallest); }

    void grow()
    {
        auto const larger = std::min(std::max(capacity_ * 2, smallest), most());
        auto taken = std::unique_ptr<char[]>{new char[larger]};
        if (size_ > 0)
            std::memcpy(taken.get(), bytes_.get() + begin_, size_);
        bytes_ = std::move(taken);
        capacity_ = larger;
        begin_ = 0;
    }

    frame_codec const& codec_;
    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;   // of what was not given out
    std::size_t size_ = 0;    // of that
    std::size_t seen_ = 0;    // of that, by the framing
    std::size_t wanted_ = 0;  // the least size of the frame
    std::size_t limit_;
    std::size_t head_ = 0;   // of the frame that was found
    std::size_t body_ = 0;   // of that one, too
    std::size_t total_ = 0;  // of that one, too
    error_code error_;
    unsigned in_a_row_ = 0;  // frames that were taken since an operation has begun
    bool found_ = false;
    bool promised_ = false;
    bool given_ = false;
    bool last_ = false;    // the session had been asked to finish when the last read began
    bool over_ = false;    // that one has brought a frame
    bool filled_ = false;  // the last read took all the room there was
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
