// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A relay where the kernel is the point: what a RST destroys, full buffers of the kernel's, cancelled waits,
// descriptors, and splice(2) with its time.

#include <duet/relay.hpp>

#define BOOST_TEST_MODULE relay.kernel

#include "relay/relay_fixture.hpp"
#include "support/pace.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::relay_report;

// P09: its last bytes and its reset come together, and the other side has no room for them.
BOOST_AUTO_TEST_CASE(P09_a_reset_with_the_last_bytes_is_noticed_while_the_other_side_takes_nothing)
{
    no_leaked_descriptors const descriptors;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            relayed line{executor};
            started<relay_report> relaying{executor, duet::relay(line.first, line.second)};
            co_await settle();
            std::string const other(1024 * 1024, 'x');
            auto const fill = [&]
            {
                auto const sent = ::send(line.second.native_handle(), other.data(), other.size(), MSG_DONTWAIT);
                return sent < 0 && unacknowledged_bytes(line.second.native_handle()) > 0;
            };
            eventually(fill, "there is no room");
            line.left.send_all(pattern(8 * 1024));
            line.left.reset();
            co_await until([&] { return relaying.done(); }, "the relay has ended");
            auto const report = co_await relaying.result();
            BOOST_TEST(!report.forward.finished);
            BOOST_TEST(report.forward.error == duet::condition::reset);
            BOOST_TEST(report.first.reason == close_reason::peer_reset);
        });
}

namespace {

// So many segments have come: tcpi_segs_in of <linux/tcp.h>, which excludes the system's own header.
std::uint32_t segments_in(int fd)
{
    constexpr std::size_t place = 140;
    std::array<unsigned char, 256> info{};
    auto size = static_cast<::socklen_t>(info.size());
    require(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.data(), &size) == 0, "TCP_INFO");
    std::uint32_t result = 0;
    std::memcpy(&result, info.data() + place, sizeof(result));
    return result;
}

}  // namespace

// An answer to a short connection costs a segment less, and the other host an acknowledgement. Asio does not tell of a
// FIN behind bytes.
BOOST_AUTO_TEST_CASE(a_fin_that_came_with_the_last_bytes_leaves_with_them)
{
    asio::io_context context;
    prepare(context);
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            relayed line{executor};
            line.left.send_all("the answer");
            line.left.shutdown_write();
            auto const before = segments_in(line.right.fd());
            started<relay_report> relaying{executor, duet::relay(line.first, line.second)};
            auto const hear = [&]
            {
                require(line.right.recv_all().data == "the answer", "all of it");
                auto const segments = segments_in(line.right.fd()) - before;
                line.right.close();
                line.left.close();
                return segments;
            };
            auto const segments = co_await in_thread(hear);
            BOOST_TEST((segments == 1U || !reactor_wanted()));
            auto const report = co_await relaying.result();
            BOOST_TEST(report.forward.finished);
        }());
}

// The peer said everything and its FIN, and went away: what it said is whole, and must not be destroyed.
BOOST_AUTO_TEST_CASE(P09_who_fails_after_its_fin_takes_nothing_from_the_other)
{
    auto const data = pattern(20'000);  // the other side has room for it
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            left.send_all(data);
            // A RST takes what is still on its way.
            eventually([&] { return unacknowledged_bytes(left.fd()) == 0; }, "all is there");
            left.close();
            eventually([&] { return state_of(right.fd()) == kernel_state::close_wait; }, "its FIN is passed on");
            // Answered by RST, as nobody is there any more; and on, until the relay has met it.
            require(right.send_some("a greeting").error == 0, "the greeting");
            require(right.recv_exactly(data.size()) == data, "all that was said");
            require(right.recv_some().eof(), "its end");
            right.close();
        });
    BOOST_TEST(report.forward.finished);
    BOOST_TEST(report.forward.bytes == data.size());
    BOOST_TEST(report.second.clean());
    BOOST_TEST(report.first.reason == close_reason::peer_reset);
    BOOST_TEST(!report.clean());
}

// It ends the other direction too, which is told why: not that it was cancelled, which nobody asked for.
BOOST_AUTO_TEST_CASE(a_reset_after_its_fin_is_the_error_of_the_other_direction)
{
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            left.shutdown_write();
            require(right.recv_some().eof(), "the FIN");
            auto const before = count_open_descriptors();
            left.reset();
            // A FIN of the right side's would be a good end, should it come in before the relay has met the reset.
            eventually(
                [&] { return count_open_descriptors() == before - 2; }, "both ends of the left connection close");
            right.close();
        });
    BOOST_TEST(report.forward.finished);
    BOOST_TEST(!report.backward.finished);
    BOOST_TEST(report.backward.error == duet::condition::reset);
}

// Nor is it a byte that the other side's deadline has just been looked at: each has bytes that nobody takes.
BOOST_AUTO_TEST_CASE(an_idle_relay_ends_though_both_sides_are_stuck)
{
    auto const report = play({.idle = 500ms * sanitizer_factor},
        [&](raw_socket& left, raw_socket& right)
        {
            try
            {
                right.fill_until_blocked();
                left.fill_until_blocked();
            }
            catch (std::system_error const&)
            {
                // The relay's time was over before it was done: then one side is stuck.
            }
            for (auto* const each : {&left, &right})
                eventually([&] { return state_of(each->fd()) == kernel_state::closed; }, "it is reset");
        });
    BOOST_TEST(!report.forward.finished);
    BOOST_TEST(!report.backward.finished);
    BOOST_TEST((report.first.reason == close_reason::timed_out || report.second.reason == close_reason::timed_out));
}

// While the receiver takes in what has been said, nobody reads from the sender: it is not idle for that.
BOOST_AUTO_TEST_CASE(a_slow_receiver_keeps_the_relay_from_being_idle)
{
    auto const idle = 400ms * sanitizer_factor;
    auto const data = pattern(1024 * 1024);
    for (bool const splice : {true, false})
    {
        for (pace receiver{idle}; receiver.is_to_play();)
        {
            auto const report = play(
                {.idle = idle, .splice = splice},
                [&](raw_socket& left, raw_socket& right)
                {
                    int failure = 0;
                    std::jthread const says{[&]
                        {
                            for (std::size_t size = 0; size < data.size() && failure == 0;)
                            {
                                auto const part = left.send_some(std::string_view{data}.substr(size));
                                size += part.size;
                                failure = part.error;
                            }
                        }};
                    received slowly;
                    for (auto const begin = guard_clock::now(); guard_clock::now() - begin < 4 * idle;)
                    {
                        receiver.step();
                        auto const part = right.recv_some(1024);
                        slowly.data += part.data;
                        slowly.error = part.error;
                        if (part.error != 0)
                            break;
                        ::poll(nullptr, 0, 10 * sanitizer_factor);
                    }
                    receiver.step();
                    if (!receiver.kept())
                        return;
                    require(slowly.error == 0, "the relay goes on");
                    slowly.data += right.recv_exactly(data.size() - slowly.data.size());
                    require(slowly.data == data, "all of it");
                    left.shutdown_write();
                    right.shutdown_write();
                    require_end(right.recv_all(), "", 0);
                    require_end(left.recv_all(), "", 0);
                },
                small_window, stalling());
            if (receiver.kept())
                BOOST_TEST(report.clean());
        }
    }
}

BOOST_AUTO_TEST_CASE(cancellation_resets_both)
{
    no_leaked_descriptors const descriptors;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            relayed line{executor};
            started<relay_report> relaying{executor, duet::relay(line.first, line.second)};
            line.left.send_all("begun");
            auto const arrival = [&] { return line.right.recv_exactly(5); };
            auto const begun = co_await in_thread(arrival);
            BOOST_TEST(begun == "begun");
            relaying.cancel();
            auto const report = co_await relaying.result();
            BOOST_TEST((report.forward.error == error::operation_aborted));
            BOOST_TEST((report.backward.error == error::operation_aborted));
            BOOST_TEST(report.forward.bytes == 5U);
            BOOST_TEST(report.first.reason == close_reason::aborted);
            BOOST_TEST(report.second.reason == close_reason::aborted);
            BOOST_TEST(line.left.recv_all().error == ECONNRESET);
            BOOST_TEST(line.right.recv_all().error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE(the_context_is_destroyed_in_the_middle)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    relayed line{context.get_executor()};
    line.left.send_all("x");
    started<relay_report> relaying{context.get_executor(), duet::relay(line.first, line.second)};
    while (unread_bytes(line.right.fd()) == 0)
        context.run_one_for(10ms);
}
