// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SOAK_CLIENTS_HPP
#define DUET_TEST_SOAK_CLIENTS_HPP

// A thousand clients in one thread, polite and rude ones, on plain sockets and epoll.

#include "session/session_fixture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace duet_test {

inline constexpr std::size_t clients_at_once = 1000;

enum class manner
{
    round_trips,   // message and answer, several times, then FIN
    half_close,    // everything and FIN, and only then it reads
    byte_by_byte,  // one byte in each turn
    early_reset,   // RST, somewhere in the middle
    close_unread,  // the plain close, with answers unread
};

inline constexpr std::array<char const*, 5> names_of_manners{
    "round_trips", "half_close", "byte_by_byte", "early_reset", "close_unread"};

inline bool polite(manner value)
{
    return value != manner::early_reset && value != manner::close_unread;
}

/// What all clients send parts of: each byte tells its place.
inline std::string const& common_text()
{
    static std::string const text = pattern(std::size_t{1} << 17U);
    return text;
}

/// One client: a non-blocking socket, and how far it has come.
struct client
{
    static constexpr std::size_t greeting = 8;  // sent and heard back, before anybody goes on

    descriptor socket{};
    manner how{};
    std::string_view text{};           // what it sends
    std::vector<std::size_t> stops{};  // it goes on beyond each when the echo has come as far
    std::size_t rude_at = 0;           // after so many bytes it leaves
    bool rude_when_answered = false;
    bool says_fin_before_reset = false;
    bool connected = false;
    bool finished = false;  // its FIN is sent
    std::size_t sent = 0;
    std::size_t heard = 0;
    unsigned interest = 0;  // of epoll
};

/// What came of them.
struct tally
{
    std::size_t connected = 0;
    std::size_t polite = 0;  // to the end: every byte, then FIN
    std::uint64_t bytes = 0;
    std::uint64_t served_at_once = 0;
    std::vector<std::string> failures{};

    tally& operator+=(tally const& other)
    {
        connected += other.connected;
        polite += other.polite;
        bytes += other.bytes;
        served_at_once = std::max(served_at_once, other.served_at_once);
        failures.insert(failures.end(), other.failures.begin(), other.failures.end());
        return *this;
    }
};

/// A thousand clients in one thread, on plain sockets and epoll.
class wave
{
public:
    /// `served` tells how many sessions the server has just now.
    wave(std::uint16_t port, std::uint64_t seed, std::function<std::uint64_t()> served)
        : server_{raw_address::v4(port)}, seed_{seed}, served_{std::move(served)}, random_{seed},
          epoll_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")}
    {
    }

    tally run()
    {
        clients_.resize(clients_at_once);
        for (auto& each : clients_)
            begin(each);
        alive_ = clients_.size();
        std::array<epoll_event, 256> events;
        while (alive_ != 0)
        {
            auto const guard = std::chrono::milliseconds{blocking_guard}.count();
            int const ready = ::epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(guard));
            if (ready < 0 && errno == EINTR)
                continue;
            if (checked(ready, "epoll_wait") == 0)
                throw hang{"nothing happens any more, but " + std::to_string(alive_) + " clients are left:" + left()};
            for (int i = 0; i < ready; ++i)
            {
                auto& each = clients_[events[static_cast<std::size_t>(i)].data.u64];
                if (each.socket.is_open())
                    turn(each);
            }
        }
        return result_;
    }

private:
    std::size_t pick(std::size_t least, std::size_t most)
    {
        return std::uniform_int_distribution<std::size_t>{least, most}(random_);
    }

    void begin(client& each)
    {
        each.how = static_cast<manner>(std::discrete_distribution<int>{40, 20, 15, 15, 10}(random_));
        std::size_t size = client::greeting;
        each.stops.push_back(size);
        switch (each.how)
        {
        case manner::round_trips:
            for (auto left = pick(1, 5); left > 0; --left)
                each.stops.push_back(size += pick(1, pick(1, 16384)));
            break;
        case manner::half_close:
            size += pick(0, 16384);  // what fits into the buffers, since it reads nothing meanwhile
            break;
        case manner::byte_by_byte:
            size += pick(1, 100);
            break;
        default:
            size += pick(0, 16384);
            each.rude_at = pick(0, size);
            each.rude_when_answered = each.rude_at > 0 && (each.how == manner::close_unread || pick(0, 1) == 0);
            each.says_fin_before_reset = pick(0, 3) == 0;
            break;
        }
        each.text = std::string_view{common_text()}.substr(pick(0, common_text().size() - size), size);
        if (polite(each.how))
            ++greetings_missing_;
        connect(each);
    }

    /// Each wave comes from an address of its own, so that no port is missing which is still in TIME_WAIT.
    void connect(client& each)
    {
        each.socket = descriptor{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
        int const on = 1;
        checked(::setsockopt(each.socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "setsockopt");
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(seed_ % 250));
        checked(::bind(each.socket.get(), reinterpret_cast<sockaddr const*>(&own), sizeof own), "bind");
        if (::connect(each.socket.get(), server_.data(), server_.size()) != 0 && errno != EINPROGRESS)
            throw_errno("connect");
        epoll_event event{};
        event.events = each.interest = EPOLLOUT;
        event.data.u64 = static_cast<std::uint64_t>(&each - clients_.data());
        checked(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, each.socket.get(), &event), "epoll_ctl");
    }

    void turn(client& each)
    {
        if (!each.connected)
        {
            int error = 0;
            socklen_t size = sizeof error;
            checked(::getsockopt(each.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
            if (error != 0)
                return fail(each, "connect", error);
            each.connected = true;
            ++result_.connected;
        }
        if (!polite(each.how))
            return rude_turn(each);
        if (hear(each) && speak(each))
            watch(each);
    }

    /// How far it may speak now.
    std::size_t may_speak_to(client const& each) const
    {
        for (auto const stop : each.stops)
            if (each.heard < stop)
                return stop;
        if (!all_here_)
            return client::greeting;
        return each.how == manner::byte_by_byte ? std::min(each.sent + 1, each.text.size()) : each.text.size();
    }

    bool may_hear(client const& each) const
    {
        return each.how != manner::half_close || each.sent == client::greeting || each.finished;
    }

    /// Adds to what has been heard. False: this client has come to its end.
    bool hear(client& each)
    {
        std::array<char, 16384> part;
        while (may_hear(each))
        {
            auto const size = ::recv(each.socket.get(), part.data(), part.size(), 0);
            if (size < 0 && errno == EAGAIN)
                return true;
            if (size < 0)
                return fail(each, "recv", errno), false;
            if (size == 0)
                return end(each), false;
            std::string_view const heard{part.data(), static_cast<std::size_t>(size)};
            if (each.text.substr(each.heard, heard.size()) != heard)
                return fail(each, "it heard what it never said", 0), false;
            bool const greeted = each.heard >= client::greeting;
            each.heard += heard.size();
            if (!greeted && each.heard >= client::greeting)
                greeting_heard();
            if (!each.socket.is_open())  // which made it speak, in vain
                return false;
        }
        return true;
    }

    /// False: this client has come to its end.
    bool speak(client& each)
    {
        while (each.sent < may_speak_to(each))
        {
            auto const part = each.text.substr(each.sent, may_speak_to(each) - each.sent);
            auto const size = ::send(each.socket.get(), part.data(), part.size(), MSG_NOSIGNAL);
            if (size < 0 && errno == EAGAIN)
                return true;
            if (size < 0)
                return fail(each, "send", errno), false;
            each.sent += static_cast<std::size_t>(size);
            if (each.how == manner::byte_by_byte)
                break;
        }
        bool const answered = each.how == manner::half_close || each.heard == each.text.size();
        if (each.sent == each.text.size() && all_here_ && answered && !each.finished)
        {
            each.finished = true;
            if (::shutdown(each.socket.get(), SHUT_WR) != 0)
                return fail(each, "shutdown", errno), false;
        }
        return true;
    }

    void watch(client& each)
    {
        watch_for(each, (may_hear(each) ? EPOLLIN : 0U) | (each.sent < may_speak_to(each) ? EPOLLOUT : 0U));
    }

    void watch_for(client& each, unsigned wanted)
    {
        if (wanted == each.interest)
            return;
        epoll_event event{};
        event.events = each.interest = wanted;
        event.data.u64 = static_cast<std::uint64_t>(&each - clients_.data());
        checked(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, each.socket.get(), &event), "epoll_ctl");
    }

    /// It speaks as far as it likes, reads nothing, and leaves: at once, or when an answer has come.
    void rude_turn(client& each)
    {
        if (each.interest == EPOLLIN)
            return leave_rudely(each);
        while (each.sent < each.rude_at)
        {
            auto const part = each.text.substr(each.sent, each.rude_at - each.sent);
            auto const size = ::send(each.socket.get(), part.data(), part.size(), MSG_NOSIGNAL);
            if (size < 0 && errno == EAGAIN)
                return;
            if (size < 0)
                return fail(each, "send", errno);
            each.sent += static_cast<std::size_t>(size);
        }
        if (each.rude_when_answered)
            watch_for(each, EPOLLIN);
        else
            leave_rudely(each);
    }

    void leave_rudely(client& each)
    {
        if (each.how == manner::early_reset)
        {
            if (each.says_fin_before_reset)
                ::shutdown(each.socket.get(), SHUT_WR);
            linger const at_once{1, 0};
            checked(::setsockopt(each.socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
        }
        gone(each);
    }

    /// One more has made itself known. When all have, the server has as many sessions at once, and they go on.
    void greeting_heard()
    {
        if (--greetings_missing_ != 0)
            return;
        result_.served_at_once = served_();
        all_here_ = true;
        for (auto& each : clients_)
            if (each.socket.is_open() && each.connected && polite(each.how) && speak(each))
                watch(each);
    }

    void end(client& each)
    {
        if (each.heard != each.text.size() || !each.finished)
            return fail(each, "FIN before its time", 0);
        ++result_.polite;
        result_.bytes += each.heard;
        gone(each);
    }

    void fail(client& each, char const* what, int error)
    {
        result_.failures.push_back(description(each) + ": " + what + (error == 0 ? "" : ": " + std::to_string(error)));
        if (polite(each.how) && each.heard < client::greeting)
            greeting_heard();
        gone(each);
    }

    void gone(client& each)
    {
        each.socket.close();
        --alive_;
    }

    std::string description(client const& each) const
    {
        return "wave " + std::to_string(seed_) + ", client " + std::to_string(&each - clients_.data()) + " (" +
               names_of_manners[static_cast<std::size_t>(each.how)] + "), " + std::to_string(each.sent) + " sent, " +
               std::to_string(each.heard) + " heard of " + std::to_string(each.text.size());
    }

    std::string left() const
    {
        std::string result;
        for (auto const& each : clients_)
            if (each.socket.is_open())
                result += '\n' + description(each);
        return result;
    }

    raw_address server_;
    std::uint64_t seed_;
    std::function<std::uint64_t()> served_;
    std::mt19937_64 random_;
    descriptor epoll_;
    std::vector<client> clients_;
    std::size_t alive_ = 0;
    std::size_t greetings_missing_ = 0;
    bool all_here_ = false;
    tally result_;
};

}  // namespace duet_test

#endif
