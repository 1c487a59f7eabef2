// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRANSPORT_HPP
#define DUET_DETAIL_TRANSPORT_HPP

// What carries a connection's bytes: a stream by Asio's operations, or, on Linux, a TCP socket in duet's own reactor.

#include <duet/detail/stream_transport.hpp>

#if defined(__linux__)
#include <duet/detail/tcp_transport.hpp>
#endif

#endif
