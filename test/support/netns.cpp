// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/netns.hpp"

#include "support/descriptor.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace duet_test {
namespace {

// Set for the program started again under unshare(1), so that it does not start itself a second time.
constexpr char const* restarted_variable = "DUET_TEST_RESTARTED_IN_NAMESPACE";

void write_file(std::string const& path, std::string_view const text)
{
    descriptor const file{checked(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path.c_str())};
    checked(::write(file.get(), text.data(), text.size()), path.c_str());
}

// Root inside is the caller outside; setgroups must be given up before an ordinary user may write gid_map
// (user_namespaces(7)).
void map_to_root(uid_t const uid, gid_t const gid)
{
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
    write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

// Returns only when the program could not be started again.
void restart_under_unshare()
{
    if (std::getenv(restarted_variable) != nullptr)
        return;
    std::ifstream command_line{"/proc/self/cmdline"};
    std::vector<std::string> arguments{"unshare", "-Urn"};
    for (std::string argument; std::getline(command_line, argument, '\0');)
        arguments.push_back(argument);
    arguments.at(2) = std::filesystem::read_symlink("/proc/self/exe").string();
    std::vector<char*> raw;
    for (auto& argument : arguments)
        raw.push_back(argument.data());
    raw.push_back(nullptr);
    ::setenv(restarted_variable, "1", 1);
    ::execvp("unshare", raw.data());
    ::unsetenv(restarted_variable);
}

void bring_loopback_up()
{
    descriptor const socket{checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
    checked(::ioctl(socket.get(), SIOCGIFFLAGS, &request), "SIOCGIFFLAGS lo");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
    checked(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "SIOCSIFFLAGS lo");
}

// Some systems grant the namespace and then take its rights away (AppArmor on Ubuntu 24.04).
void probe_capture_right()
{
    descriptor const probe{checked(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "AF_PACKET socket")};
}

// 0, or the errno of the refusal.
int unshare_network()
{
    if (::unshare(CLONE_NEWNET) == 0)
        return 0;
    auto const uid = ::geteuid();
    auto const gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
    {
        map_to_root(uid, gid);
        return 0;
    }
    int const error = errno;
    if (error == EINVAL)
        restart_under_unshare();
    return error;
}

// The default may be bbr, which paces: its segments come when a timer says so, not when the call is made. Where reno is
// refused, only the pace of bulk transfers differs.
void prefer_reno()
{
    try
    {
        set_sysctl("net.ipv4.tcp_congestion_control", "reno");
    }
    catch (std::system_error const&)
    {
    }
}

std::string sysctl_path(std::string_view const name)
{
    std::string path = "/proc/sys/" + std::string{name};
    std::replace(path.begin() + 10, path.end(), '.', '/');
    return path;
}

}  // namespace

network_entry enter_private_network()
{
    try
    {
        if (int const error = unshare_network(); error != 0)
            return {"a private network namespace was refused: " + std::generic_category().message(error)};
        bring_loopback_up();
        probe_capture_right();
    }
    catch (std::system_error const& error)
    {
        return {std::string{"the private network namespace is not usable: "} + error.what()};
    }
    prefer_reno();
    return {};
}

void renew_private_network()
{
    checked(::unshare(CLONE_NEWNET), "a new network namespace");
    bring_loopback_up();
    prefer_reno();
}

std::string sysctl(std::string_view const name)
{
    auto const path = sysctl_path(name);
    std::ifstream file{path};
    std::string line;
    if (!std::getline(file, line))
        throw_errno(path, ENOENT);
    return line;
}

void set_sysctl(std::string_view const name, std::string_view const value)
{
    write_file(sysctl_path(name), value);
}

sysctl_override::sysctl_override(std::string_view const name, std::string_view const value)
    : name_{name}, before_{sysctl(name)}
{
    set_sysctl(name, value);
}

sysctl_override::~sysctl_override()
{
    try
    {
        set_sysctl(name_, before_);
    }
    catch (std::system_error const& error)
    {
        std::fprintf(stderr, "%s\n", error.what());
    }
}

}  // namespace duet_test
