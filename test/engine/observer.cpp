// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What an observer of a connection is told, and that the connection behaves as one that nobody observes.

#define BOOST_TEST_MODULE engine.observer
#include <duet/server.hpp>
#include <duet/testing/manual_clock.hpp>
#include <duet/testing/memory_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using duet::error_code;
using duet::session_state;
using namespace duet::detail;
using duet::testing::memory_session;
using duet::testing::memory_stream;

namespace {

/// Writes down what it is told: "name", "name=bytes" or "name!" for one that would block, "name?" for one that failed.
class recorder final : public connection_observer
{
public:
    char const* on_operation(char const* name, std::size_t size) noexcept override
    {
        calls_.push_back({name, {}});
        calls_.back().text = std::string{name} + '#' + std::to_string(calls_.size());
        told_ += (told_.empty() ? "" : " ") + calls_.back().text + '(' + std::to_string(size) + ')';
        return calls_.back().text.c_str();
    }

    bool on_result(char const*& name, duet::error_code const& result, std::size_t size) noexcept override
    {
        for (auto const& call : calls_)
            if (call.text.c_str() == name)
            {
                told_ += (told_.empty() ? "" : " ") + call.text + '=' + std::to_string(size) +
                         (result ? '?' + result.message() : "");
                name = call.name;
                return true;
            }
        return false;
    }

    /// The calls and their results: "read_some#1(64) read_some#1=2".
    std::string take_calls() { return std::exchange(told_, {}); }

    void on_call(channel_call what, error_code const& result, std::size_t size) noexcept override
    {
        static constexpr std::array names{
            "read", "write", "take", "discard", "fin", "reset", "close", "cancel_read", "cancel_gone"};
        note(names.at(static_cast<std::size_t>(what)), result, size);
    }

    void on_wait_begun(channel_wait what) noexcept override { note(std::string{"wait_"} + name_of(what), {}, 0); }

    void on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept override
    {
        note(std::string{"got_"} + name_of(what), result, size);
    }

    void on_state(duet::lifecycle const& now, error_code const& error) noexcept override
    {
        std::string text{to_string(now.state())};
        if (now.closing())
            text = "closing," + text;
        note('[' + text + ']', {}, 0);
        last_error = error;
    }

    std::string take() { return std::exchange(text_, {}); }

    error_code last_error;

private:
    static char const* name_of(channel_wait what)
    {
        static constexpr std::array names{"read", "readable", "writable", "gone", "turn"};
        return names.at(static_cast<std::size_t>(what));
    }

    void note(std::string what, error_code const& result, std::size_t size)
    {
        if (result == asio::error::would_block)
            what += '!';
        else if (result == asio::error::eof)
            what += ":fin";
        else if (result)
            what += '?';
        if (size > 0)
            what += '=' + std::to_string(size);
        text_ += text_.empty() ? what : ' ' + what;
    }

    struct told_call
    {
        char const* name;
        std::string text;
    };

    std::string text_;
    std::string told_;
    std::deque<told_call> calls_;
};

/// The observer outlives the session here.
template <class Session>
void observe(Session const& session, connection_observer* observer)
{
    std::shared_ptr<connection_observer> unowned{std::shared_ptr<void>{}, observer};
    session_access::connection(session)->observe(observer ? std::move(unowned) : nullptr);
}

struct memory_fixture
{
    template <class Operation>
    void start(Operation operation)
    {
        asio::co_spawn(context, std::move(operation), asio::detached);
        clock.run_ready();
    }

    recorder seen;
    std::array<char, 16> room{};
    asio::io_context context;
    duet::testing::manual_clock clock{context};
    std::pair<memory_stream, memory_stream> ends{memory_stream::pair(context.get_executor())};
    memory_session a{std::move(ends.first)};
    memory_session b{std::move(ends.second)};
};

template <class Session>
asio::awaitable<void> read_into(Session& session, std::string& into)
{
    std::array<char, 64> buffer{};
    std::size_t const size = co_await session.read_some(asio::buffer(buffer));
    into.append(buffer.data(), size);
}

template <class Session>
asio::awaitable<void> write(Session& session, std::string text)
{
    co_await session.write(asio::buffer(text));
}

template <class Session>
asio::awaitable<void> finish(Session& session)
{
    co_await session.shutdown_send();
}

template <class Session>
asio::awaitable<void> close(Session& session)
{
    co_await session.close();
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_life_of_a_connection_passes_in_order, memory_fixture)
{
    std::string heard;
    observe(a, &seen);
    BOOST_TEST(seen.take() == "");

    start(read_into(a, heard));
    BOOST_TEST(seen.take() == "wait_read");
    start(write(b, "hello"));
    BOOST_TEST(seen.take() == "got_read=5");
    BOOST_TEST(heard == "hello");

    start(write(a, "you"));
    BOOST_TEST(seen.take() == "write=3");
    start(read_into(b, heard));

    start(finish(a));
    BOOST_TEST(seen.take() == "fin [half_closed_local]");
    start(close(b));
    start(read_into(a, heard));
    BOOST_TEST(seen.take() == "wait_read got_read:fin [closed]");

    start(close(a));
    BOOST_TEST(seen.take() == "close [closing,closed]");
    BOOST_TEST(a.report().clean());
}

BOOST_FIXTURE_TEST_CASE(a_deadline_is_seen_as_what_it_does, memory_fixture)
{
    duet::deadlines limits;
    limits.read = 1s;
    a.set_deadlines(limits);
    observe(a, &seen);
    std::string heard;
    start(read_into(a, heard));
    BOOST_TEST(seen.take() == "wait_read");
    clock.advance(2s);
    BOOST_TEST(seen.take() == "cancel_read got_read?");
}

BOOST_FIXTURE_TEST_CASE(an_abort_tells_the_state_with_the_reset, memory_fixture)
{
    observe(a, &seen);
    std::string heard;
    start(read_into(a, heard));
    seen.take();
    a.abort();
    clock.run_ready();
    BOOST_TEST(seen.take() == "reset [closed] got_read?");
    BOOST_TEST(seen.last_error == error_code{duet::errc::aborted});
}

BOOST_FIXTURE_TEST_CASE(the_programs_calls_are_told_with_their_results, memory_fixture)
{
    std::string heard;
    observe(a, &seen);
    start(read_into(a, heard));
    BOOST_TEST(seen.take_calls() == "read_some#1(64)");
    start(write(b, "hello"));
    BOOST_TEST(seen.take_calls() == "read_some#1=5");
    start(write(a, "you"));
    BOOST_TEST(seen.take_calls() == "write#2(3) write#2=3");
    a.async_read_some(asio::buffer(room), asio::detached);
    a.async_write_some(asio::buffer("four", 4), asio::detached);
    clock.run_ready();
    BOOST_TEST(seen.take_calls() == "async_read_some#3(16) async_write_some#4(4) async_write_some#4=4");
    start(finish(b));
    BOOST_TEST(seen.take_calls() == "async_read_some#3=0?End of file");
    start(read_into(a, heard));  // the peer's FIN is no error here
    start(close(a));
    BOOST_TEST(seen.take_calls() == "read_some#5(64) read_some#5=0 close#6(0)");
    start(close(b));
    clock.advance(1s);  // it asks now and then whether everything is acknowledged
    BOOST_TEST(seen.take_calls() == "close#6=0");
}

BOOST_FIXTURE_TEST_CASE(an_error_keeps_the_name_of_its_operation, memory_fixture)
{
    std::string text;
    auto const failing = [&]() -> asio::awaitable<void>
    {
        try
        {
            co_await a.read(asio::buffer(room));
        }
        catch (duet::session_error const& error)
        {
            text = error.operation();
        }
    };
    observe(a, &seen);
    start(failing());
    observe(a, nullptr);  // the result is told to whom the call was told
    a.abort();
    clock.run_ready();
    BOOST_TEST(text == "read");
    BOOST_TEST(seen.take_calls().starts_with("read#1(16) read#1=0?"));
}

BOOST_FIXTURE_TEST_CASE(abort_and_destructor_are_calls_too, memory_fixture)
{
    {
        auto first = std::move(a);
        observe(first, &seen);
    }
    BOOST_TEST(seen.take_calls() == "~session#1(0) ~session#1=0");
    observe(b, &seen);
    b.abort();
    BOOST_TEST(seen.take_calls() == "abort#2(0) abort#2=0");
}

BOOST_FIXTURE_TEST_CASE(nobody_is_told_any_more, memory_fixture)
{
    std::string heard;
    observe(a, &seen);
    start(read_into(a, heard));
    seen.take();
    observe(a, nullptr);
    start(write(b, "hello"));
    BOOST_TEST(heard == "hello");
    BOOST_TEST(seen.take() == "");
    observe(a, &seen);
    start(write(a, "you"));
    BOOST_TEST(seen.take() == "write=3");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_is_dropped_while_it_is_observed_leaves_nothing, memory_fixture)
{
    {
        auto dropped = std::move(a);
        observe(dropped, &seen);
        dropped.async_read_some(asio::buffer(room), asio::detached);
        clock.run_ready();
        seen.take();
    }
    clock.run_ready();
    BOOST_TEST(seen.take() == "close [closed] got_read?");
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_an_observed_session_along)
{
    recorder seen;
    std::array<char, 16> buffer{};
    {
        asio::io_context context;
        auto ends = memory_stream::pair(context.get_executor());
        memory_session session{std::move(ends.first)};
        observe(session, &seen);
        session.async_read_some(asio::buffer(buffer), asio::detached);
    }
    BOOST_TEST(!seen.take().empty());
}

namespace {

struct tcp_fixture
{
    explicit tcp_fixture([[maybe_unused]] bool in_reactor) : peer{context}
    {
#if defined(__linux__)
        if (in_reactor)
            reactor::use(context, 0);
#endif
        tcp::acceptor listener{context, {asio::ip::address_v4::loopback(), 0}};
        peer.connect(listener.local_endpoint());
        duet::session::stream_type accepted{context};
        listener.accept(accepted);
        auto const local = accepted.local_endpoint();
        auto const remote = accepted.remote_endpoint();
        accepted.non_blocking(true);
        session = session_access::begin<duet::session>(std::move(accepted), local, remote, {});
    }

    void read()
    {
        session->async_read_some(asio::buffer(buffer),
            [this](error_code const& error, std::size_t size)
            {
                ended = error;
                heard.append(buffer.data(), size);
            });
    }

    void run()
    {
        context.restart();
        while (!ended && context.run_one_for(30s) != 0)
        {
        }
        BOOST_REQUIRE(ended.has_value());
        BOOST_TEST(!*ended);
        ended.reset();
    }

    recorder seen;
    asio::io_context context;
    tcp::socket peer;
    std::optional<duet::session> session;
    std::array<char, 64> buffer{};
    std::string heard;
    std::optional<error_code> ended;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_wait_that_was_there_before_ends_unseen_in_asio_and_seen_in_the_reactor)
{
    for (bool const in_reactor : {false, true})
    {
        tcp_fixture talk{in_reactor};
        talk.read();
        observe(*talk.session, &talk.seen);
        asio::write(talk.peer, asio::buffer("one", 3));
        talk.run();
        BOOST_TEST(talk.heard == "one");
        auto const first = talk.seen.take();
#if defined(__linux__)
        BOOST_TEST(first == (in_reactor ? "got_read=3" : ""));
#endif
        talk.read();
        asio::write(talk.peer, asio::buffer("two", 3));
        talk.run();
        BOOST_TEST(talk.heard == "onetwo");
        BOOST_TEST(talk.seen.take().find("got_read=3") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_session_that_leaves_the_reactor_is_observed_on)
{
    tcp_fixture talk{true};
    observe(*talk.session, &talk.seen);
    talk.read();
    talk.session->lowest_layer();
    talk.seen.take();
    asio::write(talk.peer, asio::buffer("hello", 5));
    talk.run();
    BOOST_TEST(talk.heard == "hello");
    BOOST_TEST(talk.seen.take() == "got_read=5");
    talk.session.reset();
    BOOST_TEST(talk.seen.take() == "close [closed]");
}
