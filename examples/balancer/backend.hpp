// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_BACKEND_HPP
#define EXAMPLES_BALANCER_BACKEND_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <duet/session.hpp>

#include "backend_line.hpp"
#include "health.hpp"

namespace example {

/// Bytes that a backend was sent, and that it has sent.
struct traffic
{
    std::uint64_t sent = 0;
    std::uint64_t received = 0;

    void add(duet::session const& to) noexcept
    {
        sent += to.bytes_sent();
        received += to.bytes_received();
    }
};

/// One backend: where it is, whether it is up, and what was counted. The object goes on as long as the backend is in
/// the list, and after that as long as there are connections to it.
class backend
{
public:
    class connection;

    struct counters
    {
        std::uint64_t total = 0;          ///< connections that clients were given
        std::uint64_t failures = 0;       ///< attempts to connect for a client that have failed
        std::uint64_t broken = 0;         ///< connections that it has broken off before its FIN
        std::uint64_t failed_checks = 0;  ///< checks that have failed
    };

    backend(backend_line at, thresholds limits) : at_{std::move(at)}, health_{limits} {}

    backend(backend const&) = delete;
    backend& operator=(backend const&) = delete;

    backend_line const& at() const noexcept { return at_; }

    std::string name() const { return at_.name(); }

    /// "up", "down", "drain", or "removed": not in the list any more.
    std::string_view state() const noexcept;

    /// May a client be connected to it?
    bool takes_clients() const noexcept { return listed_ && !at_.drain && health_.up(); }

    bool listed() const noexcept { return listed_; }

    void list(bool drain) noexcept
    {
        listed_ = true;
        at_.drain = drain;
    }

    void remove() noexcept { listed_ = false; }

    /// Connections to it, those that are being made included.
    std::size_t active() const noexcept { return connections_.size(); }

    /// Of all connections to it for clients, those that go on included.
    traffic bytes() const;

    /// A connection to it was made or has failed, for a check or for a client. The log is told when it goes up or down.
    void connected();
    void not_connected(std::string_view why);

    counters count{};
    bool checked = false;  ///< there is a coroutine that checks it

private:
    backend_line at_;
    health health_;
    bool listed_ = true;
    std::unordered_set<connection const*> connections_;
    traffic ended_;  // the bytes of connections that have ended
};

/// A connection to a backend for a client. It counts as active as long as this object exists, which the backend has to
/// outlive.
class backend::connection
{
public:
    explicit connection(backend& to) : to_{to} { to_.connections_.insert(this); }

    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;

    ~connection()
    {
        to_.connections_.erase(this);
        if (session)
            to_.ended_.add(*session);
    }

    std::optional<duet::session> session{};  ///< once it is connected

private:
    backend& to_;
};

}  // namespace example

#endif
