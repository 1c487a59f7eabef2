// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_DISPLAY_HPP
#define EXAMPLES_LIFECYCLE_DISPLAY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <duet/server.hpp>
#include <duet/session.hpp>

#include "lifecycle_table.hpp"

namespace example {

struct connection;

/// One end of a connection, in this program.
struct end_point
{
    end_point(duet::session of, side whose, std::shared_ptr<connection> between);
    end_point(end_point const&) = delete;
    end_point& operator=(end_point const&) = delete;
    ~end_point();

    duet::session session;
    side who;
    std::shared_ptr<connection> line;
    std::uint64_t arrived = 0;  ///< bytes whose segments were shown
};

/// What is known of a connection, by side. Of an end in another program: its address, and what follows from TCP.
struct connection
{
    std::array<end_point*, 2> ends{};
    std::array<bool, 2> ours{};
    std::array<duet::session::endpoint_type, 2> addresses{};
    std::array<std::string, 2> states{};         ///< as they were shown last
    std::array<duet::tcp_snapshot, 2> kernel{};  ///< the last there was
    std::array<bool, 2> fin{};                   ///< it was sent, and shown
    std::array<bool, 2> fin_acknowledged{};      ///< the same
    bool reset = false;                          ///< by a peer in another program, and shown
    std::array<std::string, 2> fin_order{};
    std::array<std::optional<duet::close_report>, 2> reports{};
};

/// Shows what client and server call, what follows, and what each call returns. It looks at the sessions and changes
/// nothing: no byte is read or sent, nothing is waited for.
class display
{
public:
    using segments = std::vector<segment>;

    /// Which of them this program is.
    display(bool client, bool server);

    /// What a server calls and is told by itself.
    void listening(duet::server::endpoint_type const& endpoint);
    void ended(duet::session_end const& end);

    /// A session has come about: from accept() or from connect().
    std::unique_ptr<end_point> meet(duet::session session, side who);

    /// A call of a session, with the segments that are inferred from it; and its return. `call` has all its arguments.
    void calls(end_point const& end, std::string const& call, segments const& wire);
    void returns(end_point& end, std::string const& call, std::string const& result, segments const& wire);
    void throws(end_point& end, std::string const& call, std::exception const& error);

    /// A call of `client`, which is no session.
    void calls(void const* client, std::string const& call);
    void returns(void const* client, std::string const& call, std::string const& result);

    /// A call has told that the peer of `who` reset the connection.
    static void reset(connection& line, side who, segments& wire);

    /// What close() told.
    void report(connection& line, side who, duet::close_report const& report);

private:
    void add(row one, side who, connection const* line);
    void arrivals(end_point& end, segments& wire);
    void look(connection& line);
    void summarize(connection const& line);

    table table_;
    bool client_;
    std::size_t accepted_ = 0;
    std::vector<std::shared_ptr<connection>> lines_;
};

// In words.
std::string text(duet::session::endpoint_type const& endpoint);
std::string bytes(std::uint64_t count);
std::string to_string(duet::close_report const& report);

/// The connection was reset from here.
bool reset_by_us(duet::close_report const& report);

}  // namespace example

#endif
