// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Messages when there is no memory, at each allocation in turn: the call tells so, and nothing hangs.

#define BOOST_TEST_MODULE framing.out_of_memory
#include <duet/framing.hpp>

#include <boost/test/unit_test.hpp>

#include "session/operations.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/failing_allocations.hpp"
#include "support/told_result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <optional>
#include <string_view>
#include <utility>

using namespace duet_test;
using unix_socket = asio::local::stream_protocol::socket;
using message = std::optional<std::string_view>;

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

/// Calls next() while the peer does not take what was put, and lets one allocation of that call fail. False: it made
/// fewer.
bool next_is_held_back(long before)
{
    asio::io_context context;
    prepare(context);
    unix_socket near{context};
    unix_socket peer{context};
    asio::local::connect_pair(near, peer);
    duet::unix_session session{std::move(near)};
    told_result<message> got;
    bool failed = false;
    {
        duet::frame_stream messages{session, duet::length_prefix{}, 100};
        messages.put(pattern(2'000'000));  // more than the kernel takes
        BOOST_TEST(session.bytes_queued() > 0U);
        auto handler = got.handler();
        allocations_before_failure = before;
        allocations_to_fail = 1;
        messages.next()(std::move(handler));
        failed = std::exchange(allocations_to_fail, 0) == 0;
        context.poll();
        BOOST_TEST(got.calls == (failed ? 1 : 0));
        if (failed)
            BOOST_TEST(*got.error == asio::error::no_memory);
        session.abort();
        context.restart();
        context.run_for(run_guard);
    }
    BOOST_TEST(got.calls == 1);
    return failed;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_next_that_is_held_back_fails_with_no_memory)
{
    long before = 0;
    while (next_is_held_back(before))
        ++before;
    BOOST_TEST(before > 1);  // its handler, and its place in the queue of writes
}

#else

BOOST_AUTO_TEST_CASE(allocations_cannot_be_replaced_here)
{
    BOOST_TEST(true);
}

#endif
