// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_RAW_PEER_HPP
#define DUET_TEST_RAW_PEER_HPP

#include "support/descriptor.hpp"
#include "support/raw_address.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// A peer that does exactly what the test says, right or wrong, on plain POSIX sockets: no line of duet or Asio in it.
//
// Every call blocks its thread, with a hang guard (wait.hpp). In a test whose other end runs on the same thread's
// io_context, call only what the kernel answers alone, or run the peer in a thread (in_thread() of coro.hpp,
// std::async).

namespace duet_test {

// Set before connect or listen, as the window scale requires. 0 leaves the kernel's default.
struct raw_options
{
    int receive_buffer = 0;
    int send_buffer = 0;
    std::uint16_t local_port = 0;
};

// What a read brought. No data and no error is the peer's FIN.
struct received
{
    std::string data;
    int error = 0;  // errno

    bool eof() const noexcept { return data.empty() && error == 0; }
};

// What a write took. 0 bytes can come with an error only.
struct sent
{
    std::size_t size = 0;
    int error = 0;  // errno
};

class raw_socket
{
public:
    raw_socket() = default;
    explicit raw_socket(descriptor socket);

    // Connects, or throws std::system_error.
    static raw_socket connect(raw_address const& to, raw_options const& options = {});

    // Sends the SYN and returns; wait_connected() then returns 0 or the errno that connect would have.
    static raw_socket start_connect(raw_address const& to, raw_options const& options = {});
    int wait_connected();

    int fd() const noexcept { return socket_.get(); }

    bool is_open() const noexcept { return socket_.is_open(); }

    // As they were when the connection was made: they stay known after a reset and after close.
    std::uint16_t local_port() const noexcept { return local_port_; }

    std::uint16_t remote_port() const noexcept { return remote_port_; }

    // Waits until everything is in the kernel, or throws std::system_error.
    void send_all(std::string_view data);

    // One send, waiting for room first. Never raises SIGPIPE.
    sent send_some(std::string_view data);

    // Sends until the kernel takes no more (no room for 100 ms), and says how much it took.
    std::size_t fill_until_blocked();

    // One recv, waiting for data, EOF or an error first.
    received recv_some(std::size_t limit = 65536);

    // Reads to EOF or an error: error == 0 says that the data ended with FIN.
    received recv_all();

    // Exactly so many bytes; throws when the connection ends before.
    std::string recv_exactly(std::size_t size);

    // The bare calls: 0 or errno. how is SHUT_WR, SHUT_RD or SHUT_RDWR.
    int shutdown(int how) noexcept;
    void shutdown_write();  // throws std::system_error

    // The kernel's plain close (RST when there is unread input, else FIN); RST and nothing else; nothing at all, as in
    // a crash (needs a private network namespace).
    void close() noexcept;
    void reset();
    void crash();

private:
    void note_ports() noexcept;

    descriptor socket_;
    std::uint16_t local_port_ = 0;
    std::uint16_t remote_port_ = 0;
    bool reset_at_once_ = false;  // connect() was told; the next call tells it
};

class raw_listener
{
public:
    // Port 0: the kernel chooses.
    explicit raw_listener(
        raw_address const& at = raw_address::v4(0), int backlog = 128, raw_options const& options = {});

    raw_socket accept();

    // The connection of that socket: another program may have tried this port before.
    raw_socket accept(raw_socket const& from);

    // Where to connect to.
    raw_address const& address() const noexcept { return address_; }

    std::uint16_t port() const noexcept { return address_.port(); }

    int fd() const noexcept { return socket_.get(); }

    void close() noexcept { socket_.close(); }

private:
    descriptor socket_;
    raw_address address_;
};

// Two ends of one established TCP connection, the listener gone.
struct raw_pair
{
    raw_socket client;
    raw_socket server;
};

raw_pair connected_pair(
    raw_address const& at = raw_address::v4(0), raw_options const& client = {}, raw_options const& server = {});

}  // namespace duet_test

#endif
