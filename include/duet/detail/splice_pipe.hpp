// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SPLICE_PIPE_HPP
#define DUET_DETAIL_SPLICE_PIPE_HPP

#include <cstddef>

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
    splice_pipe(splice_pipe const&) = delete;
    splice_pipe& operator=(splice_pipe const&) = delete;
    DUET_DECL ~splice_pipe();

    /// False: there is no descriptor for it, or no splice(2).
    DUET_DECL bool open() noexcept;

    /// Take in what a socket, non-blocking, has now, while the pipe is empty. 0 without an error says nothing: there
    /// may be no byte, the end, or an urgent byte in front, which a read passes over, and splice(2) does not.
    DUET_DECL std::size_t take(int socket, error_code& error) noexcept;

    /// Give `size` bytes to a socket, non-blocking, or as many as it takes.
    DUET_DECL std::size_t give(int socket, std::size_t size, error_code& error) noexcept;

private:
    /// Larger than a pipe is by itself (64 KiB): half as many calls, and a tenth less time.
    static constexpr int capacity = 256 * 1024;

    int out_ = -1;
    int in_ = -1;
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
#include <duet/impl/splice_pipe.ipp>
#endif

#endif
