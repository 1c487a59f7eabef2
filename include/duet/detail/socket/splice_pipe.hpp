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
inline namespace v0 {
namespace detail {

/// A pipe through which splice(2) moves bytes from one socket to another, and the program sees none of them. Linux
/// only.
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

    /// False: the system has none, or none of that size.
    DUET_DECL bool open() noexcept;

    /// Take in what a socket, non-blocking, has now, while the pipe is empty. 0 without an error says nothing, but may
    /// be the end; would_block: there is no byte, or an urgent one in front, which a read passes over, and splice(2)
    /// does not.
    DUET_DECL std::size_t take(int socket, error_code& error) noexcept;

    /// Give `size` bytes to a socket, non-blocking, or as many as it takes.
    DUET_DECL std::size_t give(int socket, std::size_t size, error_code& error) noexcept;

    /// take() does not work here: nothing was taken, and the connection is as it was.
    bool refused() const noexcept { return refused_; }

    /// It is open and empty, for whoever comes next.
    bool reusable() const noexcept { return out_ >= 0 && held_ == 0 && !refused_; }

private:
    /// Larger than a pipe is by itself (64 KiB): half as many calls, and a tenth less time.
    static constexpr int capacity = 256 * 1024;

    int out_ = -1;
    int in_ = -1;
    std::size_t held_ = 0;
    bool refused_ = false;
};

/// Empty pipes of one execution context: who waits for bytes holds no descriptors meanwhile, and who gets some need not
/// open any.
class splice_pipes : public boost::asio::execution_context::service
{
public:
    using key_type = splice_pipes;
    inline static boost::asio::execution_context::id id;

    explicit splice_pipes(boost::asio::execution_context& context) : service{context} { kept_.reserve(most); }

    /// Not open: the system has none.
    DUET_DECL splice_pipe borrow() noexcept;
    DUET_DECL void give_back(splice_pipe&& pipe) noexcept;

private:
    static constexpr std::size_t most = 16;

    DUET_DECL void shutdown() noexcept override;

    std::mutex mutex_;  // the threads of a context may have relays each
    std::vector<splice_pipe> kept_;
};

/// One of them, as long as this lives. Not open: there is none.
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

/// What a write gives from a pipe.
struct piped_bytes
{
    splice_pipe* pipe;
    std::size_t size;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/splice_pipe.ipp>
#endif

#endif
