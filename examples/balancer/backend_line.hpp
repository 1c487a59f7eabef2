// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_BACKEND_LINE_HPP
#define EXAMPLES_BALANCER_BACKEND_LINE_HPP

#include <string>
#include <string_view>
#include <vector>

namespace example {

/// A backend that a file or the command line names. However it is spelled there, the same host and port are the same
/// words here.
struct backend_line
{
    std::string host;    ///< a name in small letters, or an address; one of IPv6 without brackets
    std::string port;    ///< a number from 1 to 65535
    bool drain = false;  ///< it gets no new connections

    /// "127.0.0.1:80", "[::1]:80".
    std::string name() const;
};

/// A backend from "host:port", "host:port drain" or "[::1]:port". Throws std::runtime_error, as the functions below.
backend_line parse_backend(std::string_view text);

/// The backends that a file lists, one in each line; what follows a # is a comment. A list that is wrong in one line,
/// that names a backend twice, that is no text or that is empty is refused as a whole: it may be half written.
std::vector<backend_line> read_backends(std::string const& file);

/// The same checks, for the words of the command line.
std::vector<backend_line> backends_of(std::vector<std::string> const& words);

}  // namespace example

#endif
