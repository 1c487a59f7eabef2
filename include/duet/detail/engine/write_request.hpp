// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_WRITE_REQUEST_HPP
#define DUET_DETAIL_ENGINE_WRITE_REQUEST_HPP

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/engine/slim_list.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/detail/time/coarse_clock.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The remaining part of one write operation. The caller owns the bytes. The caller also owns the list of buffers,
/// until `own()` copies it.
class write_request
{
public:
    using const_buffer = boost::asio::const_buffer;

    write_request(const_buffer one, bool whole) noexcept : front_{one}, whole_{whole} {}

    write_request(std::span<const_buffer const> buffers, bool whole) noexcept : rest_{buffers}, whole_{whole}
    {
        if (!rest_.empty())
        {
            front_ = rest_.front();
            rest_ = rest_.subspan(1);
            consume(0);
        }
    }

    write_request(write_request&&) noexcept = default;
    write_request& operator=(write_request&&) noexcept = default;

    // Inlined, because nearly every one is written at once and has nothing to free.
    [[gnu::always_inline]] ~write_request() = default;

    /// Copy the list of buffers, because the caller's list ends when the initiating function returns.
    void own()
    {
        owned_.assign(rest_.begin(), rest_.end());
        rest_ = owned_;
    }

    /// Own bytes that the buffers refer to. `lost_unseen`: they are of messages whose writers have gone on, so nobody
    /// would be told if this request were dropped. The session's queue takes it in any case, and a cut poisons.
    void keep(std::vector<char>&& bytes, bool lost_unseen) noexcept
    {
        bytes_ = std::move(bytes);
        lost_unseen_ = lost_unseen;
    }

    bool lost_unseen() const noexcept { return lost_unseen_; }

    /// A write of the bytes in a pipe.
    explicit write_request(piped_bytes const& bytes) noexcept
        : front_{nullptr, bytes.size}, pipe_{bytes.pipe}, whole_{true}
    {
    }

    bool finished() const noexcept { return front_.size() == 0 || (!whole_ && sent_ > 0); }

    /// True if some bytes were sent and some were not. If the write ended here, the peer could not tell where the next
    /// message begins.
    bool part_way() const noexcept { return !finished() && sent_ > 0; }

    std::size_t sent() const noexcept { return sent_; }

    /// Bytes that are still to be sent.
    std::size_t left() const noexcept
    {
        auto result = front_.size();
        for (auto const& buffer : rest_)
            result += buffer.size();
        return result;
    }

    /// Pass the remaining bytes to `write`: as one buffer, as a sequence of buffers, or in a pipe. `write` returns how
    /// many bytes were accepted.
    template <class Write>
    [[gnu::always_inline]] std::size_t push_to(Write&& write) const
    {
        if (pipe_)
            return write(piped_bytes{pipe_, front_.size()});
        if (rest_.empty())
            return write(front_);
        const_buffer batch[16];
        std::size_t count = 0;
        batch[count++] = front_;
        for (auto const& buffer : rest_.first(std::min(rest_.size(), std::size(batch) - 1)))
            batch[count++] = buffer;
        return write(std::span<const_buffer const>{batch, count});
    }

    void consume(std::size_t size) noexcept
    {
        sent_ += size;
        if (pipe_)
            front_ = {nullptr, front_.size() - size};
        else
            advance(size);
    }

    any_completion done;
    std::uint64_t id = 0;
    coarse_clock::time_point by = coarse_clock::time_point::max();  // what within() gives it

private:
    void advance(std::size_t size) noexcept
    {
        while (!rest_.empty() && size >= front_.size())
        {
            size -= front_.size();
            front_ = rest_.front();
            rest_ = rest_.subspan(1);
        }
        front_ += size;
    }

    const_buffer front_;           // for a pipe only the size is used
    splice_pipe* pipe_ = nullptr;  // if not null, the source in place of all buffers
    std::span<const_buffer const> rest_;
    std::vector<const_buffer> owned_;
    std::vector<char> bytes_;
    std::size_t sent_ = 0;
    bool whole_;
    bool lost_unseen_ = false;
};

using write_queue = slim_list<write_request>;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
