// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_QUEUE_CLIENTS_HPP
#define EXAMPLES_QUEUE_CLIENTS_HPP

// Honest clients of one server, and what each of them sees.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include <duet/tasks.hpp>

namespace example {

enum class fate : std::uint8_t
{
    connecting,  ///< its SYN has no answer yet
    deaf,        ///< the SYN, ACK is lost on its way to it
    connected,   ///< connect() has returned, and the server has said nothing: nobody has accepted it
    unknown,     ///< the same, but the server's kernel has dropped its last ACK, and knows no such connection
    served,      ///< the server has greeted it
    leaving,     ///< was served, and closes
    gone,        ///< has closed
    reset,       ///< the server's machine has sent RST
    timed_out,   ///< connect() has given up
};

class clients
{
public:
    using endpoint = boost::asio::ip::tcp::endpoint;
    using milliseconds = std::chrono::milliseconds;

    /// Clients of the server at `server`; each of them is one of these tasks.
    clients(boost::asio::any_io_executor executor, duet::tasks& all, endpoint const& server);

    /// So many further ones connect, at once, and give up after `patience`.
    void come(unsigned count, milliseconds patience);

    /// One comes that does not hear the SYN, ACK, until hear().
    void come_deaf();
    void hear();

    /// One that is served closes its connection.
    void leave();

    std::size_t count(fate what) const;

    /// How long the slowest of these took from connect() to its fate.
    milliseconds longest(fate what) const;

    /// "2 served (0.3 ms), 3 timed out (500.2 ms)"; gone ones are left out.
    std::string in_words() const;

private:
    using clock = std::chrono::steady_clock;

    struct client
    {
        explicit client(boost::asio::any_io_executor const& executor) : stay{executor, clock::time_point::max()} {}

        void become(fate next);

        fate now = fate::connecting;
        clock::time_point began = clock::now();
        clock::duration took{};
        boost::asio::steady_timer stay;
    };

    boost::asio::awaitable<void> visit(client& self, milliseconds patience);
    boost::asio::awaitable<void> talk(client& self, milliseconds patience);
    boost::asio::awaitable<void> visit_deaf(client& self);
    clock::duration slowest(fate what) const;

    boost::asio::any_io_executor executor_;
    duet::tasks& tasks_;
    endpoint server_;
    std::deque<client> all_;  // the tasks refer to its elements
    std::optional<boost::asio::ip::tcp::socket> deaf_{};
};

}  // namespace example

#endif
