// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ONE_WAY_END_HPP
#define DUET_TEST_ONE_WAY_END_HPP

#include <duet/stream_traits.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <utility>

namespace duet_test {

/// A stream that cannot end one direction.
struct one_way_end : boost::asio::ip::tcp::socket
{
    explicit one_way_end(boost::asio::ip::tcp::socket&& socket) : boost::asio::ip::tcp::socket{std::move(socket)} {}
};

}  // namespace duet_test

template <>
struct duet::stream_traits<duet_test::one_way_end> : duet::stream_traits<boost::asio::ip::tcp::socket>
{
    static constexpr bool half_close = false;
};

#endif
