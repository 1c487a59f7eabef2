// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_REACTOR_FIXTURE_HPP
#define DUET_TEST_REACTOR_FIXTURE_HPP

// A session in duet's reactor and its peer.

#include "serve/server_fixture.hpp"

#include <boost/test/unit_test_suite.hpp>

#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace duet_test {

using namespace std::chrono_literals;

struct use_reactor
{
    use_reactor() { ::setenv("DUET_TEST_REACTOR", "1", 1); }
};

BOOST_TEST_GLOBAL_FIXTURE(use_reactor);

/// A session and its peer.
struct talk
{
    explicit talk(asio::io_context& context, duet::session_options const& options = {}, raw_options const& far = {})
        : talk{context, options, connected_pair(raw_address::v4(0), far)}
    {
    }

    /// Read at least one byte, by a handler.
    void read(std::function<void(duet::error_code, std::size_t)> done)
    {
        session.async_read_some(asio::buffer(room), std::move(done));
    }

    /// Read, and keep what came of it.
    void read()
    {
        told.reset();
        read([this](duet::error_code error, std::size_t size) { told = {error, std::string{room.data(), size}}; });
    }

    std::string data() const { return told ? told->second : "(nothing)"; }

    raw_socket peer;
    duet::session session;
    std::array<char, 64> room{};
    std::optional<std::pair<duet::error_code, std::string>> told;

private:
    talk(asio::io_context& context, duet::session_options const& options, raw_pair pair)
        : peer{std::move(pair.client)}, session{adopt(pair.server, context.get_executor(), options)}
    {
    }
};

/// Run what is ready, until `ended`.
inline void run_until(asio::io_context& context, std::function<bool()> const& ended)
{
    detail::run_until(context, 20s, ended);
}

}  // namespace duet_test

#endif
