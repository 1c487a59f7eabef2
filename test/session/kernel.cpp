// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a session does to the kernel it lives on: it turns in no busy loop (P21), takes no descriptor that is not its
// own (P40), asks for nothing that it must not, and raises no signal (P33).

#define BOOST_TEST_MODULE session.kernel
#include <duet/session.hpp>

#include "session/edges_fixture.hpp"
#include "session/socket_calls.hpp"
#include "support/fd.hpp"
#include "support/kernel.hpp"
#include "support/process.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace duet_test::edges;
namespace error = boost::asio::error;

BOOST_AUTO_TEST_SUITE(busy_loops)  // P21

BOOST_AUTO_TEST_CASE(p21_half_closed_and_then_reset)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    int ended = 0;
    std::array<char, 64> buffer;
    std::string const text(16U << 20U, 'x');
    p.session.wait_peer_gone()([&](duet::error_code const&, duet::close_reason) { ++ended; });
    p.session.write(asio::buffer(text))([&](duet::error_code const&, std::size_t) { ++ended; });
    BOOST_TEST(drain(context) < 100U);
    p.peer().shutdown_write();
    p.session.read_some(asio::buffer(buffer))([&](duet::error_code const&, std::size_t) { ++ended; });
    BOOST_TEST(drain(context) < 100U);
    BOOST_TEST(ended == 1);  // the read, with the peer's FIN
    for (int look = 0; look < 20; ++look)
        BOOST_TEST(drain(context) == 0U);  // half-closed, with input that stays ready: nothing runs
    p.peer().reset();
    BOOST_TEST(drain(context) < 100U);
    BOOST_TEST(ended == 3);
    for (int look = 0; look < 20; ++look)
        BOOST_TEST(drain(context) == 0U);
}

BOOST_AUTO_TEST_CASE(p21_a_peer_that_finished_while_we_only_wait)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    int ended = 0;
    p.session.wait_peer_gone()([&](duet::error_code const&, duet::close_reason) { ++ended; });
    p.peer().send_all("unread");
    p.peer().shutdown_write();
    BOOST_TEST(drain(context) < 100U);
    for (int look = 0; look < 20; ++look)
        BOOST_TEST(drain(context) == 0U);
    BOOST_TEST(ended == 0);
}

// An urgent byte wakes the death watch, and stays where it is.
BOOST_AUTO_TEST_CASE(p21_urgent_data)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    int ended = 0;
    auto reason = duet::close_reason::none;
    p.session.wait_peer_gone()(
        [&](duet::error_code const&, duet::close_reason const told)
        {
            ++ended;
            reason = told;
        });
    drain(context);
    BOOST_TEST(::send(p.peer().fd(), "ab!", 3, MSG_OOB | MSG_NOSIGNAL) == 3);
    BOOST_TEST(drain(context) < 100U);
    for (int look = 0; look < 20; ++look)
        BOOST_TEST(drain(context) == 0U);
    BOOST_TEST(ended == 0);
    // What is read is the stream without it. (An urgent byte that is unread when the next one comes is the kernel's
    // data.)
    std::string text;
    auto const read_two = [&]
    {
        std::array<char, 2> buffer{};
        p.session.read(asio::buffer(buffer))(
            [&](duet::error_code const&, std::size_t const size) { text.append(buffer.data(), size); });
        drain(context);
    };
    read_two();
    BOOST_TEST(::send(p.peer().fd(), "cd!", 3, MSG_OOB | MSG_NOSIGNAL) == 3);
    BOOST_TEST(drain(context) < 100U);
    read_two();
    BOOST_TEST(text == "abcd");
    BOOST_TEST(ended == 0);
    p.peer().reset();
    drain(context);
    BOOST_TEST(ended == 1);
    BOOST_TEST((reason == duet::close_reason::peer_reset));
}

BOOST_AUTO_TEST_CASE(p21_close_waits_without_turning)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    int ended = 0;
    p.session.close()([&](duet::error_code const&, duet::close_report const&) { ++ended; });
    BOOST_TEST(drain(context) < 100U);
    p.peer().send_all("unread");
    BOOST_TEST(drain(context) < 100U);
    for (int look = 0; look < 20; ++look)
        BOOST_TEST(drain(context) == 0U);
    BOOST_TEST(ended == 0);
    p.peer().close();
    eventually([&] { return drain(context) != 0 && ended == 1; }, "close() ends");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(descriptors)  // P40

namespace {

enum class ending
{
    abort,
    destroy,
    close  // the peer has closed: it ends at once
};

// A session with everything outstanding ends, and the next one gets its descriptor, before any handler has run.
void end_and_reuse(ending const how)
{
    asio::io_context context;
    auto old = std::make_unique<pair_of>(context.get_executor());
    int const number = old->session.native_handle();
    std::string const text(16U << 20U, 'x');
    std::array<char, 64> buffer;
    int ended = 0;
    int succeeded = 0;
    auto const count = [&](duet::error_code const& code)
    {
        ++ended;
        succeeded += code ? 0 : 1;
    };
    duet::session& s = old->session;
    s.read_some(asio::buffer(buffer))([&](duet::error_code const& code, std::size_t) { count(code); });
    if (how != ending::close)
        s.write(asio::buffer(text))([&](duet::error_code const& code, std::size_t) { count(code); });
    else
        count(error::operation_aborted);
    s.delivered()(
        [&](duet::error_code const& code)
        {
            if (how != ending::close)
                count(code);
        });
    s.wait_peer_gone()([&](duet::error_code const&, duet::close_reason) { ++ended; });
    drain(context);
    // The lowest free number goes to the next descriptor: the connections are there already, and no lower one is free.
    std::vector<raw_pair> waiting;
    for (int each = 0; each < 3; ++each)
        waiting.push_back(connected());
    std::vector<descriptor> plugs;
    while (plugs.empty() || plugs.back().get() < number)
        plugs.emplace_back(checked(::dup(shared_listener().fd()), "dup"));

    switch (how)
    {
    case ending::abort:
        s.abort();
        break;
    case ending::destroy:
        old->session = duet::session{std::move(s)};  // a handle may move meanwhile
        old.reset();
        break;
    case ending::close:
        old->peer().close();
        s.close()([](duet::error_code const&, duet::close_report const&) {});
        eventually(
            [&]
            {
                drain(context, 1);
                return s.state() == duet::session_state::closed;
            },
            "close() ends");
        break;
    }

    std::vector<std::unique_ptr<pair_of>> later;
    bool reused = false;
    for (auto& raw : waiting)
    {
        later.push_back(std::make_unique<pair_of>(std::move(raw), context.get_executor()));
        reused = reused || later.back()->session.native_handle() == number;
    }
    BOOST_TEST(reused);
    int received = 0;
    int disturbed = 0;
    std::array<std::array<char, 64>, 3> buffers;
    for (std::size_t each = 0; each < later.size(); ++each)
    {
        auto& next = *later[each];
        next.session.wait_peer_gone()([&](duet::error_code const&, duet::close_reason) { ++disturbed; });
        next.session.read_some(asio::buffer(buffers[each]))(
            [&](duet::error_code const& code, std::size_t const size)
            {
                received += !code && size == 5 ? 1 : 0;
                disturbed += code ? 1 : 0;
            });
    }
    drain(context);
    if (old)
        BOOST_TEST(ended == 3 + (how == ending::close ? 0 : 1));
    else
        BOOST_TEST(ended == 4);
    BOOST_TEST(received == 0);
    BOOST_TEST(disturbed == 0);
    for (auto& next : later)
        next->peer().send_all("hello");
    drain(context);
    BOOST_TEST(received == 3);
    BOOST_TEST(disturbed == 0);
    old.reset();
    drain(context);
    BOOST_TEST(disturbed == 0);
    for (auto& next : later)
        next->session.abort();
    drain(context);
    BOOST_TEST(disturbed == 3);
}

}  // namespace

BOOST_AUTO_TEST_CASE(p40_the_next_session_gets_the_number)
{
    shared_listener();  // it stays
    no_leaked_descriptors const descriptors;
    for (int each = 0; each < 20; ++each)
    {
        end_and_reuse(ending::abort);
        end_and_reuse(ending::destroy);
        end_and_reuse(ending::close);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(calls_to_the_kernel)

// Everything a session does in its life, seen as what it asks of the kernel.
BOOST_AUTO_TEST_CASE(p14_p18_p33_what_is_never_asked)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    call_log const log{p.session.native_handle()};
    std::string const text(16U << 20U, 'x');
    std::array<char, 64> buffer;
    auto const ignore = [](duet::error_code const&, auto const&...) {};
    p.session.wait_peer_gone()(ignore);
    p.session.write(asio::buffer(buffer))(ignore);
    p.session.async_write_some(asio::buffer(buffer), [](duet::error_code const&, std::size_t) {});
    p.session.write(std::array<asio::const_buffer, 2>{asio::buffer(buffer), asio::buffer(text)})(ignore);
    p.session.read_some(asio::buffer(buffer))(ignore);
    p.session.shutdown_send()(ignore);
    p.session.delivered()(ignore);
    drain(context);
    p.peer().send_all("hello");
    drain(context);
    p.peer().shutdown_write();
    p.session.read_some(asio::buffer(buffer))(ignore);
    drain(context);
    p.peer().reset();
    drain(context);
    p.session.write(asio::buffer(buffer))(ignore);
    p.session.close()(ignore);
    drain(context);
    BOOST_TEST((p.session.close_reason() == duet::close_reason::peer_reset));

    for (auto const& each : log.named("shutdown"))
        BOOST_TEST(each.what == SHUT_WR);  // P37
    for (auto const& each : log.named("getsockopt"))
        BOOST_TEST(each.what != SO_ERROR);  // P18
    for (auto const& each : log.named("setsockopt"))
        BOOST_TEST(each.what != SO_LINGER);  // P14
    BOOST_TEST(!log.named("send").empty());
    for (auto const& each : log.named("send"))
        BOOST_TEST((each.what & MSG_NOSIGNAL) != 0);  // P33
}

BOOST_AUTO_TEST_CASE(p14_p37_fin_is_half_a_shutdown_and_the_only_linger_is_zero)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    call_log const log{p.session.native_handle()};
    p.session.shutdown_send()([](duet::error_code const&) {});
    drain(context);
    auto const shut = log.named("shutdown");
    BOOST_TEST(shut.size() == 1U);
    BOOST_TEST(shut.front().what == SHUT_WR);  // P37
    p.session.abort();
    auto const set = log.named("setsockopt");
    BOOST_TEST(set.size() == 1U);
    BOOST_TEST(set.front().what == SO_LINGER);
    BOOST_TEST(set.front().lingering.l_linger == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(signals)  // P33

namespace {

// Every way of writing to a peer that is gone, until it was told.
template <typename Session>
void write_to_the_departed(asio::io_context& context, Session& session)
{
    std::array<char, 64> const bytes{};
    std::array<asio::const_buffer, 2> const two{asio::buffer(bytes), asio::buffer(bytes)};
    duet::error_code last;
    auto const note = [&](duet::error_code const& code, auto const&...) { last = code; };
    for (int each = 0; each < 4; ++each)
    {
        session.write(asio::buffer(bytes))(note);
        drain(context);
        session.write(two)(note);
        drain(context);
        session.async_write_some(two, [&](duet::error_code const& code, std::size_t) { last = code; });
        drain(context);
        BOOST_TEST((each == 0 || last == duet::condition::reset));
    }
    session.wait_peer_gone()(note);
    session.delivered()(note);
    session.shutdown_send()(note);
    session.close()(note);
    drain(context);
    BOOST_TEST((session.close_reason() == duet::close_reason::peer_reset));
}

void write_to_the_departed_by_all_ways()
{
    asio::io_context context;
    {
        pair_of p{context.get_executor()};
        p.peer().close();
        write_to_the_departed(context, p.session);
    }
    {
        pair_of p{context.get_executor()};
        p.peer().reset();
        write_to_the_departed(context, p.session);
    }
    {
        // The queue takes another way than the first attempt.
        pair_of p{context.get_executor()};
        std::string const text(16U << 20U, 'x');
        duet::error_code last;
        p.session.write(asio::buffer(text))([&](duet::error_code const& code, std::size_t) { last = code; });
        drain(context);
        p.peer().reset();
        eventually(
            [&]
            {
                drain(context);
                return last == duet::condition::reset;
            },
            "the write fails");
    }
    {
        auto const name = std::string{'\0'} + "duet-edges-" + std::to_string(::getpid());
        auto raw = connected_pair(raw_address::local(name));
        auto session = adopt<duet::unix_session>(raw.client, context.get_executor());
        raw.server.close();
        write_to_the_departed(context, session);
    }
}

std::atomic<int> raised{0};

class sigpipe_counted
{
public:
    sigpipe_counted()
    {
        raised = 0;
        struct sigaction action
        {
        };
        action.sa_handler = [](int) { ++raised; };
        ::sigaction(SIGPIPE, &action, &before_);
    }

    ~sigpipe_counted() { ::sigaction(SIGPIPE, &before_, nullptr); }

    sigpipe_counted(sigpipe_counted const&) = delete;
    sigpipe_counted& operator=(sigpipe_counted const&) = delete;

private:
    struct sigaction before_
    {
    };
};

// This program once more, in a process of its own, with one of the tests that are disabled here.
exit_status run_alone(char const* const test)
{
    std::array<char, 4096> path{};
    checked(::readlink("/proc/self/exe", path.data(), path.size() - 1), "readlink");
    child_process child{
        {path.data(), std::string{"--run_test=signals/"} + test, "--catch_system_errors=no"}, child_errors::merged};
    child.close_input();
    auto const said = child.read_rest();
    auto const status = child.wait();
    BOOST_TEST_MESSAGE(said);
    return status;
}

}  // namespace

BOOST_AUTO_TEST_CASE(p33_no_sigpipe_is_raised)
{
    sigpipe_counted const handler;
    write_to_the_departed_by_all_ways();
    BOOST_TEST(raised == 0);
    // The disposition is the program's own.
    struct sigaction now
    {
    };
    ::sigaction(SIGPIPE, nullptr, &now);
    BOOST_TEST((now.sa_handler != SIG_IGN && now.sa_handler != SIG_DFL));
}

BOOST_AUTO_TEST_CASE(p33_alone_with_the_default_disposition, *boost::unit_test::disabled())
{
    ::signal(SIGPIPE, SIG_DFL);
    write_to_the_departed_by_all_ways();
    BOOST_TEST((::signal(SIGPIPE, SIG_DFL) == SIG_DFL));
}

BOOST_AUTO_TEST_CASE(p33_alone_without_protection, *boost::unit_test::disabled())
{
    ::signal(SIGPIPE, SIG_DFL);
    auto pair = connected_pair();
    pair.server.reset();
    eventually([&] { return ::send(pair.client.fd(), "x", 1, 0) == 0; }, "the process is gone");
}

BOOST_AUTO_TEST_CASE(p33_a_process_with_the_default_disposition_lives)
{
    auto const status = run_alone("p33_alone_with_the_default_disposition");
    BOOST_TEST(status.success());
    BOOST_TEST(status.signal == 0);
    // And it would have died: the test can fail.
    BOOST_TEST(run_alone("p33_alone_without_protection").signal == SIGPIPE);
}

BOOST_AUTO_TEST_SUITE_END()
