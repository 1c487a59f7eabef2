// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_SPLICE_PIPE_HPP
#define DUET_DETAIL_SOCKET_SPLICE_PIPE_HPP

#include <boost/asio/execution_context.hpp>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A pipe for moving bytes from one socket to another by splice(2), without copying them to the program. Linux only.
class splice_pipe
{
public:
    splice_pipe() noexcept = default;

    splice_pipe(splice_pipe&& other) noexcept
        : out_{std::exchange(other.out_, -1)}, in_{std::exchange(other.in_, -1)}, held_{std::exchange(other.held_, 0)},
          refused_{other.refused_}
    {
    }

    splice_pipe& operator=(splice_pipe&&) = delete;
    DUET_DECL ~splice_pipe();

    /// Create the pipe. False: the system has no pipe left, none of this size, or no splice(2).
    DUET_DECL bool open() noexcept;

    /// Move the bytes that a non-blocking socket has now into the pipe, which must be empty. 0 without an error may
    /// mean the peer's FIN; a read has to find out. would_block: there is no byte, or an urgent byte is next, where
    /// splice(2) stops but a read goes on.
    DUET_DECL std::size_t take(int socket, error_code& error) noexcept;

    /// Move up to `size` bytes from the pipe to a non-blocking socket. Returns the number of bytes that the socket
    /// accepted.
    DUET_DECL std::size_t give(int socket, std::size_t size, error_code& error) noexcept;

    /// True if splice(2) does not work for this socket. Nothing was taken, and the connection is unchanged.
    bool refused() const noexcept { return refused_; }

    /// True if the pipe is open and empty, so that it can be used again.
    bool reusable() const noexcept { return out_ >= 0 && held_ == 0 && !refused_; }

private:
    /// Larger than a pipe's default size (64 KiB): this halves the number of calls and saves a tenth of the time.
    static constexpr int capacity = 256 * 1024;

    int out_ = -1;
    int in_ = -1;
    std::size_t held_ = 0;
    bool refused_ = false;
};

/// Keeps empty pipes of one execution context. A relay borrows a pipe only while it has bytes to move, so a relay that
/// waits for bytes holds no descriptors, and one that gets bytes need not open new ones.
class splice_pipes : public boost::asio::execution_context::service
{
public:
    using key_type = splice_pipes;
    inline static boost::asio::execution_context::id id;

    explicit splice_pipes(boost::asio::execution_context& context) : service{context} { kept_.reserve(most); }

    /// Borrow a pipe. If it is not open, the system has none left.
    DUET_DECL splice_pipe borrow() noexcept;
    DUET_DECL void give_back(splice_pipe&& pipe) noexcept;

private:
    static constexpr std::size_t most = 16;

    DUET_DECL void shutdown() noexcept override;

    std::mutex mutex_;  // several threads of the context may run relays
    std::vector<splice_pipe> kept_;
};

/// RAII: a borrowed pipe, given back by the destructor. If it is not open, there is none.
class borrowed_pipe
{
public:
    explicit borrowed_pipe(splice_pipes& from) noexcept : from_{&from}, pipe_{from.borrow()} {}

    borrowed_pipe(borrowed_pipe const&) = delete;
    borrowed_pipe& operator=(borrowed_pipe const&) = delete;

    ~borrowed_pipe() { from_->give_back(std::move(pipe_)); }

    splice_pipe& operator*() noexcept { return pipe_; }

    splice_pipe* operator->() noexcept { return &pipe_; }

private:
    splice_pipes* from_;
    splice_pipe pipe_;
};

/// Bytes in a pipe, as the source of a write.
struct piped_bytes
{
    splice_pipe* pipe;
    std::size_t size;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/splice_pipe.ipp>
#endif

#endif
