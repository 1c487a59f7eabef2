// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_WATCHED_HPP
#define EXAMPLES_LIFECYCLE_WATCHED_HPP

// duet's classes as lifecycle uses them: the same calls with the same results, each of them shown.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <duet/connector.hpp>

#include "lifecycle_display.hpp"

namespace example {

/// A duet::session.
class watched_session
{
public:
    boost::asio::awaitable<std::size_t> read_until(std::string& buffer, std::string delimiter, std::size_t limit);
    boost::asio::awaitable<std::string> read_all(std::size_t limit);
    boost::asio::awaitable<std::size_t> write(boost::asio::const_buffer buffer);
    boost::asio::awaitable<void> shutdown_send();
    boost::asio::awaitable<duet::close_report> close();

private:
    friend class watched_connector;
    friend class watched_server;

    watched_session(std::unique_ptr<end_point> end, display& out);

    display::segments begin_fin();

    std::unique_ptr<end_point> end_;
    display* out_;
};

/// The system's resolver.
struct watched_resolver
{
    display* out;
    duet::system_resolver resolver{};

    boost::asio::awaitable<std::vector<duet::session::endpoint_type>> resolve(std::string host, std::string service);
};

/// A duet::connector.
class watched_connector
{
public:
    watched_connector(
        boost::asio::any_io_executor const& executor, duet::connector_options const& options, display& out);

    boost::asio::awaitable<watched_session> connect(std::string host, std::string service);

private:
    duet::basic_connector<boost::asio::ip::tcp, boost::asio::any_io_executor, watched_resolver> connector_;
    display& out_;
};

/// A duet::server.
class watched_server : public duet::server
{
public:
    using handler = std::function<boost::asio::awaitable<void>(watched_session)>;

    watched_server(boost::asio::io_context& context, std::uint16_t port, handler serve, display& out);

private:
    static watched_session accepted(duet::session peer, display& out);
};

}  // namespace example

#endif
