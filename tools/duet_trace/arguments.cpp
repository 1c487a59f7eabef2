// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "arguments.hpp"

#include <algorithm>
#include <charconv>

namespace tool {

arguments::arguments(std::vector<std::string> const& words, std::vector<std::string> const& known,
    std::vector<std::string> const& flags)
{
    for (auto word = words.begin(); word != words.end(); ++word)
    {
        if (*word == "--")
        {
            rest_.insert(rest_.end(), word + 1, words.end());
            break;
        }
        if (!word->starts_with("--"))
        {
            rest_.push_back(*word);
            continue;
        }
        auto const equals = word->find('=');
        auto const name = word->substr(2, equals == std::string::npos ? equals : equals - 2);
        if (std::ranges::find(flags, name) != flags.end() && equals == std::string::npos)
            values_[name] = "";
        else if (std::ranges::find(known, name) == known.end())
            throw usage_error{"there is no option --" + name + " here"};
        else if (equals != std::string::npos)
            values_[name] = word->substr(equals + 1);
        else if (word + 1 == words.end())
            throw usage_error{"--" + name + " needs a value"};
        else
            values_[name] = *++word;
    }
}

std::string arguments::text(std::string const& name, std::string const& fallback) const
{
    auto const found = values_.find(name);
    return found == values_.end() ? fallback : found->second;
}

std::size_t arguments::number(
    std::string const& name, std::size_t fallback, std::size_t least, std::size_t most) const
{
    auto const found = values_.find(name);
    if (found == values_.end())
        return fallback;
    std::size_t result = 0;
    auto const& text = found->second;
    auto const parsed = std::from_chars(text.data(), text.data() + text.size(), result);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || result < least || result > most)
        throw usage_error{"--" + name + " is a number from " + std::to_string(least) + " to " + std::to_string(most)};
    return result;
}

address parse_address(std::string const& text, std::string const& default_host)
{
    auto const colon = text.rfind(':');
    bool const bracketed = text.starts_with('[');
    if (bracketed && (text.find("]:") == std::string::npos || text.find("]:") + 1 != colon))
        throw usage_error{"'" + text + "' is no address: [::1]:7000 has its port behind the bracket"};
    address result{default_host, text};
    if (colon != std::string::npos)
        result = {bracketed ? text.substr(1, colon - 2) : text.substr(0, colon), text.substr(colon + 1)};
    if (result.port.empty() || (!bracketed && result.host.find(':') != std::string::npos))
        throw usage_error{"'" + text + "' is no address: write HOST:PORT, [IPv6]:PORT or PORT"};
    return result;
}

std::uint16_t port_number(std::string const& text)
{
    std::uint16_t result = 0;
    auto const parsed = std::from_chars(text.data(), text.data() + text.size(), result);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
        throw usage_error{"'" + text + "' is no port"};
    return result;
}

}  // namespace tool
