// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENING_SOCKET_HPP
#define DUET_DETAIL_ACCEPT_LISTENING_SOCKET_HPP

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/detail/accept/listener.hpp>
#include <duet/detail/accept/socket_file.hpp>
#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/socket/new_descriptor.hpp>
#include <duet/error.hpp>
#include <duet/stream_traits.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a process may do to a listener beyond closing its own descriptor.
enum class listener_part
{
    none,    ///< a child of the process that accepts from it: another process serves the queue
    shared,  ///< other processes are known to hold it: take from the queue, but leave the socket as it is
    own,     ///< this process made it
};

/// A listening socket: creates it or takes it over, and closes it. If it created the socket file of a Unix-domain path,
/// it removes the file, unless another file has replaced it or the listener was handed over.
template <class Protocol, class Executor>
class listening_socket
{
public:
    using socket_type = boost::asio::basic_socket_acceptor<Protocol, Executor>;
    using endpoint_type = typename Protocol::endpoint;
    using traits = stream_traits<boost::asio::basic_stream_socket<Protocol, Executor>>;

    explicit listening_socket(Executor const& executor) : socket_{executor} {}

    /// Take over another one's socket, and all that it knows of it. If this throws session_error, the socket is closed.
    void take(listening_socket& other)
    {
        error_code error;
        int const descriptor = other.is_open() ? other.socket_.release(error) : -1;
        local_ = other.local_;
        file_ = std::exchange(other.file_, {});
        maker_ = other.maker_;
        accepts_in_ = other.accepts_in_;
        forks_at_birth_ = other.forks_at_birth_;
        backlog_ = other.backlog_;
        others_hold_ = other.others_hold_.load();
        exposed_ = other.exposed_;
        if (descriptor >= 0)
            socket_.assign(local_.protocol(), descriptor, error);
        if (!error)
            return;
        if (part() == listener_part::own)
            remove_socket_file(file_);
        ::close(descriptor);
        throw session_error{error, "listen", traits::describe(local_), 0};
    }

    /// Throws session_error, which names the call that failed.
    void listen(endpoint_type const& endpoint, acceptor_options const& options)
    {
        error_code error;
        attempt("open", endpoint, [&](error_code& e) { open(endpoint.protocol(), e); });
        if constexpr (traits::is_tcp)
        {
            if (options.reuse_address)
                attempt("reuse_address", endpoint,
                    [&](error_code& e) { socket_.set_option(boost::asio::socket_base::reuse_address{true}, e); });
            if (endpoint.address().is_v6())
                attempt("dual_stack", endpoint,
                    [&](error_code& e) { socket_.set_option(boost::asio::ip::v6_only{!options.dual_stack}, e); });
        }
        if (options.reuse_port)
            attempt("reuse_port", endpoint, [&](error_code& e) { allow_reuse_port(socket_.native_handle(), e); });
        // Set these before listen(2), because the buffer size determines the window scale of every connection.
        set_stream_options(socket_.native_handle(), traits::is_tcp, options.session);
        // Others that start on this path wait until this socket listens: before that, its file would look stale.
        std::optional<start_lock> lock;
        if constexpr (!traits::is_tcp)
            attempt("bind", endpoint, [&](error_code& e) { lock.emplace(endpoint.path(), e); });
        attempt("bind", endpoint, [&](error_code& e) { bind(endpoint, options.reuse_address, e); });
        local_ = socket_.local_endpoint(error);
        remember_socket_file();
        attempt("listen", endpoint, [&](error_code& e) { socket_.listen(options.backlog, e); });
        backlog_ = options.backlog;
        socket_.non_blocking(true, error);
    }

    /// Throws session_error; the caller then still owns the descriptor.
    void inherit(int descriptor, acceptor_options const& options)
    {
        error_code error;
        auto const protocol = protocol_of(descriptor);
        check_listening(descriptor, protocol.family(), error);
        if (!error)
            socket_.assign(protocol, descriptor, error);
        if (error)
            throw session_error{error, "listen", "descriptor " + std::to_string(descriptor), 0};
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        others_hold_ = true;
        set_stream_options(descriptor, traits::is_tcp, options.session);
        local_ = socket_.local_endpoint(error);
        socket_.non_blocking(true, error);
    }

    /// The part of the calling process in this listener.
    listener_part part() const noexcept
    {
        auto const process = ::getpid();
        if (process != maker_)
            return process == accepts_in_ ? listener_part::shared : listener_part::none;
        return others_hold_ ? listener_part::shared : listener_part::own;
    }

    /// This process has accepted a connection. A forked child that accepts has a part in the listener.
    void note_accepted() noexcept { accepts_in_ = fork_watch::get().process(); }

    /// Another program gets a copy and serves the queue, too: a filter would keep its clients away. Callable from
    /// another thread.
    void hand_over() noexcept { others_hold_ = true; }

    /// Let nobody new in before the queue is emptied: drop SYNs, or remove the socket file. For listener_part::own.
    void refuse_new_clients() noexcept
    {
        if constexpr (traits::is_tcp)
            refuse_new_handshakes(socket_.native_handle());
        else
            remove_socket_file(std::exchange(file_, {}));
    }

    /// Lift the filter of refuse_new_clients() before the close, if other processes may hold this socket: it would stay
    /// on theirs.
    void admit_for_others() noexcept
    {
        if (traits::is_tcp && (exposed_ || fork_watch::get().forks() != forks_at_birth_))
            admit_new_handshakes(socket_.native_handle());
    }

    /// The number of connections that the queue may hold now.
    std::size_t queued_at_most() noexcept
    {
        if constexpr (traits::is_tcp)
        {
            error_code error;
            auto const info = query_tcp_info(socket_.native_handle(), error);
            if (!error)
                return info.segments_unacknowledged;
        }
        return longest_queue(backlog_);
    }

    void close() noexcept
    {
        error_code ignored;
        if (!socket_.is_open())
            return;
        if (part() == listener_part::own)
            remove_socket_file(file_);
        if (maker_ != ::getpid())
            give_up_copy(socket_.native_handle());
        socket_.close(ignored);
    }

    bool is_open() const noexcept { return socket_.is_open(); }

    endpoint_type const& local() const noexcept { return local_; }

    Executor get_executor() noexcept { return socket_.get_executor(); }

    int native_handle() noexcept { return socket_.native_handle(); }

    /// The descriptor leaves our hands: the program may copy it to other processes.
    int expose() noexcept
    {
        exposed_ = true;
        return socket_.native_handle();
    }

    socket_type& socket() noexcept { return socket_; }

private:
    template <class Call>
    void attempt(char const* operation, endpoint_type const& endpoint, Call call)
    {
        error_code error;
        call(error);
        if (!error)
            return;
        close();
        throw session_error{error, operation, traits::describe(endpoint), 0};
    }

    /// As Asio's open(), which does not set FD_CLOEXEC.
    void open(Protocol const& protocol, error_code& error)
    {
        int const descriptor = open_socket(protocol.family(), protocol.type(), protocol.protocol());
        if (descriptor < 0)
            error.assign(errno, boost::system::system_category());
        else
            socket_.assign(protocol, descriptor, error);
        if (error && descriptor >= 0)
            ::close(descriptor);
    }

    void bind(endpoint_type const& endpoint, bool take_over, error_code& error)
    {
        socket_.bind(endpoint, error);
        if constexpr (!traits::is_tcp)
        {
            if (error == boost::asio::error::address_in_use && take_over &&
                remove_stale_socket_file(endpoint.path().c_str()))
                socket_.bind(endpoint, error);
        }
    }

    void remember_socket_file()
    {
        if constexpr (!traits::is_tcp)
            file_ = socket_file_at(local_.path());
    }

    Protocol protocol_of(int descriptor)
    {
        if constexpr (traits::is_tcp)
        {
            ::sockaddr_storage address{};
            ::socklen_t size = sizeof(address);
            ::getsockname(descriptor, reinterpret_cast<::sockaddr*>(&address), &size);
            return address.ss_family == AF_INET6 ? Protocol::v6() : Protocol::v4();
        }
        else
        {
            return Protocol{};
        }
    }

    socket_type socket_;
    endpoint_type local_;
    socket_file file_;  // the file that this object created
    ::pid_t maker_ = ::getpid();
    ::pid_t accepts_in_ = maker_;
    unsigned forks_at_birth_ = fork_watch::get().forks();
    int backlog_ = 0;                       // 0: unknown
    std::atomic<bool> others_hold_{false};  // inherited or handed over
    bool exposed_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
