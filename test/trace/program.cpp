// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// DUET_TRACE records sessions that the program makes of its own sockets, and each of the others once.

#define BOOST_TEST_MODULE trace.program
#include <duet/acceptor.hpp>
#include <duet/connector.hpp>
#include <duet/trace_reader.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

using namespace duet_test;
using duet::trace_kind;
using duet::trace_log;
using tcp = asio::ip::tcp;

namespace {

/// The variable is set before the first session of this program, and the file goes with the program.
class traced_program
{
public:
    traced_program() { ::setenv("DUET_TRACE", name().c_str(), 1); }

    ~traced_program()
    {
        std::error_code ignored;
        std::filesystem::remove(name(), ignored);
    }

    /// What has been written so far.
    static trace_log log()
    {
        std::ifstream file{name()};
        return duet::read_trace(file);
    }

private:
    static std::string const& name()
    {
        static std::string const result =
            (std::filesystem::temp_directory_path() / ("duet-program-" + std::to_string(::getpid()))).string();
        return result;
    }
};

BOOST_TEST_GLOBAL_FIXTURE(traced_program);

bool has(trace_log const& log, std::uint32_t session, trace_kind kind, std::string_view name)
{
    return std::any_of(log.events.begin(), log.events.end(),
        [&](auto const& event) { return event.session == session && event.kind == kind && event.name == name; });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_session_that_the_program_makes_of_a_socket_is_recorded)
{
    auto const before = traced_program::log().sessions.size();
    asio::io_context context;
    tcp::acceptor listening{context, {asio::ip::address_v4::loopback(), 0}};
    tcp::socket connected{context};
    connected.connect(listening.local_endpoint());
    auto const port = listening.local_endpoint().port();
    {
        duet::session one{listening.accept()};
        duet::session other{std::move(connected)};
        run(context,
            [&]() -> asio::awaitable<void>
            {
                co_await write(one, "hello");
                auto const heard = co_await read(other);
                BOOST_TEST(heard == "hello");
                one.abort();
                other.abort();
            }());
    }
    auto const log = traced_program::log();
    BOOST_REQUIRE(log.sessions.size() == before + 2);
    auto const number = log.sessions[before].number;
    BOOST_TEST(log.sessions[before].local == "127.0.0.1:" + std::to_string(port));
    BOOST_TEST(log.other_end(log.sessions[before]) == nullptr);  // which end has connected is not known of a socket
    BOOST_TEST(has(log, number, trace_kind::begin, "attach"));
    BOOST_TEST(has(log, number, trace_kind::result, "write"));
    BOOST_TEST(has(log, number, trace_kind::end, ""));
    BOOST_TEST(has(log, number + 1, trace_kind::transfer, "receive"));
}

BOOST_AUTO_TEST_CASE(a_session_of_an_acceptor_or_a_connector_is_recorded_once)
{
    auto const before = traced_program::log().sessions.size();
    asio::io_context context;
    duet::acceptor listening{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    duet::connector connecting{context};
    tcp::endpoint const target{asio::ip::address_v4::loopback(), listening.local_endpoint().port()};
    run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::session client = co_await connecting.connect(target);
            // On an executor of its own the session is made in another way.
            duet::session here = co_await listening.accept(asio::make_strand(context));
            client.abort();
            here.abort();
        }());
    auto const log = traced_program::log();
    BOOST_REQUIRE(log.sessions.size() == before + 2);
    auto const begun = std::count_if(
        log.events.begin(), log.events.end(), [&](auto const& event) { return event.kind == trace_kind::begin; });
    BOOST_TEST(static_cast<std::size_t>(begun) == log.sessions.size());
}
