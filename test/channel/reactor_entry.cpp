// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// How a socket comes into a reactor of duet's, and goes out again.

#define BOOST_TEST_MODULE channel.reactor_entry
#include <duet/detail/channel/reactor.hpp>

#include "channel/reactor_fixture.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>

using namespace duet_test;

namespace {

/// Which epolls of this process a socket is in, by /proc/self/fdinfo.
std::set<std::string> epolls_of(int socket)
{
    std::set<std::string> result;
    for (auto const& each : std::filesystem::directory_iterator{"/proc/self/fdinfo"})
    {
        std::ifstream file{each.path()};
        for (std::string word; file >> word;)
            if (word == "tfd:" && file >> word && word == std::to_string(socket))
                result.insert(each.path().filename());
    }
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_under_way_goes_on_when_the_lowest_layer_is_asked_for)
{
    asio::io_context context;
    talk one{context, stalling(), small_window};
    one.read();
    bool written = false;
    std::optional<duet::close_reason> gone;
    auto const text = pattern(long_write);
    asio::async_write(one.session, asio::buffer(text), [&](duet::error_code error, std::size_t) { written = !error; });
    auto const watch = [&]() -> asio::awaitable<void> { gone = co_await one.session.wait_peer_gone(); };
    asio::co_spawn(context, watch(), asio::detached);
    context.poll();
    auto const before = epolls_of(one.session.native_handle());
    one.session.lowest_layer().set_option(asio::ip::tcp::no_delay{true});
    auto const after = epolls_of(one.session.native_handle());
    BOOST_TEST((before.size() == 1 && after.size() == 1 && before != after));
    one.peer.send_all("hello");
    std::string heard;
    std::thread reads{[&] { heard = one.peer.recv_exactly(long_write); }};
    run_until(context, [&] { return one.told && written; });
    reads.join();
    BOOST_TEST(one.data() == "hello");
    BOOST_TEST((heard == text));
    one.peer.reset();
    run_until(context, [&] { return gone.has_value(); });
    BOOST_TEST(*gone == duet::close_reason::peer_reset);
}

BOOST_AUTO_TEST_CASE(a_cancellation_under_way_goes_on_when_the_lowest_layer_is_asked_for)
{
    asio::io_context context;
    talk one{context};
    std::optional<duet::error_code> first;
    one.read(
        [&](duet::error_code error, std::size_t)
        {
            first = error;
            one.read();
        });
    one.session.cancel();
    one.session.lowest_layer();
    run_until(context, [&] { return first.has_value(); });
    BOOST_TEST((first == asio::error::operation_aborted));
    context.poll();
    one.peer.send_all("x");
    context.run();
    BOOST_TEST(one.data() == "x");
    one.peer.send_all("y");  // no read of before is left to take it
    context.restart();
    context.run();
    one.read();
    context.restart();
    context.run();
    BOOST_TEST(one.data() == "y");
}

BOOST_AUTO_TEST_CASE(a_read_with_a_turn_to_come_goes_on_when_the_lowest_layer_is_asked_for)
{
    asio::io_context context;
    talk one{context};
    std::array<char, 4> room{};
    std::string heard;
    auto const keep = [&](duet::error_code, std::size_t size) { heard.append(room.data(), size); };
    auto const first = [&](duet::error_code error, std::size_t size)
    {
        keep(error, size);
        // It begins with a full one behind it, so it may find something.
        one.session.read(asio::buffer(room))(keep);
        one.session.lowest_layer();
    };
    one.session.read(asio::buffer(room))(first);
    one.peer.send_all("1234");
    context.poll();
    BOOST_TEST(heard == "1234");
    one.peer.send_all("5678");
    context.run();
    BOOST_TEST(heard == "12345678");
}

BOOST_AUTO_TEST_CASE(a_close_under_way_goes_on_when_the_lowest_layer_is_asked_for)
{
    asio::io_context context;
    talk one{context};
    std::optional<duet::close_report> report;
    auto const closes = [&]() -> asio::awaitable<void> { report = co_await one.session.close(); };
    asio::co_spawn(context, closes(), asio::detached);
    context.poll();
    one.session.lowest_layer();
    one.peer.send_all("too late");
    one.peer.shutdown_write();
    run_until(context, [&] { return report.has_value(); });
    BOOST_TEST(report->reason == duet::close_reason::discarded_input);
}

BOOST_AUTO_TEST_CASE(who_is_alone_on_a_servers_context_is_asios_and_the_others_are_not)
{
    asio::io_context context;
    std::map<int, std::set<std::string>> places;
    std::vector<raw_socket> clients;
    duet::server serving{context, on_loopback(),
        [&](duet::session peer) -> asio::awaitable<void>
        {
            auto const handle = peer.native_handle();
            places[static_cast<int>(places.size())] = epolls_of(handle);
            co_await read(peer);
        }};
    auto const listening = [&]
    {
        for (std::size_t i = 0; i < 3; ++i)
        {
            clients.push_back(client_of(serving));
            run_until(context, [&] { return places.size() == i + 1; });
        }
    };
    listening();
    BOOST_TEST(places[0].size() == 1u);
    BOOST_TEST((places[0] != places[1] && places[1] == places[2]));
    // They all go, and the next one is alone again.
    clients.clear();
    run_until(context, [&] { return serving.counters().active == 0; });
    clients.push_back(client_of(serving));
    run_until(context, [&] { return places.size() == 4; });
    BOOST_TEST((places[3] == places[0]));
}

BOOST_AUTO_TEST_CASE(sessions_of_a_strand_and_of_contexts_without_a_server_are_asios)
{
    asio::io_context context;
    duet::detail::reactor::use(context, 0);
    auto const strand = asio::make_strand(context);
    BOOST_TEST(!duet::detail::plain_context_of(asio::any_io_executor{strand}));
    BOOST_TEST(duet::detail::plain_context_of(asio::any_io_executor{context.get_executor()}) == &context);
    asio::io_context plain;
    BOOST_TEST(!duet::detail::reactor::of(&plain));
    BOOST_TEST(duet::detail::reactor::of(&context));
}

BOOST_AUTO_TEST_CASE(where_no_descriptor_is_left_for_it_sessions_are_asios)
{
    asio::io_context context;
    duet::acceptor listening{context, asio::ip::tcp::endpoint{asio::ip::make_address("127.0.0.1"), 0}};
    ::rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    ::rlimit none = before;
    none.rlim_cur = 3;
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    duet::server serving{context, std::move(listening), on_loopback(), echo};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    BOOST_TEST(!duet::detail::reactor::of(&context));
    std::vector<raw_socket> clients;
    for (int i = 0; i < 2; ++i)
    {
        clients.push_back(client_of(serving));
        clients.back().send_all("hello");
        clients.back().shutdown_write();
    }
    run_until(context, [&] { return serving.counters().completed == 2; });
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().data == "hello");
}
