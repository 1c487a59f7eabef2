// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_LIVE_HPP
#define TOOLS_DUET_TRACE_LIVE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <duet/live_diagram.hpp>
#include <duet/trace.hpp>

#include "printer.hpp"

namespace tool {

/// "client 127.0.0.1:40312 to proxy", "proxy to server 127.0.0.1:7777".
std::string title_of(duet::trace_session const& one);

/// What live lines look like.
struct live_style
{
    std::size_t width = 80;
    bool unicode = true;
    bool colours = false;
};

/// The lines of one conversation, that is of all connections of a trace, while it goes on.
class live_view : public std::enable_shared_from_this<live_view>
{
public:
    live_view(boost::asio::any_io_executor const& executor, printer& out, live_style style, std::size_t conversation);

    /// For trace_options::on_event, which is called on the executor: shows, soon, what has happened. What happens
    /// within a few milliseconds is shown together.
    void wake();

    /// The trace to follow, which lives until finish().
    void follow(duet::trace const& trace) { trace_ = &trace; }

    /// Show what has happened, and who ended the connections. Nothing comes after that.
    void finish();

private:
    struct connection
    {
        duet::live_diagram diagram;
        std::string title;
        bool begun = false;
    };

    void show();
    std::string add(duet::trace_log const& more, std::uint32_t session);

    boost::asio::steady_timer timer_;
    printer& out_;
    live_style style_;
    std::string prefix_;
    duet::trace const* trace_ = nullptr;
    std::uint64_t seen_ = 0;
    bool waiting_ = false;
    std::map<std::uint32_t, connection> connections_;
};

}  // namespace tool

#endif
