// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "system.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace load {
namespace {

std::uint64_t clock_value(clockid_t clock)
{
    timespec value{};
    clock_gettime(clock, &value);
    return static_cast<std::uint64_t>(value.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(value.tv_nsec);
}

sockaddr_in loopback(std::uint16_t port, std::uint32_t host = 1)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(0x7F000000 + host);
    return address;
}

void set_option(int descriptor, int level, int option, int value = 1)
{
    if (setsockopt(descriptor, level, option, &value, sizeof value) != 0)
        fail("setsockopt");
}

/// The processor time of every thread of a process.
std::uint64_t process_time(int process)
{
    std::uint64_t sum = 0;
    std::error_code error;
    for (auto const& task : std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task", error})
    {
        std::uint64_t time = 0;
        std::ifstream{task.path() / "schedstat"} >> time;
        sum += time;
    }
    return sum;
}

}  // namespace

void fail(char const* what)
{
    std::perror((std::string{"load: "} + what).c_str());
    std::exit(1);
}

void wrong(char const* what)
{
    std::fprintf(stderr, "load: %s\n", what);
    std::exit(1);
}

std::uint64_t now()
{
    return clock_value(CLOCK_MONOTONIC);
}

void raise_descriptor_limit(std::size_t wanted)
{
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, wanted));
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        wrong("the limit of descriptors is too low: see ulimit -Hn");
}

int connect_to(std::uint16_t port, std::size_t serial, int buffers)
{
    int const descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        fail("socket");
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY);
    set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    if (buffers != 0)
    {
        set_option(descriptor, SOL_SOCKET, SO_SNDBUF, buffers);
        set_option(descriptor, SOL_SOCKET, SO_RCVBUF, buffers);
    }
    auto const source = loopback(0, 1 + static_cast<std::uint32_t>(serial % 16));
    if (bind(descriptor, reinterpret_cast<sockaddr const*>(&source), sizeof source) != 0)
        fail("bind");
    auto const target = loopback(port);
    if (connect(descriptor, reinterpret_cast<sockaddr const*>(&target), sizeof target) != 0)
        fail("connect");
    return descriptor;
}

void set_non_blocking(int descriptor)
{
    if (fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0)
        fail("fcntl");
}

void half_close(int descriptor)
{
    if (shutdown(descriptor, SHUT_WR) != 0)
        fail("shutdown");
}

void reset(int descriptor)
{
    linger const hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(descriptor);
}

void send_all(int descriptor, void const* data, std::size_t size)
{
    auto const* at = static_cast<char const*>(data);
    while (size > 0)
    {
        ssize_t const sent = send(descriptor, at, size, MSG_NOSIGNAL);
        if (sent < 0)
            fail("send");
        at += sent;
        size -= static_cast<std::size_t>(sent);
    }
}

void receive_all(int descriptor, void* data, std::size_t size)
{
    auto* at = static_cast<char*>(data);
    while (size > 0)
    {
        ssize_t const received = recv(descriptor, at, size, 0);
        if (received < 0)
            fail("recv");
        if (received == 0)
            wrong("the connection ended in the middle of a message");
        at += received;
        size -= static_cast<std::size_t>(received);
    }
}

bool receive_end(int descriptor)
{
    fcntl(descriptor, F_SETFL, 0);
    char byte;
    ssize_t const received = recv(descriptor, &byte, 1, 0);
    if (received > 0)
        wrong("bytes came where the end belongs");
    if (received < 0 && errno != ECONNRESET)
        fail("recv");
    close(descriptor);
    return received == 0;
}

epoll::epoll() : descriptor_{epoll_create1(EPOLL_CLOEXEC)}, events_(512)
{
    if (descriptor_ < 0)
        fail("epoll_create1");
}

epoll::~epoll()
{
    close(descriptor_);
}

void epoll::add(int descriptor, std::size_t key, std::uint32_t events)
{
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    if (epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &event) != 0)
        fail("epoll_ctl");
}

void epoll::remove(int descriptor)
{
    epoll_ctl(descriptor_, EPOLL_CTL_DEL, descriptor, nullptr);
}

std::span<epoll_event const> epoll::wait(int milliseconds)
{
    int const count = epoll_wait(descriptor_, events_.data(), static_cast<int>(events_.size()), milliseconds);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait");
    return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

usage usage::of(int server)
{
    return {.time = now(), .own = clock_value(CLOCK_PROCESS_CPUTIME_ID), .server = server ? process_time(server) : 0};
}

}  // namespace load
