// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_STAGE_HPP
#define EXAMPLES_LIFECYCLE_STAGE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <duet/acceptor.hpp>
#include <duet/captured_segment.hpp>
#include <duet/connector.hpp>
#include <duet/session.hpp>
#include <duet/tap.hpp>
#include <duet/trace.hpp>

namespace example {

namespace asio = boost::asio;

/// What a scene is played on: a context that one thread runs, a trace of all that happens, and the segments, if they
/// are captured. A scene makes its two ends here, as any two programs would, and runs them.
class stage
{
public:
    /// What one end does with its connection.
    using part = asio::awaitable<void>(duet::session);

    using endpoint = asio::ip::tcp::endpoint;

    /// `own_network`: in a network namespace of its own. `tap`: capture the segments; also in one, where it can be had.
    /// Throws not_permitted.
    stage(std::string const& scene, bool own_network, bool tap);

    // ---- For scenes -------------------------------------------------------------------------------------------------

    /// Accept one connection, make it, let both ends play their parts, and return when both have ended.
    void play(part& server, part& client, duet::session_options const& options = {});

    /// Listen on a port that the system chooses.
    duet::acceptor listen(duet::acceptor_options const& options = {}, endpoint const& at = any_port());

    /// The same without the trace, until `trace().attach()`.
    duet::acceptor listen_unseen(duet::acceptor_options const& options, endpoint const& at = any_port());

    /// The same without duet.
    asio::ip::tcp::acceptor listen_by_hand(int backlog = 16);

    /// Connections that wait in the queue of a listener, made without duet.
    std::vector<asio::ip::tcp::socket> fill_queue(endpoint const& of, int count);

    /// A socket that has a port, and does not listen: nobody else gets the port.
    asio::ip::tcp::socket reserve();

    duet::connector connector(duet::connector_options const& options = {}, duet::system_resolver const& resolver = {});

    /// A socket without duet that stays until all has been recorded: its close is not part of the scene.
    asio::ip::tcp::socket& socket_that_stays() { return stays_.emplace_back(context_); }

    /// What else happens at the same time.
    void begin(asio::awaitable<void> act);

    /// Run until all that has begun has ended. Throws what an act has thrown, and runtime_error if it takes a minute.
    void run();

    /// What is no call of duet's, and belongs into the picture.
    void note(std::string const& text) { trace_.note(text); }

    /// Let time pass.
    static asio::awaitable<void> pause(std::chrono::milliseconds time);

    duet::trace& trace() noexcept { return trace_; }
    asio::io_context& context() noexcept { return context_; }

    // ---- Of the scene that was played -------------------------------------------------------------------------------

    /// What was recorded and captured. Once, at the end of the scene.
    struct recording
    {
        duet::trace_log log;
        duet::tap_capture capture;
        bool tapped = false;
        std::vector<std::uint32_t> connections;  ///< one session of each
    };
    recording end();

private:
    static endpoint any_port() { return {asio::ip::address_v4::loopback(), 0}; }

    asio::io_context context_;
    std::unique_ptr<duet::tap> tap_;  // it may be null
    duet::trace trace_;
    std::exception_ptr failure_;
    std::vector<endpoint> endpoints_;  // where the scene listens
    std::deque<asio::ip::tcp::socket> stays_;
};

}  // namespace example

#endif
