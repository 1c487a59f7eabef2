// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_ARGUMENTS_HPP
#define TOOLS_DUET_TRACE_ARGUMENTS_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace tool {

/// The command line is not understood.
struct usage_error : std::runtime_error
{
    using std::runtime_error::runtime_error;
};

/// `--name value` and `--name=value`, and what is left over. After `--` everything is left over.
class arguments
{
public:
    /// `known` are the names of the options, `flags` those without a value. Throws usage_error.
    arguments(std::vector<std::string> const& words, std::vector<std::string> const& known,
        std::vector<std::string> const& flags = {});

    /// The value, or `fallback`.
    std::string text(std::string const& name, std::string const& fallback = {}) const;

    /// Throws usage_error if it is not a number from `least` to `most`.
    std::size_t number(std::string const& name, std::size_t fallback, std::size_t least, std::size_t most) const;

    bool has(std::string const& name) const { return values_.contains(name); }

    std::vector<std::string> const& rest() const noexcept { return rest_; }

private:
    std::map<std::string, std::string> values_;
    std::vector<std::string> rest_;
};

/// "host:port", "[::1]:port" or "port".
struct address
{
    std::string host;
    std::string port;
};

/// Throws usage_error.
address parse_address(std::string const& text, std::string const& default_host);

/// Throws usage_error if it is none.
std::uint16_t port_number(std::string const& text);

}  // namespace tool

#endif
