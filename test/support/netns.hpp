// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_NETNS_HPP
#define DUET_TEST_NETNS_HPP

#include <string>
#include <string_view>

// A private network namespace: a loopback nobody else talks on, kernel counters that start at zero, and the right to
// capture packets, drop them and crash connections. An ordinary user gets one together with a user namespace of his own
// (torture list, "How to see the truth").

namespace duet_test {

// What became of enter_private_network().
struct network_entry
{
    std::string refusal;  // why not; empty when the process is inside

    bool entered() const noexcept { return refusal.empty(); }
};

// Moves the process into a private network namespace with lo up. Call it first thing in main: a user namespace is
// refused to a process with threads, and only threads started later are inside. Where a runtime (ThreadSanitizer) has
// started a thread before main, the program is started once more under unshare(1).
network_entry enter_private_network();

// Leaves the private namespace for a new one: counters at zero, no connection of an earlier test that still retransmits
// or waits in TIME_WAIT. For a main thread inside a private namespace; sockets and threads made before stay in the old
// one.
void renew_private_network();

// The same as a fixture: BOOST_FIXTURE_TEST_SUITE(exact_counters, duet_test::fresh_network).
struct fresh_network
{
    fresh_network() { renew_private_network(); }
};

// One line of /proc/sys of this namespace, by its dotted name ("net.ipv4.tcp_fin_timeout"). Throw std::system_error.
std::string sysctl(std::string_view name);
void set_sysctl(std::string_view name, std::string_view value);

// Sets a line of /proc/sys and puts the old value back at the end of the scope.
class sysctl_override
{
public:
    sysctl_override(std::string_view name, std::string_view value);
    ~sysctl_override();

    sysctl_override(sysctl_override const&) = delete;
    sysctl_override& operator=(sysctl_override const&) = delete;

private:
    std::string name_;
    std::string before_;
};

}  // namespace duet_test

#endif
