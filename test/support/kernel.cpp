// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/kernel.hpp"

#include "support/descriptor.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace duet_test {
namespace {

struct table_row
{
    std::uint16_t local_port = 0;
    std::uint16_t remote_port = 0;
    kernel_state state{};
};

std::uint16_t port_of(std::string const& address)
{
    return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1), nullptr, 16));
}

// Rows read "  0: 0100007F:1F90 0100007F:C0DE 01 ...": number, local and remote address, state, all but the first in
// hex.
void read_table(char const* const path, std::vector<table_row>& rows)
{
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);  // the heading
    while (std::getline(file, line))
    {
        std::istringstream fields{line};
        std::string number;
        std::string local;
        std::string remote;
        std::string state;
        if (fields >> number >> local >> remote >> state)
            rows.push_back(
                {port_of(local), port_of(remote), static_cast<kernel_state>(std::stoul(state, nullptr, 16))});
    }
}

std::vector<table_row> read_tables()
{
    std::vector<table_row> rows;
    read_table("/proc/net/tcp", rows);
    read_table("/proc/net/tcp6", rows);
    return rows;
}

tcp_info tcp_info_of(int const fd)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    checked(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), "TCP_INFO");
    return info;
}

std::size_t queued_bytes(int const fd, unsigned long const request, char const* const what)
{
    int size = 0;
    checked(::ioctl(fd, request, &size), what);
    return static_cast<std::size_t>(size);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, kernel_state const state)
{
    static constexpr std::array<std::string_view, 12> names{"?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
        "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"};
    auto const number = static_cast<std::size_t>(state);
    return out << (number < names.size() ? names[number] : names[0]);
}

std::ostream& operator<<(std::ostream& out, std::optional<kernel_state> const& state)
{
    return state ? out << *state : out << "no socket";
}

kernel_state state_of(int const fd)
{
    return static_cast<kernel_state>(tcp_info_of(fd).tcpi_state);
}

std::optional<kernel_state> state_of(std::uint16_t const local_port, std::uint16_t const remote_port)
{
    for (auto const& row : read_tables())
    {
        if (row.local_port == local_port && row.remote_port == remote_port)
            return row.state;
    }
    return std::nullopt;
}

std::size_t count_state(kernel_state const state)
{
    auto const rows = read_tables();
    auto const matches = [&](table_row const& row) { return row.state == state; };
    return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), matches));
}

std::size_t count_state(kernel_state const state, std::uint16_t const port)
{
    auto const rows = read_tables();
    auto const matches = [&](table_row const& row)
    { return row.state == state && (row.local_port == port || row.remote_port == port); };
    return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), matches));
}

std::size_t unread_bytes(int const fd)
{
    return queued_bytes(fd, SIOCINQ, "SIOCINQ");
}

std::size_t unacknowledged_bytes(int const fd)
{
    return queued_bytes(fd, SIOCOUTQ, "SIOCOUTQ");
}

std::string poll_text(int const fd)
{
    static constexpr std::array<std::pair<short, std::string_view>, 5> names{
        {{POLLIN, "IN"}, {POLLOUT, "OUT"}, {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLRDHUP, "RDHUP"}}};
    pollfd polled{fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    checked(::poll(&polled, 1, 0), "poll");
    std::string result;
    for (auto const& [bit, name] : names)
    {
        if ((polled.revents & bit) == 0)
            continue;
        result += result.empty() ? "" : ",";
        result += name;
    }
    return result;
}

accept_queue accept_queue_of(int const fd)
{
    auto const info = tcp_info_of(fd);
    return {info.tcpi_unacked, info.tcpi_sacked};
}

}  // namespace duet_test
