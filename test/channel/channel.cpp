// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The channels on a stream.

#define BOOST_TEST_MODULE channel.channel
#include "channel/channel_fixture.hpp"

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

namespace duet_test::channels {

#if defined(__linux__)
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>, talk<over_epoll>>;
#else
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>>;
#endif
using all_channels = boost::mp11::mp_push_back<reset_channels, talk<over_asio<stream_protocol>>>;

}  // namespace duet_test::channels

#include "channel/channel_table.hpp"
