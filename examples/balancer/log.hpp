// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_LOG_HPP
#define EXAMPLES_BALANCER_LOG_HPP

#include <fmt/format.h>

#include <cstdio>
#include <string>

namespace example {

/// A line on standard error, by one write(2), so that lines of several programs that share a log do not mix: stderr has
/// no buffer.
template <class... Words>
void log(fmt::format_string<Words const&...> text, Words const&... words)
{
    std::string const line = fmt::format(text, words...) + '\n';
    std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace example

#endif
