// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_LOAD_SYSTEM_HPP
#define BENCH_LOAD_SYSTEM_HPP

// What the load generator asks of the system. What must not fail ends the program when it does.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sys/epoll.h>

namespace load {

[[noreturn]] void fail(char const* what);  ///< with errno
[[noreturn]] void wrong(char const* what);

std::uint64_t now();  ///< nanoseconds

/// Let this process have as many descriptors as the system allows it.
void raise_descriptor_limit(std::size_t wanted);

/// A blocking connection to 127.0.0.1, TCP_NODELAY. The `serial` spreads connections over the source addresses
/// 127.0.0.1 to 127.0.0.16, since one address has too few ports for 100,000. With `buffers`, the kernel's are that
/// small.
int connect_to(std::uint16_t port, std::size_t serial, int buffers = 0);
void set_non_blocking(int descriptor);
void half_close(int descriptor);
void reset(int descriptor);  ///< RST, and the descriptor is gone

void send_all(int descriptor, void const* data, std::size_t size);  ///< blocking
void receive_all(int descriptor, void* data, std::size_t size);     ///< blocking

/// Read to the end, and close. False if it was a reset. Bytes that come instead of the end are an error.
bool receive_end(int descriptor);

class epoll
{
public:
    epoll();
    ~epoll();
    epoll(epoll const&) = delete;
    epoll& operator=(epoll const&) = delete;

    void add(int descriptor, std::size_t key, std::uint32_t events = EPOLLIN);
    void remove(int descriptor);
    std::span<epoll_event const> wait(int milliseconds);

private:
    int descriptor_;
    std::vector<epoll_event> events_;
};

/// Processor time of this process and, if it is not 0, of the process `server`.
struct usage
{
    static usage of(int server);

    std::uint64_t time = 0;
    std::uint64_t own = 0;
    std::uint64_t server = 0;
};

}  // namespace load

#endif
