// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENING_SOCKET_HPP
#define DUET_DETAIL_ACCEPT_LISTENING_SOCKET_HPP

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include <string>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/detail/accept/listener.hpp>
#include <duet/error.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// A listening socket: creates it or takes it over, and closes it. If it created the socket file of a Unix-domain path,
/// it removes the file, unless another file has replaced it.
template <class Protocol, class Executor>
class listening_socket
{
public:
    using socket_type = boost::asio::basic_socket_acceptor<Protocol, Executor>;
    using endpoint_type = typename Protocol::endpoint;
    using traits = stream_traits<boost::asio::basic_stream_socket<Protocol, Executor>>;

    explicit listening_socket(Executor const& executor) : socket_{executor} {}

    /// Throws session_error, which names the call that failed.
    void listen(endpoint_type const& endpoint, acceptor_options const& options)
    {
        error_code error;
        attempt("open", endpoint, [&](error_code& e) { socket_.open(endpoint.protocol(), e); });
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
            attempt("reuse_port", endpoint, [&](error_code& e) { set_reuse_port(e); });
        // Set these before listen(2), because the buffer size determines the window scale of every connection.
        set_stream_options(socket_.native_handle(), traits::is_tcp, options.session);
        attempt("bind", endpoint, [&](error_code& e) { bind(endpoint, options.reuse_address, e); });
        local_ = socket_.local_endpoint(error);
        remember_socket_file();
        attempt("listen", endpoint, [&](error_code& e) { socket_.listen(options.backlog, e); });
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
        inherited_ = true;
        set_stream_options(descriptor, traits::is_tcp, options.session);
        local_ = socket_.local_endpoint(error);
        socket_.non_blocking(true, error);
    }

    /// Drop new SYNs. An inherited socket is left alone, because other processes may still use it.
    void refuse_handshakes() noexcept
    {
        if (traits::is_tcp && !inherited_)
            refuse_new_handshakes(socket_.native_handle());
    }

    void close() noexcept
    {
        error_code ignored;
        if (socket_.is_open())
            remove_socket_file(file_);
        socket_.close(ignored);
    }

    bool is_open() const noexcept { return socket_.is_open(); }

    endpoint_type const& local() const noexcept { return local_; }

    Executor get_executor() noexcept { return socket_.get_executor(); }

    int native_handle() noexcept { return socket_.native_handle(); }

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

    void set_reuse_port(error_code& error)
    {
#if defined(SO_REUSEPORT)
        int const on = 1;
        if (::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
            error.assign(errno, boost::system::system_category());
#else
        error = boost::asio::error::operation_not_supported;
#endif
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
    bool inherited_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
