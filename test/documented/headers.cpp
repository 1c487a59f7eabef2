// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ in the comments of the public headers. It compiles; most of it needs a peer to run, and other tests run the
// like.

#define BOOST_TEST_MODULE documented.headers
#include <duet/diagram.hpp>
#include <duet/duet.hpp>
#include <duet/live_diagram.hpp>
#include <duet/merge.hpp>
#include <duet/pcapng.hpp>
#include <duet/tap.hpp>
#include <duet/testing/memory_stream.hpp>
#include <duet/testing/stream_conformance.hpp>
#include <duet/trace_file.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// acceptor.hpp
[[maybe_unused]] asio::awaitable<void> accept_all(asio::any_io_executor executor)
{
    duet::acceptor acceptor{executor, {boost::asio::ip::tcp::v6(), 7777}};
    for (;;)
    {
        duet::session peer = co_await acceptor.accept();
        co_await peer.close();
    }
}

[[maybe_unused]] asio::awaitable<void> serve(duet::session peer)
{
    co_await peer.close();
}

[[maybe_unused]] asio::awaitable<void> accept_on_a_strand(duet::acceptor& acceptor, asio::thread_pool& pool)
{
    duet::session peer = co_await acceptor.accept(asio::make_strand(pool));
    auto const executor = peer.get_executor();
    asio::co_spawn(executor, serve(std::move(peer)), asio::detached);
}

// connector.hpp
[[maybe_unused]] asio::awaitable<void> connect(asio::any_io_executor executor)
{
    duet::connector connector{executor, {.timeout = 5s}};
    duet::session peer = co_await connector.connect("localhost", "7777");
    co_await peer.close();
}

// hand_over.hpp
[[maybe_unused]] ::pid_t begin_successor(duet::server& server)
{
    ::pid_t const child = server.hand_over().start("/usr/bin/my_server", {"--port", "7777"});
    // When the successor says that it serves: co_await server.drain(10s), or return from duet::run().
    return child;
}

template <class Handler>
[[maybe_unused]] int succeed(asio::io_context& context, Handler handler)
{
    // In the successor, and in the first program alike:
    duet::server server{context, duet::inherited_descriptors(), {.port = 7777}, handler};
    return duet::run(context, server);
}

// kept_connection.hpp
void show(std::string const& line)
{
    std::cout << line;
}

asio::awaitable<bool> watch(duet::session& feed, duet::kept_trial& trial)
{
    std::string line;
    for (;;)
    {
        std::size_t const size = co_await feed.read_until(line, "\n", 4096);
        if (size == 0)
            co_return true;  // the peer has ended it: connect again
        trial.succeeded();
        show(line.substr(0, size));
        line.erase(0, size);
    }
}

[[maybe_unused]] asio::awaitable<void> keep(asio::io_context& context)
{
    duet::connector connector{context, {.timeout = 5s, .session = {.deadlines = {.read = 1min}}}};
    duet::kept_connection feed{std::move(connector), "feed.example", "7000", {.initial = 50ms, .maximum = 10s}};
    co_await feed.run(watch);
}

// framing.hpp
void use(std::string_view message)
{
    std::cout << message;
}

std::string_view answer_to(std::string_view line);

[[maybe_unused]] asio::awaitable<void> use_messages(duet::session& peer)
{
    duet::frame_reader messages{peer, duet::length_prefix{.bytes = 4}, 65536};
    for (;;)
    {
        auto const message = co_await messages.next();
        if (!message)
            break;
        use(*message);
    }
}

[[maybe_unused]] asio::awaitable<void> put_answers(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, 65536};
    for (;;)
    {
        auto const request = co_await messages.next();
        if (!request)
            break;
        messages.put(answer_to(*request));
    }
}

[[maybe_unused]] asio::awaitable<void> answer_what_came_together(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, 65536};
    auto message = co_await messages.next();
    for (; message; message = messages.next_buffered())
        messages.put(answer_to(*message));
}

// connection_pool.hpp
[[maybe_unused]] asio::awaitable<void> borrow(asio::io_context& context, std::string const& question)
{
    duet::connection_pool pool{duet::connector{context, {.timeout = 5s}}, "db.example", "7000", {.max_connections = 4}};
    // Often, from many coroutines:
    auto lease = co_await pool.acquire();
    co_await lease->write(question);
    std::string answer;
    std::size_t const size = co_await lease->read_until(answer, "\n", 4096);
    if (size == answer.size())
        lease.give_back();  // the whole answer was read, and nothing came behind it
}

// request_stream.hpp
[[maybe_unused]] asio::awaitable<void> ask_who(duet::session peer)
{
    duet::request_stream requests{std::move(peer), duet::length_prefix{.bytes = 4}, 65536};
    std::string const answer = co_await requests.ask("who?");  // from any number of coroutines
    co_await requests.close();
}

// serve_requests.hpp
namespace served {

asio::awaitable<std::string> answer_to(std::string request)
{
    co_return request;
}

asio::awaitable<void> serve(duet::session peer)
{
    co_await duet::serve_requests(peer, duet::length_prefix{.bytes = 4}, 65536, answer_to);
}

auto const handler = serve;

}  // namespace served

// line_reader.hpp
std::string_view answer_to(std::string_view line)
{
    return line;
}

[[maybe_unused]] asio::awaitable<void> answer_lines(duet::session& peer)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        co_await peer.write(answer_to(*line));
    }
}

// proxy_header.hpp
[[maybe_unused]] void remember_all(duet::proxy_header const& header)
{
    auto const remember = [](duet::proxy_tlv_type, std::string_view) {};
    for (duet::proxy_tlv const each : header.tlvs)
        remember(each.type, each.value);
}

// proxy_protocol.hpp
[[maybe_unused]] asio::awaitable<void> serve(duet::session peer, duet::proxy_options const& options)
{
    // In serve(), so that a peer that says nothing stops nobody:
    co_await duet::accept_proxy_header(peer, options);
}

[[maybe_unused]] asio::awaitable<void> accept_proxied(
    asio::any_io_executor executor, duet::acceptor& acceptor, duet::proxy_options const& options)
{
    duet::session peer = co_await acceptor.accept();
    asio::co_spawn(executor, serve(std::move(peer), options), asio::detached);
}

[[maybe_unused]] asio::awaitable<void> tell_of(duet::session& client, duet::session& backend)
{
    duet::proxy_header const header = duet::proxy_header_of(client);
    co_await duet::send_proxy_header(backend, header);
}

// connector.hpp
[[maybe_unused]] asio::awaitable<void> connect_for(asio::any_io_executor executor, duet::session& client)
{
    duet::connector connector{executor};
    connector.send_first(encode(duet::proxy_header_of(client)));
    duet::session backend = co_await connector.connect("backend.example", "443");
}

// release.hpp
[[maybe_unused]] void give_away(duet::session peer)
{
    asio::ip::tcp::socket socket = duet::release(std::move(peer));
}

// remote.hpp
[[maybe_unused]] asio::awaitable<void> reach(duet::session& peer, std::shared_ptr<std::string const> line)
{
    duet::remote member{peer};  // a copy for everybody who wants to reach it

    member.post([line](duet::session& s)  // on any thread; runs on that of the session
        { s.write(asio::buffer(*line))([line](duet::error_code, std::size_t) {}); });

    auto const size = co_await member.post([](duet::session& s) { return s.bytes_sent(); }, asio::use_awaitable);
    std::cout << size;
}

// run.hpp, server.hpp
[[maybe_unused]] int run_on_a_pool()
{
    auto const echo = [](duet::session peer) -> asio::awaitable<void> { co_await peer.close(); };
    asio::thread_pool pool{4};
    duet::server server{pool, {.port = 7777, .threads = 4}, echo};
    return duet::run(server);
}

[[maybe_unused]] int run_on_a_context(asio::io_context& context)
{
    asio::awaitable<void> echo(duet::session peer);

    duet::server server{context, {.port = 7777}, echo};
    return duet::run(context, server);
}

asio::awaitable<void> echo(duet::session peer)
{
    co_await peer.close();
}

asio::awaitable<bool> answer(duet::session& peer)
{
    auto const text = co_await peer.read_all(1000);
    co_return text.empty();
}

[[maybe_unused]] asio::awaitable<void> answer_messages(duet::session& peer)
{
    for (bool more = true, last = false; more && !last;)
    {
        last = peer.finish_requested();
        bool const readable = co_await peer.wait_readable();
        if (!readable)
            break;
        more = co_await answer(peer);
    }
}

// session.hpp
[[maybe_unused]] asio::awaitable<void> read_messages(duet::session& s)
{
    std::array<char, 4> header;
    for (;;)
    {
        auto const more = co_await s.read_or_end(asio::buffer(header));
        if (!more)
            break;
    }
}

// tasks.hpp
asio::awaitable<void> send_prices(duet::session& peer)
{
    co_await peer.shutdown_send();
}

asio::awaitable<void> answer_requests(duet::session& peer)
{
    co_await peer.close();
}

asio::awaitable<void> handler(duet::session peer)
{
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(send_prices(peer));
        co_await answer_requests(peer);
    };
    co_await duet::with_tasks(body, duet::tasks_end::cancel);
}

[[maybe_unused]] int run_with_tasks(asio::io_context& context)
{
    duet::server server{context, {.port = 7777}, handler};
    return duet::run(context, server);
}

// diagram.hpp, live_diagram.hpp, tap.hpp, trace.hpp
[[maybe_unused]] void draw(duet::trace_log const& log)
{
    duet::diagram const picture(log, 1);
    std::cout << picture.terminal(100);
    std::ofstream("connection.html") << picture.html();
}

[[maybe_unused]] void follow(duet::trace const& trace, std::uint64_t seen)
{
    duet::live_diagram live(1, {.width = 100});
    auto const more = trace.log(seen);  // trace_options::on_event tells when
    for (auto const& event : more.events)
        seen = std::max(seen, event.number);
    std::cout << live.add(more);
}

[[maybe_unused]] void capture(
    duet::trace_log& log, boost::asio::ip::tcp::endpoint const& server_endpoint, std::ostream& file)
{
    duet::tap tap{{.filters = {{server_endpoint}}}};
    auto captured = tap.take();
    duet::merge(log, captured);                        // duet/merge.hpp
    duet::write_pcapng(file, log, captured.segments);  // duet/pcapng.hpp
}

[[maybe_unused]] void record(duet::server& server, duet::connector& connector, std::ostream& file)
{
    duet::trace trace;
    trace.attach(server);                               // every session that it accepts from now on
    trace.attach(connector);                            // every attempt to connect, and the sessions that come of it
    duet::write_trace(file, trace.log());               // duet/trace_file.hpp
    std::cout << duet::diagram{trace.log(), 1}.text();  // duet/diagram.hpp
}

// server_options.hpp
[[maybe_unused]] void behind_a_proxy(duet::server_options& options)
{
    options.proxy_protocol = duet::proxy_options{.trusted = {"10.1.0.0/16", "unix"}};
}

struct my_stream
{
    static auto connected_pair(asio::any_io_executor const& executor)
    {
        return duet::testing::memory_stream::pair(executor);
    }
};

}  // namespace

// testing/stream_conformance.hpp
BOOST_AUTO_TEST_CASE(a_stream_is_asked_for_its_rules_as_documented)
{
    auto const make_pair = [](asio::any_io_executor executor) { return my_stream::connected_pair(executor); };
    auto const broken = duet::testing::check_stream(make_pair);
    BOOST_TEST(to_string(broken) == "");
}
