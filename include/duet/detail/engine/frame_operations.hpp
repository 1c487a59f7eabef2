// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_FRAME_OPERATIONS_HPP
#define DUET_DETAIL_ENGINE_FRAME_OPERATIONS_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <array>
#include <cstddef>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/frame_buffer.hpp>
#include <duet/detail/engine/write_request.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// How frames are read and written: operations that begin as those of initiation.hpp do.

/// Frames that were put and not yet written.
class frame_output
{
public:
    frame_output(frame_codec const& codec, frame_buffer& input) noexcept : codec_{codec}, input_{input} {}

    frame_output(frame_output const&) = delete;
    frame_output& operator=(frame_output const&) = delete;

    bool empty() const noexcept { return bytes_.empty(); }

    /// True if a frame may wait for others: the program has still a whole one to read, so it will ask for it before it
    /// waits.
    bool may_gather(connection const& target) const noexcept
    {
        return bytes_.size() < most && !target.has_writes() && input_.look() && !input_.error();
    }

    /// Write what was put. What the channel does not accept waits in the session's queue.
    void flush(connection& target) noexcept
    {
        if (bytes_.empty())
            return;
        write_request request{boost::asio::buffer(bytes_), true};
        if (target.write_at_once(request))
            return bytes_.clear();  // all of it, or nothing can be written any more
        keep_in(request, true);
        target.start_write(std::move(request), any_completion{nobody_waits{}, target.executor(), false}, {});
    }

    frame_codec const& codec() const noexcept { return codec_; }

private:
    friend class writing_frame;

    static constexpr std::size_t most = 64 * 1024;

    struct nobody_waits
    {
        void operator()(error_code const&, std::size_t) const noexcept {}
    };

    /// `lost_unseen`: the request has frames whose put() has completed.
    void keep_in(write_request& request, bool lost_unseen) noexcept
    {
        request.keep(std::move(bytes_), lost_unseen);
        bytes_.clear();
    }

    frame_codec const& codec_;
    frame_buffer& input_;
    std::vector<char> bytes_;
};

/// A frame, or the end in its place.
struct frame_or_end
{
    using type = std::optional<std::string_view>;

    static bool is_value(error_code error) noexcept
    {
        return error == boost::asio::error::eof || error == errc::draining;
    }

    static type result(connection& target, error_code error, std::size_t) noexcept
    {
        if (error)
            return {};
        target.first_message_received();
        return target.frames()->take();
    }
};

/// A read of a frame. It completes at once, without a system call, if one is there.
class reading_frame
{
public:
    reading_frame(frame_buffer& from, frame_output* output) noexcept : input_{&from}, output_{output} {}

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return 0; }

    std::optional<io_result> at_once(connection& target)
    {
        if (target.reading())
            return io_result{errc::read_in_progress, 0};
        target.set_frames(*input_);
        if (input_->look())
            return io_result{input_->error(), 0};
        if (output_)
            output_->flush(target);
        if (input_->given())
            target.message_received();
        if (!input_->empty())
            target.message_begun();
        if (!input_->may_read(target.finish_requested()))
            return io_result{errc::draining, 0};
        try
        {
            auto const result = target.read_at_once(read_kind::some, input_->room());
            if (!result)
                return result;
            if (result->error)
                return io_result{input_->error_of_end(result->error), 0};
            input_->add(result->size);
            return input_->look() ? std::optional{io_result{input_->error(), result->size}} : std::nullopt;
        }
        catch (std::bad_alloc const&)
        {
            return io_result{boost::asio::error::no_memory, 0};
        }
    }

    any_completion& place(connection& target) const noexcept { return target.reader(); }

    void wait(connection& target) { target.start_read(read_kind::frame, {}, limit_, nullptr); }

private:
    frame_buffer* input_;
    frame_output* output_;
    deadlines::duration limit_{};
};

/// A write of a frame and of all that were put before it, in one call of the system.
class writing_frame
{
public:
    enum class when
    {
        now,
        with_others,  ///< it may wait for frames that follow
        flush,        ///< no frame: only what was put before
    };

    writing_frame(frame_output& to, std::string_view body, when how) noexcept : output_{&to}, body_{body}, when_{how} {}

    /// A copy is a new write that has not begun.
    writing_frame(writing_frame const& other) noexcept
        : output_{other.output_}, body_{other.body_}, limit_{other.limit_}, when_{other.when_}
    {
    }

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return body_.size(); }

    std::optional<io_result> at_once(connection& target)
    {
        try
        {
            return write(target);
        }
        catch (std::bad_alloc const&)
        {
            output_->bytes_.resize(before_);
            return io_result{boost::asio::error::no_memory, 0};
        }
    }

    void wait(connection& target, any_completion&& done)
    {
        output_->keep_in(*request_, before_ > 0);
        target.start_write(std::move(*request_), std::move(done), limit_);
    }

private:
    // A larger one is written from where it is; a smaller one is cheaper to copy.
    static constexpr std::size_t largest_copied = 4 * 1024;

    std::optional<io_result> write(connection& target)
    {
        auto& bytes = output_->bytes_;
        before_ = bytes.size();
        if (when_ == when::flush)
        {
            if (before_ == 0 && !target.has_writes())
                return io_result{};
            request_.emplace(boost::asio::buffer(bytes), true);  // an empty one completes behind those before it
        }
        else
            append(bytes);
        if (when_ == when::with_others && parts_[1].size() == 0 && output_->may_gather(target))
            return io_result{};
        if (!request_)
        {
            parts_[0] = boost::asio::buffer(bytes);
            request_.emplace(std::span<boost::asio::const_buffer const>{parts_}, true);
        }
        auto const result = target.write_at_once(*request_);
        if (result)
            bytes.clear();
        return result;
    }

    void append(std::vector<char>& bytes)
    {
        auto const& codec = output_->codec();
        codec.append_head(body_, bytes);
        auto const tail = codec.tail();
        if (body_.size() > largest_copied)
        {
            parts_[1] = boost::asio::buffer(body_);
            parts_[2] = boost::asio::buffer(tail);
            return;
        }
        bytes.insert(bytes.end(), body_.begin(), body_.end());
        bytes.insert(bytes.end(), tail.begin(), tail.end());
    }

    frame_output* output_;
    std::string_view body_;
    std::array<boost::asio::const_buffer, 3> parts_;  // of a large one: what comes before it, itself, its tail
    std::optional<write_request> request_;
    std::size_t before_ = 0;  // bytes that were put before
    deadlines::duration limit_{};
    when when_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
