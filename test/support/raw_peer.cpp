// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/raw_peer.hpp"

#include "support/faults.hpp"
#include "support/wait.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace duet_test {
namespace {

// Waits for the event, an error or a hangup.
void wait_for(int const fd, short const events, char const* const what)
{
    auto const deadline = guard_clock::now() + blocking_guard;
    pollfd polled{fd, events, 0};
    for (;;)
    {
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - guard_clock::now());
        int const ready = ::poll(&polled, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
        if (ready > 0)
            return;
        if (ready == 0)
            throw hang{std::string{"raw peer: "} + what};
        if (errno != EINTR)
            throw_errno("poll");
    }
}

void set_option(int const fd, int const level, int const name, int const value, char const* const what)
{
    checked(::setsockopt(fd, level, name, &value, sizeof value), what);
}

descriptor open_socket(raw_address const& address, raw_options const& options)
{
    descriptor result{checked(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    if (options.receive_buffer != 0)
        set_option(result.get(), SOL_SOCKET, SO_RCVBUF, options.receive_buffer, "SO_RCVBUF");
    if (options.send_buffer != 0)
        set_option(result.get(), SOL_SOCKET, SO_SNDBUF, options.send_buffer, "SO_SNDBUF");
    if (options.local_port != 0)
    {
        auto const local =
            address.family() == AF_INET6 ? raw_address::v6(options.local_port) : raw_address::v4(options.local_port);
        set_option(result.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
        checked(::bind(result.get(), local.data(), local.size()), "bind");
    }
    return result;
}

raw_address local_address(int const fd)
{
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size), "getsockname");
    return raw_address{&storage, size};
}

}  // namespace

raw_socket::raw_socket(descriptor socket) : socket_{std::move(socket)}
{
    note_ports();
}

raw_socket raw_socket::start_connect(raw_address const& to, raw_options const& options)
{
    raw_socket result{open_socket(to, options)};
    if (::connect(result.fd(), to.data(), to.size()) != 0 && errno != EINPROGRESS)
        throw_errno("connect");
    result.note_ports();
    result.remote_port_ = to.port();
    return result;
}

int raw_socket::wait_connected()
{
    wait_for(fd(), POLLOUT, "connect");
    int error = 0;
    socklen_t size = sizeof error;
    checked(::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
    return error;
}

raw_socket raw_socket::connect(raw_address const& to, raw_options const& options)
{
    auto result = start_connect(to, options);
    // A server may reset so soon that this is told here, and only here: one that is not there refuses.
    int const error = result.wait_connected();
    result.reset_at_once_ = error == ECONNRESET;
    if (error != 0 && !result.reset_at_once_)
        throw_errno("connect", error);
    return result;
}

// A peer that is gone already has no name any more (P25); the port is then 0.
void raw_socket::note_ports() noexcept
{
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&storage), &size) == 0)
        local_port_ = raw_address{&storage, size}.port();
    size = sizeof storage;
    if (::getpeername(fd(), reinterpret_cast<sockaddr*>(&storage), &size) == 0)
        remote_port_ = raw_address{&storage, size}.port();
}

sent raw_socket::send_some(std::string_view const data)
{
    for (;;)
    {
        wait_for(fd(), POLLOUT, "send");
        auto const size = ::send(fd(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size >= 0)
            return {static_cast<std::size_t>(size), 0};
        if (errno != EAGAIN && errno != EINTR)
            return {0, reset_at_once_ ? ECONNRESET : errno};
    }
}

void raw_socket::send_all(std::string_view data)
{
    while (!data.empty())
    {
        auto const done = send_some(data);
        if (done.error != 0)
            throw_errno("send", done.error);
        data.remove_prefix(done.size);
    }
}

std::size_t raw_socket::fill_until_blocked()
{
    std::string const block(65536, 'x');
    std::size_t total = 0;
    for (;;)
    {
        auto const size = ::send(fd(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size >= 0)
        {
            total += static_cast<std::size_t>(size);
            continue;
        }
        if (errno != EAGAIN)
            throw_errno("send");
        // Acknowledgements may still make room for more.
        pollfd polled{fd(), POLLOUT, 0};
        if (checked(::poll(&polled, 1, 100), "poll") == 0)
            return total;
    }
}

received raw_socket::recv_some(std::size_t const limit)
{
    received result;
    result.data.resize(limit);
    for (;;)
    {
        wait_for(fd(), POLLIN, "recv");
        auto const size = ::recv(fd(), result.data.data(), limit, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (size < 0)
            result.error = errno;
        else if (size == 0 && std::exchange(reset_at_once_, false))
            result.error = ECONNRESET;
        result.data.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        return result;
    }
}

received raw_socket::recv_all()
{
    received result;
    for (;;)
    {
        auto const part = recv_some();
        result.data += part.data;
        result.error = part.error;
        if (part.data.empty())
            return result;
    }
}

std::string raw_socket::recv_exactly(std::size_t const size)
{
    std::string result;
    while (result.size() < size)
    {
        auto const part = recv_some(size - result.size());
        if (part.error != 0)
            throw_errno("recv", part.error);
        if (part.eof())
            throw std::runtime_error{
                "EOF after " + std::to_string(result.size()) + " of " + std::to_string(size) + " bytes"};
        result += part.data;
    }
    return result;
}

int raw_socket::shutdown(int const how) noexcept
{
    return ::shutdown(fd(), how) == 0 ? 0 : errno;
}

void raw_socket::shutdown_write()
{
    if (int const error = shutdown(SHUT_WR); error != 0)
        throw_errno("shutdown", error);
}

void raw_socket::close() noexcept
{
    socket_.close();
}

void raw_socket::reset()
{
    make_close_reset(fd());
    close();
}

void raw_socket::crash()
{
    make_close_silent(fd());
    close();
}

raw_listener::raw_listener(raw_address const& at, int const backlog, raw_options const& options)
    : socket_{open_socket(at, options)}, address_{at}
{
    if (at.family() != AF_UNIX)
        set_option(fd(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    checked(::bind(fd(), at.data(), at.size()), "bind");
    checked(::listen(fd(), backlog), "listen");
    address_ = local_address(fd());
}

raw_socket raw_listener::accept()
{
    for (;;)
    {
        wait_for(fd(), POLLIN, "accept");
        descriptor accepted{::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (accepted.is_open())
            return raw_socket{std::move(accepted)};
        if (errno != EAGAIN && errno != EINTR)
            throw_errno("accept");
    }
}

raw_socket raw_listener::accept(raw_socket const& from)
{
    for (;;)
    {
        auto accepted = accept();
        if (accepted.remote_port() == from.local_port())
            return accepted;
    }
}

raw_pair connected_pair(raw_address const& at, raw_options const& client, raw_options const& server)
{
    raw_listener listener{at, 1, server};
    auto connecting = raw_socket::start_connect(listener.address(), client);
    auto accepted = listener.accept(connecting);
    if (int const error = connecting.wait_connected(); error != 0)
        throw_errno("connect", error);
    return {std::move(connecting), std::move(accepted)};
}

}  // namespace duet_test
