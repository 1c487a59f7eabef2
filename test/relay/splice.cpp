// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The relay where it moves bulk by splice(2): when it does, and that nothing is lost or different for it.

#define BOOST_TEST_MODULE relay.splice
#include <duet/relay.hpp>

#include "relay/relay_fixture.hpp"
#include "relay/splice_calls.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

using namespace duet_test;

namespace {

/// Descriptors of pipes in this process.
int pipe_ends()
{
    int count = 0;
    for (auto const& each : std::filesystem::directory_iterator{"/proc/self/fd"})
    {
        std::error_code gone;  // the iterator's own
        auto const what = std::filesystem::read_symlink(each.path(), gone).string();
        count += what.starts_with("pipe:") ? 1 : 0;
    }
    return count;
}

/// So many more pipes than when it was made; empty ones are kept.
class pipes_watched
{
public:
    bool are(int number) const { return pipe_ends() == before_ + 2 * number; }

    void become(int number) const
    {
        eventually([&] { return are(number); }, "the number of pipes");
    }

private:
    int before_ = pipe_ends();
};

std::string const& much()
{
    static auto const data = pattern(16 * 1024 * 1024);
    return data;
}

void carry_much(raw_socket& left, raw_socket& right)
{
    std::jthread const says{[&]
        {
            left.send_all(much());
            left.shutdown_write();
        }};
    require_end(right.recv_all(), much(), 0);
    right.shutdown_write();
}

void ask(raw_socket& from, raw_socket& to)
{
    from.send_all("small");
    require(to.recv_exactly(5) == "small", "a small message");
}

}  // namespace

BOOST_AUTO_TEST_CASE(bulk_has_a_pipe_and_small_messages_have_none)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            ask(left, right);
            require(pipes.are(0), "no pipe for a small message");
            std::jthread const says{[&] { left.send_all(much()); }};
            pipes.become(1);  // the right side takes nothing
            require(right.recv_exactly(much().size()) == much(), "the bulk");
            ask(left, right);
            ask(right, left);
            require(pipes.are(1), "no further pipe");
            left.shutdown_write();
            right.shutdown_write();
            require_end(right.recv_all(), "", 0);
            require_end(left.recv_all(), "", 0);
        });
    BOOST_TEST(report.clean());
    BOOST_TEST(pipes.are(0));  // it went with its context
    BOOST_TEST(report.forward.bytes == much().size() + 10);
    BOOST_TEST(report.backward.bytes == 5U);
    BOOST_TEST(report.first.bytes_received == much().size() + 10);
    BOOST_TEST(report.second.bytes_sent == much().size() + 10);
}

// It would be two descriptors of each relay whose peers say nothing.
BOOST_AUTO_TEST_CASE(a_direction_that_waits_holds_no_pipe)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            for (int i = 0; i < 3; ++i)
            {
                {
                    std::jthread const says{[&] { left.send_all(much()); }};
                    require(right.recv_exactly(much().size()) == much(), "the bulk");
                }
                std::jthread const says{[&] { right.send_all(much()); }};
                require(left.recv_exactly(much().size()) == much(), "the bulk back");
            }
            require(pipes.are(1), "one pipe for both, one after the other");
            left.shutdown_write();
            right.shutdown_write();
        });
    BOOST_TEST(report.clean());
}

BOOST_AUTO_TEST_CASE(bulk_goes_both_ways_at_once_to_its_fin)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            auto const say = [](raw_socket& peer)
            {
                peer.send_all(much());
                peer.shutdown_write();
            };
            std::jthread const from_left{[&] { say(left); }};
            std::jthread const from_right{[&] { say(right); }};
            std::jthread const at_left{[&] { require_end(left.recv_all(), much(), 0); }};
            require_end(right.recv_all(), much(), 0);
        });
    BOOST_TEST(report.clean());
    BOOST_TEST(report.forward.bytes == much().size());
    BOOST_TEST(report.backward.bytes == much().size());
    BOOST_TEST(pipes.are(0));
}

BOOST_AUTO_TEST_CASE(without_the_option_there_is_no_pipe)
{
    pipes_watched const pipes;
    auto const report = play({.splice = false},
        [&](raw_socket& left, raw_socket& right)
        {
            std::jthread const says{[&]
                {
                    left.send_all(much());
                    left.shutdown_write();
                }};
            for (std::size_t had = 0; had < much().size(); had += 1024 * 1024)
            {
                require(right.recv_exactly(1024 * 1024) == much().substr(had, 1024 * 1024), "the bulk");
                require(pipes.are(0), "no pipe");
            }
            right.shutdown_write();
            require_end(right.recv_all(), "", 0);
        });
    BOOST_TEST(report.clean());
}

BOOST_AUTO_TEST_CASE(without_descriptors_bulk_goes_by_the_buffer)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            ask(left, right);
            auto const none_left = descriptor_limit::of(3);
            left.send_all(std::string_view{much()}.substr(0, 65536));
            std::jthread const says{[&]
                {
                    left.send_all(std::string_view{much()}.substr(65536));
                    left.shutdown_write();
                }};
            require_end(right.recv_all(), much(), 0);
            right.shutdown_write();
        });
    BOOST_TEST(report.clean());
    BOOST_TEST(pipes.are(0));
}

BOOST_AUTO_TEST_CASE(where_splice_is_refused_bulk_goes_by_the_buffer)
{
    for (int const refusal : {EINVAL, EPERM, ENOSYS, EACCES})
    {
        calls const refused{{.splice_fails = refusal}};
        auto const report = play({}, carry_much);
        BOOST_TEST(report.clean());
        BOOST_TEST(calls::made().splice == 1);  // and is not tried again
    }
}

BOOST_AUTO_TEST_CASE(where_splice_is_refused_for_sockets_bulk_goes_by_the_buffer)
{
    for (int const refusal : {EINVAL, ENOMEM})
    {
        calls const refused{{.taking_fails = refusal}};
        auto const report = play({}, carry_much);
        BOOST_TEST(report.clean());
        BOOST_TEST(calls::made().splice == 2);  // it was asked before
    }
}

// A connection's error is told once, by whichever call comes first: the read behind it would say that this is the end.
BOOST_AUTO_TEST_CASE(P17_a_failure_that_splice_tells_is_no_end)
{
    for (int const failure : {EACCES, ETIMEDOUT, ECONNRESET, EPERM, EINVAL, ENOMEM})
    {
        // The last two are refusals as well, but of a connection that goes on.
        calls const failing{{.taking_fails = failure, .hangs_up = failure == EINVAL || failure == ENOMEM}};
        auto const report = play({},
            [&](raw_socket& left, raw_socket& right)
            {
                std::jthread const says{[&]
                    {
                        left.send_some(much());
                        ::shutdown(left.fd(), SHUT_WR);  // it may be reset by now
                    }};
                require(right.recv_all().error == ECONNRESET, "a reset for the receiver");
            });
        BOOST_TEST(!report.forward.finished);
        BOOST_TEST(report.forward.error.failed());
        BOOST_TEST(!report.clean());
    }
}

BOOST_AUTO_TEST_CASE(where_pipes_are_small_bulk_goes_by_the_buffer)
{
    calls const refused{{.resizing_fails = EPERM}};
    auto const report = play({}, carry_much);
    BOOST_TEST(report.clean());
    BOOST_TEST(calls::made().splice == 0);
}

BOOST_AUTO_TEST_CASE(a_receiver_that_is_gone_resets_the_sender)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            std::jthread const says{[&]
                {
                    auto said = left.send_some(much());
                    while (said.error == 0)
                        said = left.send_some(much());
                    require(said.error == ECONNRESET || said.error == EPIPE, "a reset for the sender");
                }};
            pipes.become(1);
            right.reset();
        });
    BOOST_TEST(!report.clean());
    BOOST_TEST(!report.forward.finished);
    BOOST_TEST(report.forward.error == duet::condition::reset);
    BOOST_TEST(pipes.are(0));
}

BOOST_AUTO_TEST_CASE(a_sender_that_is_gone_resets_the_receiver)
{
    pipes_watched const pipes;
    auto const report = play({},
        [&](raw_socket& left, raw_socket& right)
        {
            left.fill_until_blocked();
            pipes.become(1);
            left.reset();
            require(right.recv_all().error == ECONNRESET, "a reset for the receiver");
        });
    BOOST_TEST(!report.forward.finished);
    BOOST_TEST(report.forward.error == duet::condition::reset);
    BOOST_TEST(pipes.are(0));
}

// splice(2) stops in front of an urgent byte, and with the FIN behind it says the same as at the end.
BOOST_AUTO_TEST_CASE(P21_an_urgent_byte_in_bulk_stops_nothing)
{
    for (bool const fin_at_once : {true, false})
    {
        pipes_watched const pipes;
        auto const report = play({},
            [&](raw_socket& left, raw_socket& right)
            {
                auto const say = [&]
                {
                    left.send_all(much());
                    checked(::send(left.fd(), "!", 1, MSG_OOB | MSG_NOSIGNAL), "send");
                    left.send_all(much());
                    if (fin_at_once)
                        left.shutdown_write();
                };
                std::jthread says{say};
                pipes.become(1);
                require(right.recv_exactly(2 * much().size()) == much() + much(), "all but the urgent byte");
                says.join();
                if (!fin_at_once)
                    left.shutdown_write();
                right.shutdown_write();
                require_end(right.recv_all(), "", 0);
            });
        BOOST_TEST(report.clean());
    }
}

// splice(2) takes the error of a socket with it: the next read would see what looks like a FIN.
BOOST_AUTO_TEST_CASE(a_reset_that_splice_meets_is_kept_for_the_read)
{
    asio::io_context context;
    run(context,
        []() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto peers = connected_pair();
            duet::session session = adopt(peers.server, executor);
            peers.client.reset();
            duet::detail::splice_pipe pipe;
            BOOST_TEST_REQUIRE(pipe.open());
            BOOST_TEST(duet::detail::session_access::splice(session, pipe) == 0U);
            co_await expect_error(read(session), duet::condition::reset);
        }());
}

namespace {

/// The signals of this thread, for a scope.
class sigpipe_blocked
{
public:
    explicit sigpipe_blocked(bool blocked)
    {
        ::sigset_t one;
        ::sigemptyset(&one);
        ::sigaddset(&one, SIGPIPE);
        ::pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &one, &before_);
    }

    sigpipe_blocked(sigpipe_blocked const&) = delete;
    sigpipe_blocked& operator=(sigpipe_blocked const&) = delete;

    ~sigpipe_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    static bool now()
    {
        ::sigset_t set;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
        return ::sigismember(&set, SIGPIPE) == 1;
    }

    static bool pending()
    {
        ::sigset_t set;
        ::sigpending(&set);
        return ::sigismember(&set, SIGPIPE) == 1;
    }

    static void take()
    {
        ::sigset_t one;
        ::sigemptyset(&one);
        ::sigaddset(&one, SIGPIPE);
        int number = 0;
        ::sigwait(&one, &number);
    }

private:
    ::sigset_t before_{};
};

/// A write from a pipe to a socket whose reset has been told already: the next thing it gets is EPIPE, and SIGPIPE.
void meet_epipe()
{
    auto from = connected_pair();
    auto to = connected_pair();
    from.client.send_all("some bytes");
    duet::detail::splice_pipe pipe;
    BOOST_REQUIRE(pipe.open());
    duet::error_code error;
    eventually([&] { return pipe.take(from.server.fd(), error) == 10; }, "the bytes");
    to.client.reset();
    BOOST_TEST(to.server.recv_all().error == ECONNRESET);
    BOOST_TEST(pipe.give(to.server.fd(), 10, error) == 0U);
    BOOST_TEST(error.value() == EPIPE);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_pipe_to_a_peer_that_is_gone_raises_no_signal)
{
    for (bool const blocked : {false, true})
    {
        sigpipe_blocked const scope{blocked};
        meet_epipe();
        BOOST_TEST(sigpipe_blocked::now() == blocked);
        BOOST_TEST(!sigpipe_blocked::pending());
    }
}

// What one relay has left in it would come out in another.
BOOST_AUTO_TEST_CASE(a_pipe_with_bytes_in_it_is_nobodys_next)
{
    asio::io_context context;
    auto& pipes = asio::use_service<duet::detail::splice_pipes>(context);
    auto peers = connected_pair();
    duet::error_code error;
    for (std::string const text : {"left over", "fresh"})
    {
        peers.client.send_all(text);
        duet::detail::borrowed_pipe pipe{pipes};
        eventually([&] { return pipe->take(peers.server.fd(), error) == text.size(); }, "the bytes");
        if (text == "fresh")
            BOOST_TEST(pipe->give(peers.server.fd(), text.size(), error) == text.size());
    }
    BOOST_TEST(peers.client.recv_exactly(5) == "fresh");
}

// splice(2) sends in several parts: when the peer goes between two, it tells what was given, and has raised the signal.
BOOST_AUTO_TEST_CASE(a_pipe_to_a_peer_that_goes_half_way_raises_no_signal)
{
    sigpipe_blocked const scope{false};
    auto from = connected_pair();
    auto to = connected_pair();
    from.client.send_all("some bytes");
    duet::detail::splice_pipe pipe;
    BOOST_REQUIRE(pipe.open());
    duet::error_code error;
    eventually([&] { return pipe.take(from.server.fd(), error) == 10; }, "the bytes");
    {
        calls const half{{.ends_half_way = true}};
        BOOST_TEST(pipe.give(to.server.fd(), 10, error) == 5U);
    }
    BOOST_TEST(!error);
    BOOST_TEST(!sigpipe_blocked::pending());
    BOOST_TEST(pipe.give(to.server.fd(), 5, error) == 5U);
    BOOST_TEST(to.client.recv_exactly(10) == "some bytes");
}

BOOST_AUTO_TEST_CASE(the_signal_of_somebody_else_stays)
{
    sigpipe_blocked const scope{true};
    ::raise(SIGPIPE);
    meet_epipe();
    BOOST_TEST(sigpipe_blocked::pending());
    sigpipe_blocked::take();
}
