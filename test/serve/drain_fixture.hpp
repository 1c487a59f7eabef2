// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_DRAIN_FIXTURE_HPP
#define DUET_TEST_DRAIN_FIXTURE_HPP

// A server with clients, on a clock that the test moves.

#include <duet/server.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace duet_test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;

struct drain_fixture
{
    template <class Handler>
    void serve(std::size_t clients, Handler handler, duet::server_options options = {})
    {
        options.address = "127.0.0.1";
        serving.emplace(context, std::move(options), std::move(handler));
        for (std::size_t number = 0; number < clients; ++number)
            peers.emplace_back(context).connect(serving->local_endpoint());
        while (serving->counters().active < clients)
        {
            context.restart();
            BOOST_REQUIRE(context.run_one_for(30s) != 0);
        }
        clock.run_ready();
    }

    void drain(std::chrono::steady_clock::duration timeout)
    {
        asio::co_spawn(context, note(timeout), asio::detached);
        clock.run_ready();
    }

    asio::awaitable<void> note(std::chrono::steady_clock::duration timeout)
    {
        report = co_await serving->drain(timeout);
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};
    std::list<tcp::socket> peers;
    std::optional<duet::server> serving;
    std::optional<duet::drain_report> report;

    /// What a client has received: the bytes, and "." for the end or "!" for a reset.
    std::string heard(tcp::socket& peer)
    {
        std::string result;
        std::array<char, 256> buffer{};
        boost::system::error_code error;
        peer.non_blocking(true);
        for (;;)
        {
            clock.run_ready();
            auto const size = peer.read_some(asio::buffer(buffer), error);
            if (error)
                break;
            result.append(buffer.data(), size);
        }
        if (error == asio::error::eof)
            return result + '.';
        return error == asio::error::would_block ? result : result + '!';
    }

    /// Until the client has received this; the clock stands.
    void expect(tcp::socket& peer, std::string const& wanted)
    {
        std::string all;
        while (all.size() < wanted.size())
        {
            all += heard(peer);
            if (all.size() >= wanted.size() || all.find_first_of(".!") != std::string::npos)
                break;
            context.restart();
            BOOST_REQUIRE(context.run_one_for(30s) != 0);
        }
        BOOST_TEST(all == wanted);
        // The kernel's own time does not stand: an acknowledgement that it puts off is sent now.
        int const on = 1;
        ::setsockopt(peer.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    }

    void ask(tcp::socket& peer, std::string const& question, std::string const& answer)
    {
        asio::write(peer, asio::buffer(question));
        expect(peer, answer);
    }
};

}  // namespace duet_test

#endif
