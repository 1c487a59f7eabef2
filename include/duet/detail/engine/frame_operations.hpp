// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_FRAME_OPERATIONS_HPP
#define DUET_DETAIL_ENGINE_FRAME_OPERATIONS_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <array>
#include <cstddef>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

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
    explicit frame_output(frame_codec const& codec) noexcept : codec_{codec} {}

    frame_output(frame_output const&) = delete;
    frame_output& operator=(frame_output const&) = delete;

    /// The program calls next() before it waits, which writes what was put; unless one waits already.
    template <class Codec>
    void put(Codec const& codec, connection& target, std::string_view body)
    {
        codec.append(body, bytes_);
        if (bytes_.size() >= most || target.reading())
            flush(target);
    }

    /// Write what was put. What the channel does not accept waits in the session's queue.
    void flush(connection& target) noexcept
    {
        if (bytes_.size() == 0)
            return;
        write_request request{bytes_.data(), true};
        if (auto const result = target.write_at_once(request))
        {
            bytes_.clear();
            if (result->error && !error_)
                error_ = result->error;
            return;
        }
        keep_in(request, true);
        target.start_write(std::move(request), any_completion{nobody_waits{}, target.executor(), false}, {});
    }

    /// Why what was put could not be written.
    error_code const& error() const noexcept { return error_; }

private:
    friend class writing_frame;

    static constexpr std::size_t most = 64 * 1024;

    struct nobody_waits
    {
        void operator()(error_code const&, std::size_t) const noexcept {}
    };

    /// `lost_unseen`: the request has frames of put(), for which nobody waits.
    void keep_in(write_request& request, bool lost_unseen) noexcept { request.keep(bytes_.release(), lost_unseen); }

    frame_codec const& codec_;
    gathered_frames bytes_;
    error_code error_;
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

/// A read of a frame. It completes at once, without a system call, if one is there. If frames were put that the peer
/// does not take, it waits until it has: that holds back a program whose peer does not read.
class reading_frame
{
public:
    reading_frame(frame_buffer& from, frame_output* output) noexcept : input_{&from}, output_{output} {}

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return 0; }

    /// True if a frame is there that nobody else is to have.
    bool need_not_begin(connection const& target) const noexcept
    {
        return input_->at_hand() && !target.reading() && !(output_ && target.writes_unseen());
    }

    frame_or_end::type result_now(connection& target) const noexcept
    {
        target.first_message_received();
        return input_->take();
    }

    std::optional<io_result> at_once(connection& target)
    {
        input_->begin_row();
        if (target.reading() || input_->promised())
            return io_result{errc::read_in_progress, 0};
        auto const result = begin(target);
        if (result && !result->error)
            input_->promise();
        return result;
    }

    void wait(connection& target, any_completion&& done)
    {
        if (output_ && target.writes_unseen())
            return wait_for_writes(target, std::move(done));
        target.reader() = std::move(done);
        target.start_read(read_kind::frame, receiver::in_place(*input_), limit_, nullptr);
    }

private:
    struct writes_done;

    void wait_for_writes(connection& target, any_completion&& done);

    std::optional<io_result> begin(connection& target)
    {
        if (output_ && target.writes_unseen())
            return {};
        target.set_frames(*input_);
        if (input_->look())
            return io_result{input_->error(), 0};
        if (output_)
        {
            output_->flush(target);
            if (output_->error())
                return io_result{output_->error(), 0};
            if (target.writes_unseen())
                return {};
        }
        return read(target);
    }

    std::optional<io_result> read(connection& target)
    {
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

    frame_buffer* input_;
    frame_output* output_;
    deadlines::duration limit_{};
};

/// The writes before it have completed: go on to read.
struct reading_frame::writes_done
{
    using cancellation_slot_type = boost::asio::cancellation_slot;

    cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }

    void operator()(error_code error, std::size_t)
    {
        auto const result = error ? io_result{error, 0} : read.at_once(*target);
        if (result)
            return done(result->error, result->size);
        if (read.output_ && target->writes_unseen())
            return read.wait_for_writes(*target, std::move(done));
        target->reader() = std::move(done);
        target->start_read(read_kind::frame, receiver::in_place(*read.input_), {}, &by);
    }

    connection::ref target;
    any_completion done;
    boost::asio::cancellation_slot slot;
    reading_frame read;
    read_deadlines by;
};

inline void reading_frame::wait_for_writes(connection& target, any_completion&& done)
{
    auto const slot = done.slot();
    writes_done next{connection::ref{&target}, std::move(done), slot, *this, target.deadlines_of_read(limit_)};
    any_completion stored;
    try
    {
        stored.assign(std::move(next), target.executor(), false);
    }
    catch (std::bad_alloc const&)
    {
        return target.complete(std::move(next.done), boost::asio::error::no_memory, 0);
    }
    // With no bytes it completes behind the writes before it.
    target.start_write(write_request{boost::asio::const_buffer{}, true}, std::move(stored), limit_);
}

/// A write of a frame and of all that were put before it, in one call of the system.
class writing_frame
{
public:
    /// `body`: nothing to write only what was put.
    writing_frame(frame_output& to, std::optional<std::string_view> body) noexcept : output_{&to}, body_{body} {}

    /// A copy is a new write that has not begun.
    writing_frame(writing_frame const& other) noexcept
        : output_{other.output_}, body_{other.body_}, limit_{other.limit_}
    {
    }

    void within(deadlines::duration limit) noexcept { limit_ = limit; }

    std::size_t wanted() const noexcept { return body_ ? body_->size() : output_->bytes_.size(); }

    std::optional<io_result> at_once(connection& target)
    {
        auto& bytes = output_->bytes_;
        if (output_->error())
            return io_result{output_->error(), 0};
        before_ = bytes.size();
        if (!body_ && before_ == 0 && !target.has_writes())
            return io_result{};
        try
        {
            gather();
        }
        catch (std::bad_alloc const&)
        {
            return io_result{boost::asio::error::no_memory, 0};
        }
        auto const result = target.write_at_once(*request_);
        if (result)
            bytes.clear();
        return result;
    }

    void wait(connection& target, any_completion&& done)
    {
        output_->keep_in(*request_, before_ > 0);
        target.start_write(std::move(*request_), std::move(done), limit_);
    }

private:
    // A larger one is written from where it is; a smaller one is cheaper to copy.
    static constexpr std::size_t largest_copied = 4 * 1024;

    void gather()
    {
        auto& bytes = output_->bytes_;
        std::size_t behind = 0;
        if (body_ && body_->size() > largest_copied)
        {
            behind = output_->codec_.append_around(*body_, bytes);
            parts_[1] = boost::asio::buffer(*body_);
            parts_[2] = bytes.data() + (bytes.size() - behind);
        }
        else if (body_)
            output_->codec_.append(*body_, bytes);
        parts_[0] = boost::asio::buffer(bytes.data(), bytes.size() - behind);
        // With no bytes at all it completes behind the writes before it.
        request_.emplace(std::span<boost::asio::const_buffer const>{parts_}, true);
    }

    frame_output* output_;
    std::optional<std::string_view> body_;
    std::array<boost::asio::const_buffer, 3> parts_;  // what comes before a large one, itself, its tail
    std::optional<write_request> request_;
    std::size_t before_ = 0;  // bytes that were put before
    deadlines::duration limit_{};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
