// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_KERNEL_HPP
#define EXAMPLES_LIFECYCLE_KERNEL_HPP

#include <boost/asio/ip/tcp.hpp>

#include <string>

namespace example {

/// What the kernel still has of a connection whose descriptor is closed: TCP_INFO cannot tell, so the kernel's tables
/// are read, which takes some milliseconds. "TIME_WAIT in /proc/net/tcp6", for instance.
std::string kernel_entry(boost::asio::ip::tcp::endpoint const& local, boost::asio::ip::tcp::endpoint const& remote);

}  // namespace example

#endif
