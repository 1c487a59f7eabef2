// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TCP_TRANSPORT_HPP
#define DUET_DETAIL_TCP_TRANSPORT_HPP

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <span>
#include <utility>

#include <duet/detail/reactor.hpp>
#include <duet/detail/splice_pipe.hpp>
#include <duet/detail/stream_transport.hpp>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace duet {
inline namespace v0 {
namespace detail {

/// A TCP socket is Asio's, or `direct`: a descriptor in the reactor of the context, on which operations are tried, and
/// which tells when to try again.
template <class Executor>
class transport<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>>
{
    using Stream = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
    using traits = stream_traits<Stream>;

public:
    static constexpr bool may_be_direct = true;
    static constexpr bool may_splice = true;
    static constexpr bool counts_fin = true;

    using watched = detail::watched;

    explicit transport(Stream&& stream) : stream_{std::move(stream)} {}

    /// begin() says whose the descriptor will be.
    transport(Executor const& executor, boost::asio::ip::tcp const&, int descriptor)
        : stream_{executor}, descriptor_{descriptor}
    {
    }

    transport(transport&& other) noexcept
        : stream_{std::move(other.stream_)}, descriptor_{std::exchange(other.descriptor_, -1)}
    {
    }

    transport& operator=(transport&&) = delete;

    ~transport()
    {
        if (reactor_ && open_)
            reactor_->count(-1);
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }

    /// A context that one thread runs: its sockets may be direct.
    static void prepare(boost::asio::io_context& context) noexcept { reactor::use(context); }

    bool direct() const noexcept { return direct_; }

    // ---- Direct or not. ------------------------------------------------------------------------------------------

    /// Put the socket into the reactor of its context, if there is one and it suits; else make it Asio's, or leave it
    /// there. An error: it could become neither, and is closed with this.
    error_code begin(watched& owner, boost::asio::ip::tcp const& protocol) noexcept
    {
        reactor_ = reactor::of(reactor::context_of(stream_.get_executor()));
        if (!reactor_)
            return assign(protocol);
        bool const suits = reactor_->suits();
        reactor_->count(1);
        if (!suits)
            return assign(protocol);
        if (descriptor_ < 0)
        {
            error_code error;
            descriptor_ = stream_.release(error);
            if (error)
                return error;
        }
        direct_ = reactor_->add(owner, descriptor_);
        return direct_ ? error_code{} : assign(protocol);
    }

    /// Leave the reactor for Asio.
    error_code leave(watched& owner, boost::asio::ip::tcp const& protocol) noexcept
    {
        reactor_->remove(owner, descriptor_);
        auto const error = assign(protocol);
        direct_ = error.failed();
        return error;
    }

    /// Its owner waits for an event, or no longer.
    void wait(watched& owner, bool waits) noexcept { waits ? reactor_->begin(owner) : reactor_->end(owner); }

    /// Its owner wants a turn, or an event for what is true now.
    void turn(watched& owner) noexcept { reactor_->turn(owner); }

    void ask(watched& owner, bool writable = false) noexcept { reactor_->ask(owner, writable); }

    /// Events tell of a change. A read that found less than it wanted tells that there are no more bytes, but neither
    /// that the end has not come with them, nor that it did not stop before an urgent byte.
    void note(std::uint32_t events) noexcept
    {
        if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            readable_ = true;
        if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0)
            uncertain_ = true;
    }

    /// The events tell that a write may go on, or fails now.
    static bool may_be_written(std::uint32_t events) noexcept
    {
        return (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    }

    /// The events tell that the peer may be gone.
    static bool may_be_gone(std::uint32_t events) noexcept { return (events & (EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0; }

    /// A read may find something.
    bool readable() const noexcept { return readable_; }

    /// It did not: the next event tells when it may.
    void drained() noexcept { readable_ = false; }

    /// 0 and eof is the peer's FIN; would_block: nothing is there until the next event.
    std::size_t read_some(boost::asio::mutable_buffer buffer, error_code& error) noexcept
    {
        ::ssize_t size;
        do
            size = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
        while (size < 0 && errno == EINTR);
        if (size > 0)
        {
            readable_ = uncertain_ || static_cast<std::size_t>(size) == buffer.size();
            return static_cast<std::size_t>(size);
        }
        if (size == 0)
        {
            error = boost::asio::error::eof;
            return 0;
        }
        error.assign(errno, boost::system::system_category());
        if (errno == EAGAIN)
            drained();
        return 0;
    }

    // ---- Either way. ---------------------------------------------------------------------------------------------

    Stream& stream() noexcept { return stream_; }

    decltype(auto) get_executor() noexcept { return stream_.get_executor(); }

    int native_handle() noexcept { return direct() ? descriptor_ : stream_.native_handle(); }

    std::size_t write_some(boost::asio::const_buffer buffer, error_code& error) noexcept
    {
        if (buffer.size() == 0)
            return 0;
        return sent(::send(native_handle(), buffer.data(), buffer.size(), MSG_NOSIGNAL), error);
    }

    std::size_t write_some(std::span<boost::asio::const_buffer const> buffers, error_code& error) noexcept
    {
        ::iovec parts[16];
        std::size_t count = 0;
        for (auto const& buffer : buffers.first(std::min(buffers.size(), std::size(parts))))
            parts[count++] = {const_cast<void*>(buffer.data()), buffer.size()};
        ::msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = count;
        return sent(::sendmsg(native_handle(), &message, MSG_NOSIGNAL), error);
    }

    std::size_t write_some(piped_bytes const& bytes, error_code& error) noexcept
    {
        return bytes.pipe->give(native_handle(), bytes.size, error);
    }

    /// 0 without an error: a read tells what there is.
    std::size_t take_into(splice_pipe& pipe, error_code& error) noexcept
    {
        if (direct() && !readable())
            return 0;
        auto const size = pipe.take(native_handle(), error);
        if (error == boost::asio::error::would_block)
        {
            error.clear();
            readable_ = uncertain_;  // it stops before an urgent byte
        }
        return size;
    }

    void shutdown_send(error_code& error) noexcept
    {
        if (!direct())
            return traits::shutdown_send(stream_, error);
        if (::shutdown(descriptor_, SHUT_WR) != 0)
            error.assign(errno, boost::system::system_category());
    }

    void reset(watched& owner) noexcept
    {
        if (!direct())
            traits::reset(stream_);
        ::linger const at_once{1, 0};
        if (descriptor_ >= 0)
            ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        leave_for_good(owner);
    }

    void close(watched& owner) noexcept
    {
        if (!direct())
            traits::close(stream_);
        leave_for_good(owner);
    }

    std::size_t discard(std::size_t limit, error_code& error) noexcept
    {
        return discard_input(native_handle(), limit, error);
    }

    std::size_t unacknowledged() noexcept { return detail::unacknowledged(native_handle()); }

    bool has_input() noexcept { return detail::has_input(native_handle()); }

    bool has_failed() noexcept { return detail::has_failed(native_handle()); }

    bool has_hung_up() noexcept { return detail::has_hung_up(native_handle()); }

    error_code take_failure() noexcept { return detail::take_failure(native_handle()); }

    void set_dead_peer_timeout(deadlines::duration timeout) noexcept
    {
        detail::set_dead_peer_timeout(native_handle(), timeout);
    }

    duet::tcp_info info(error_code& error) noexcept { return query_tcp_info(native_handle(), error); }

    read_memory_type& read_memory() { return place_of_read(read_memory_); }

private:
    /// Make the descriptor Asio's, if it is not.
    error_code assign(boost::asio::ip::tcp const& protocol) noexcept
    {
        error_code error;
        if (descriptor_ < 0)
            return error;
        try
        {
            stream_.assign(protocol, descriptor_, error);
        }
        catch (std::exception const&)
        {
            error = boost::asio::error::no_memory;
        }
        if (error)
            return error;
        descriptor_ = -1;
        traits::prepare(stream_);
        return {};
    }

    void leave_for_good(watched& owner) noexcept
    {
        if (std::exchange(open_, false) && reactor_)
        {
            reactor_->remove(owner);
            reactor_->count(-1);
        }
        if (descriptor_ >= 0)
            ::close(std::exchange(descriptor_, -1));
    }

    static std::size_t sent(::ssize_t size, error_code& error) noexcept
    {
        if (size >= 0)
            return static_cast<std::size_t>(size);
        error.assign(errno, boost::system::system_category());
        return 0;
    }

    Stream stream_;
    reactor* reactor_ = nullptr;  // the context's, whether the socket is in it or not
    std::unique_ptr<read_memory_type> read_memory_;
    int descriptor_ = -1;  // where it is not Asio's
    bool open_ = true;
    bool direct_ = false;
    bool readable_ = false;
    bool uncertain_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
