// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_MIB_HPP
#define DUET_TEST_MIB_HPP

#include <map>
#include <string>
#include <string_view>

namespace duet_test {

// The kernel's protocol counters of this network namespace (/proc/net/snmp and /proc/net/netstat), by group and name:
// "Tcp.OutRsts", "TcpExt.TCPAbortOnClose", "TcpExt.ListenOverflows". In a private namespace nobody else counts, so
// differences can be asserted exactly.
//
//     auto const before = mib::now();
//     ...
//     BOOST_TEST(mib::since(before)["TcpExt.TCPAbortOnClose"] == 0);
class mib
{
public:
    static mib now();
    static mib since(mib const& before);

    // Throws std::out_of_range with the name: a misspelt counter must not read as zero.
    long long operator[](std::string_view name) const;

    // "Tcp.OutRsts 1, TcpExt.TCPAbortOnClose 1": the TCP counters that are not zero, for the text of a failed check.
    std::string text() const;

private:
    std::map<std::string, long long, std::less<>> counters_;
};

}  // namespace duet_test

#endif
