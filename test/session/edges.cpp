// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The edges: FIN and data in one event of the reactor, resets behind data, urgent data, descriptors that are used
// again, signals, and what a session asks the kernel for.

#define BOOST_TEST_MODULE session.edges
#include <duet/session.hpp>

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/in_thread.hpp"
#include "support/kernel.hpp"
#include "support/process.hpp"
#include "support/started.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

// ---- What is asked of the kernel: calls of this program that pass by here on their way to the C library.
// -------------

namespace {

struct socket_call
{
    char const* name;
    int what;  // shutdown's direction, the option's name, or the flags of a send
    linger lingering;
};

// The calls that were made on one descriptor.
class call_log
{
public:
    explicit call_log(int const fd)
    {
        std::scoped_lock const lock{mutex};
        watched = fd;
        calls.clear();
    }

    ~call_log()
    {
        std::scoped_lock const lock{mutex};
        watched = -1;
    }

    call_log(call_log const&) = delete;
    call_log& operator=(call_log const&) = delete;

    static void note(int const fd, socket_call const& call)
    {
        std::scoped_lock const lock{mutex};
        if (fd == watched)
            calls.push_back(call);
    }

    static std::vector<socket_call> named(std::string_view const name)
    {
        std::scoped_lock const lock{mutex};
        auto result = calls;
        std::erase_if(result, [&](socket_call const& each) { return each.name != name; });
        return result;
    }

private:
    static inline std::mutex mutex;
    static inline int watched = -1;
    static inline std::vector<socket_call> calls;
};

template <typename Function>
Function* next_in_line(char const* const name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int shutdown(int const fd, int const how) noexcept
{
    static auto* const next = next_in_line<int(int, int)>("shutdown");
    call_log::note(fd, {"shutdown", how, {}});
    return next(fd, how);
}

extern "C" int setsockopt(
    int const fd, int const level, int const name, void const* const value, socklen_t const size) noexcept
{
    static auto* const next = next_in_line<int(int, int, int, void const*, socklen_t)>("setsockopt");
    if (level == SOL_SOCKET)
        call_log::note(fd, {"setsockopt", name, name == SO_LINGER ? *static_cast<linger const*>(value) : linger{}});
    return next(fd, level, name, value, size);
}

extern "C" int getsockopt(
    int const fd, int const level, int const name, void* const value, socklen_t* const size) noexcept
{
    static auto* const next = next_in_line<int(int, int, int, void*, socklen_t*)>("getsockopt");
    if (level == SOL_SOCKET)
        call_log::note(fd, {"getsockopt", name, {}});
    return next(fd, level, name, value, size);
}

extern "C" ssize_t send(int const fd, void const* const data, size_t const size, int const flags)
{
    static auto* const next = next_in_line<ssize_t(int, void const*, size_t, int)>("send");
    call_log::note(fd, {"send", flags, {}});
    return next(fd, data, size, flags);
}

extern "C" ssize_t sendmsg(int const fd, msghdr const* const message, int const flags)
{
    static auto* const next = next_in_line<ssize_t(int, msghdr const*, int)>("sendmsg");
    call_log::note(fd, {"send", flags, {}});
    return next(fd, message, flags);
}

namespace {

// One port for all the connections here: with thousands of them in TIME_WAIT, the kernel takes milliseconds to find
// each listener another one.
raw_listener& shared_listener()
{
    static raw_listener listener;
    return listener;
}

raw_pair connected()
{
    auto client = raw_socket::start_connect(shared_listener().address());
    auto server = shared_listener().accept();
    client.wait_connected();
    return {std::move(client), std::move(server)};
}

// A session, and a raw peer that does what the test says. It ends with RST, which leaves nothing in TIME_WAIT.
struct pair_of
{
    explicit pair_of(asio::any_io_executor const& executor, duet::session_options const& options = {})
        : pair_of{connected(), executor, options}
    {
    }

    pair_of(raw_pair existing, asio::any_io_executor const& executor, duet::session_options const& options = {})
        : raw{std::move(existing)}, session{adopt(raw.client, executor, options)}
    {
    }

    ~pair_of()
    {
        if (session.valid())
            session.abort();
    }

    pair_of(pair_of const&) = delete;
    pair_of& operator=(pair_of const&) = delete;

    raw_socket& peer() { return raw.server; }

    raw_pair raw;
    duet::session session;
};

asio::awaitable<std::string> read(duet::session& session, std::size_t const limit = 4096)
{
    std::string text(limit, '\0');
    auto const size = co_await session.read_some(asio::buffer(text));
    text.resize(size);
    co_return text;
}

asio::awaitable<std::string> read_exactly(duet::session& session, std::size_t const size)
{
    std::string text(size, '\0');
    auto const got = co_await session.read(asio::buffer(text));
    text.resize(got);
    co_return text;
}

asio::awaitable<std::string> read_all(duet::session& session)
{
    auto text = co_await session.read_all(1024 * 1024);
    co_return text;
}

asio::awaitable<std::size_t> write(duet::session& session, std::string const& text)
{
    auto const size = co_await session.write(asio::buffer(text));
    co_return size;
}

// One segment with data and FIN.
void say_and_finish(raw_socket& peer, std::string_view const text)
{
    checked(::send(peer.fd(), text.data(), text.size(), MSG_NOSIGNAL | MSG_MORE), "send");
    peer.shutdown_write();
}

// Runs what is ready on the context, one handler at a time, and says how many there were: with a limit, since a handler
// that always brings the next one would never let it end.
std::size_t drain(asio::io_context& context, std::size_t const limit = 1000)
{
    std::size_t count = 0;
    context.restart();
    while (count < limit && context.poll_one() != 0)
        ++count;
    return count;
}

constexpr int repeats = 1000 / sanitizer_factor;

}  // namespace

BOOST_AUTO_TEST_SUITE(data_and_fin_in_one_edge)  // P39

BOOST_AUTO_TEST_CASE(p39_before_the_read)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                pair_of p{executor};
                say_and_finish(p.peer(), "last words");
                auto const text = co_await read(p.session);
                BOOST_REQUIRE(text == "last words");
                BOOST_REQUIRE((p.session.receive_state() == duet::receive_state::open));
                auto const end = co_await read(p.session);
                BOOST_REQUIRE(end == "");
                BOOST_REQUIRE((p.session.receive_state() == duet::receive_state::ended));
                auto const again = co_await read(p.session);
                BOOST_REQUIRE(again == "");
            }
        });
}

BOOST_AUTO_TEST_CASE(p39_while_the_read_waits)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                pair_of p{executor};
                started<std::string> reading{executor, read(p.session)};
                co_await settle();
                say_and_finish(p.peer(), "last words");
                auto const text = co_await reading.result();
                BOOST_REQUIRE(text == "last words");
                auto const end = co_await read(p.session);
                BOOST_REQUIRE(end == "");
            }
        });
}

// The buffer is as large as the data: the read that takes it has not seen the FIN, and the reactor will not tell again.
BOOST_AUTO_TEST_CASE(p39_into_a_buffer_of_exactly_that_size)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                        say_and_finish(p.peer(), "last words");
                    started<std::string> reading{executor, read(p.session, 10)};
                    co_await settle();
                    if (waits)
                        say_and_finish(p.peer(), "last words");
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                    auto const end = co_await read(p.session, 10);
                    BOOST_REQUIRE(end == "");
                }
            }
        });
}

BOOST_AUTO_TEST_CASE(p39_read_all)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                        say_and_finish(p.peer(), "last words");
                    started<std::string> reading{executor, read_all(p.session)};
                    co_await settle();
                    if (waits)
                        say_and_finish(p.peer(), "last words");
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                }
            }
        });
}

BOOST_AUTO_TEST_CASE(p38_p39_exact_reads)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (bool const waits : {false, true})
            {
                pair_of whole{executor};
                pair_of cut{executor};
                auto const speak = [&]
                {
                    say_and_finish(whole.peer(), "0123456789");
                    say_and_finish(cut.peer(), "01234");
                };
                if (!waits)
                    speak();
                started<std::string> whole_read{executor, read_exactly(whole.session, 10)};
                started<std::string> cut_read{executor, read_exactly(cut.session, 10)};
                co_await settle();
                if (waits)
                    speak();
                auto const text = co_await whole_read.result();
                BOOST_TEST(text == "0123456789");
                auto const end = co_await read_exactly(whole.session, 10);
                BOOST_TEST(end == "");
                co_await expect_error(cut_read.result(), duet::condition::truncated);
                BOOST_TEST((cut.session.receive_state() == duet::receive_state::ended));
                auto const after = co_await read(cut.session);
                BOOST_TEST(after == "");
            }
        });
}

BOOST_AUTO_TEST_CASE(fin_with_nothing_before_it)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            auto const readable = [&]() -> asio::awaitable<bool>
            {
                bool const result = co_await p.session.wait_readable();
                co_return result;
            };
            started<bool> waiting{executor, readable()};
            co_await settle();
            BOOST_TEST(!waiting.done());
            p.peer().shutdown_write();
            bool const told = co_await waiting.result();
            BOOST_TEST(told);
            BOOST_TEST((p.session.receive_state() == duet::receive_state::open));  // nothing was read
            auto const end = co_await read(p.session);
            BOOST_TEST(end == "");
            auto const all = co_await read_all(p.session);
            BOOST_TEST(all == "");
        });
}

// Callbacks are counted here: a read is told once what it was told.
BOOST_AUTO_TEST_CASE(p39_each_event_is_told_once)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    std::array<char, 64> buffer;
    int data = 0;
    int ends = 0;
    int others = 0;
    std::function<void()> const next = [&]
    {
        p.session.async_read_some(asio::buffer(buffer),
            [&](duet::error_code const& code, std::size_t const size)
            {
                data += !code && size == 5 ? 1 : 0;
                ends += code == error::eof && size == 0 ? 1 : 0;
                others += (!code && size == 5) || code == error::eof ? 0 : 1;
                if (!code)
                    next();
            });
    };
    next();
    drain(context);
    say_and_finish(p.peer(), "words");
    drain(context);
    drain(context);
    BOOST_TEST(data == 1);
    BOOST_TEST(ends == 1);
    BOOST_TEST(others == 0);
}

BOOST_AUTO_TEST_CASE(many_small_segments_and_fin)
{
    constexpr int count = 2000;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            int const on = 1;
            checked(::setsockopt(p.peer().fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
            started<std::string> reading{executor, read_all(p.session)};
            co_await settle();
            std::string const expected = co_await in_thread(
                [&]
                {
                    std::string all;
                    for (int each = 0; each < count; ++each)
                    {
                        auto const piece = std::to_string(each) + ' ';
                        p.peer().send_all(piece);
                        all += piece;
                    }
                    p.peer().shutdown_write();
                    return all;
                });
            auto const text = co_await reading.result();
            BOOST_TEST((text == expected));
        });
}

BOOST_AUTO_TEST_CASE(p20_data_and_reset)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats / 10; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                    {
                        p.peer().send_all("last words");
                        p.peer().reset();
                    }
                    started<std::string> reading{executor, read(p.session)};
                    co_await settle();
                    if (waits)
                    {
                        p.peer().send_all("last words");
                        p.peer().reset();
                    }
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                    co_await expect_error(read(p.session), duet::condition::reset);
                    co_await expect_error(read(p.session), duet::condition::reset);
                    co_await expect_error(write(p.session, "x"), duet::condition::reset);
                }
            }
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(limits_at_their_ends)

BOOST_AUTO_TEST_CASE(read_all_without_a_limit)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            say_and_finish(p.peer(), "last words");
            auto const text = co_await p.session.read_all(std::numeric_limits<std::size_t>::max());
            BOOST_TEST(text == "last words");
        });
}

BOOST_AUTO_TEST_CASE(read_all_of_exactly_the_limit)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of enough{executor};
            pair_of short_by_one{executor};
            pair_of nothing{executor};
            say_and_finish(enough.peer(), "last words");
            say_and_finish(short_by_one.peer(), "last words");
            say_and_finish(nothing.peer(), "");
            auto const text = co_await enough.session.read_all(10);
            BOOST_TEST(text == "last words");
            co_await expect_error(short_by_one.session.read_all(9), duet::errc::limit_exceeded);
            auto const empty = co_await nothing.session.read_all(0);
            BOOST_TEST(empty == "");
        });
}

BOOST_AUTO_TEST_CASE(read_until_nothing_is_refused)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            p.peer().send_all("line\n");
            std::string buffer;
            // 0 would mean the peer's FIN.
            co_await expect_error(p.session.read_until(buffer, "", 10), error::invalid_argument);
            auto const size = co_await p.session.read_until(buffer, "\n", std::numeric_limits<std::size_t>::max());
            BOOST_TEST(size == 5U);
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(deadlines_of_a_session_that_does_nothing)

// Nobody reads, writes or waits: the deadlines that are the session's own pass all the same.
BOOST_AUTO_TEST_CASE(p07_idle_and_first_message)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::session_options idle;
            idle.deadlines.idle = 50ms;
            duet::session_options first;
            first.deadlines.first_message = 50ms;
            pair_of p{executor, idle};
            pair_of q{executor, first};
            co_await until([&] { return p.session.state() == duet::session_state::closed; }, "idle for too long");
            co_await until([&] { return q.session.state() == duet::session_state::closed; }, "no message for too long");
            BOOST_TEST((p.session.error() == duet::errc::idle_timed_out));
            BOOST_TEST((q.session.error() == duet::errc::first_message_timed_out));
            BOOST_TEST(p.peer().recv_some().error == ECONNRESET);
            BOOST_TEST(q.peer().recv_some().error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_SUITE_END()

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
