// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The channels on a stream.

#define BOOST_TEST_MODULE channel.channel
#include "channel/channel_fixture.hpp"

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>

namespace duet_test::channels {

#if defined(__linux__)
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>, talk<over_epoll>>;
#else
using reset_channels = boost::mp11::mp_list<talk<over_asio<tcp>>, talk<over_memory>>;
#endif
using all_channels = boost::mp11::mp_push_back<reset_channels, talk<over_asio<stream_protocol>>>;

}  // namespace duet_test::channels

#include "channel/channel_table.hpp"

#if defined(__linux__)
namespace duet_test::channels {

// Without being asked for again.
BOOST_AUTO_TEST_CASE(a_wait_goes_on_while_its_input_is_taken)
{
    talk<over_epoll> t;
    bool goes_on = true;
    t.user.takes = [&](error_code& error)
    {
        t.user.bytes.append(t.user.room.data(), t.channel.take_some(t.user.buffer(100), error));
        return goes_on;
    };
    t.wait_readable(channel::wake::likely);
    for (auto const* const all : {"one", "onetwo"})
    {
        t.say(t.user.bytes.empty() ? "one" : "two");
        BOOST_TEST(t.told_now() == "");
        BOOST_TEST(t.user.bytes == all);
    }
    t.channel.cancel_read();
    BOOST_TEST(t.told() == "read:aborted");
    t.say("three");
    BOOST_TEST(t.told_now() == "");
    t.wait_readable(channel::wake::likely);
    BOOST_TEST(t.told_now() == "");
    BOOST_TEST(t.user.bytes == "onetwothree");
    goes_on = false;
    t.say("last");
    BOOST_TEST(t.told() == "read");
    t.say("more");
    BOOST_TEST(t.told_now() == "");
    BOOST_TEST(t.user.bytes == "onetwothreelast");
    goes_on = true;
    t.wait_readable(channel::wake::likely);
    BOOST_TEST(t.told_now() == "");
    t.ends.far.shutdown(asio::socket_base::shutdown_send);
    t.user.takes = nullptr;
    BOOST_TEST(t.told() == "read");
}

}  // namespace duet_test::channels
#endif
