// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/mib.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace duet_test {
namespace {

// Two lines a group: "Tcp: Name Name ..." and "Tcp: 1 2 ...".
template <typename Counters>
void read_counters(char const* const path, Counters& counters)
{
    std::ifstream file{path};
    std::string names_line;
    std::string values_line;
    while (std::getline(file, names_line) && std::getline(file, values_line))
    {
        std::istringstream names{names_line};
        std::istringstream values{values_line};
        std::string group;
        std::string name;
        std::string value;
        names >> group;
        values >> value;
        group.back() = '.';
        while (names >> name && values >> value)
            counters[group + name] = std::stoll(value);
    }
}

}  // namespace

mib mib::now()
{
    mib result;
    read_counters("/proc/net/snmp", result.counters_);
    read_counters("/proc/net/netstat", result.counters_);
    if (result.counters_.empty())
        throw std::runtime_error{"no counters in /proc/net/snmp"};
    return result;
}

mib mib::since(mib const& before)
{
    auto result = now();
    for (auto& [name, value] : result.counters_)
        value -= before[name];
    return result;
}

long long mib::operator[](std::string_view const name) const
{
    auto const found = counters_.find(name);
    if (found == counters_.end())
        throw std::out_of_range{"this kernel has no counter " + std::string{name}};
    return found->second;
}

std::string mib::text() const
{
    std::string result;
    for (auto const& [name, value] : counters_)
    {
        if (value == 0 || !name.starts_with("Tcp"))
            continue;
        result += result.empty() ? "" : ", ";
        result += name + ' ' + std::to_string(value);
    }
    return result;
}

}  // namespace duet_test
