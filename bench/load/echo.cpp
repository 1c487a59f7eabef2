// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Every connection sends `depth` messages, and one more for each that came back. In the mode "faults" some of them do
// not: a tenth sends a message now and then only to reset the connection, a tenth sends and never reads.

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include "modes.hpp"
#include "pattern.hpp"
#include "system.hpp"

namespace load {
namespace {

enum class role
{
    honest,
    resets,
    stalls,
};

struct client
{
    int descriptor = -1;
    role as = role::honest;
    std::size_t sent = 0;      ///< bytes
    std::size_t owed = 0;      ///< bytes that the socket did not take yet
    std::size_t received = 0;  ///< bytes
    std::size_t asked = 0;     ///< messages
    std::size_t answered = 0;  ///< messages
};

class echo_load
{
public:
    explicit echo_load(options const& o)
        : options_{o}, bytes_{std::max(o.size * o.depth, buffer_size), o.framed ? o.size : 0}, clients_(o.connections),
          asked_at_(o.connections * o.depth), left_{o.echoes}
    {
        if (o.mode == "faults")
        {
            for (std::size_t i = 0; i < clients_.size(); ++i)
                clients_[i].as = i % 10 == 3 ? role::resets : i % 10 == 6 ? role::stalls : role::honest;
        }
    }

    report run()
    {
        open();
        if (options_.echoes != 0)
            run_count();
        else
            run_time();
        sending_ = false;
        while (under_way_ > 0)
            turn();
        if (options_.echoes != 0)
            result_.end = usage::of(options_.server);
        end();
        return std::move(result_);
    }

private:
    static constexpr std::size_t batch = 64;  // less than any server's backlog
    static constexpr std::size_t buffer_size = 65536;
    static constexpr std::size_t answers_until_reset = 16;
    static constexpr std::uint64_t stall_time = 500'000'000;
    static constexpr int stall_buffers = 4096;  // few bytes fill them: it is the waiting that is measured

    /// Each connection is proven to work by one message before there are more of them than a backlog holds.
    void open()
    {
        for (std::size_t first = 0; first < clients_.size(); first += batch)
        {
            std::size_t const last = std::min(first + batch, clients_.size());
            for (std::size_t i = first; i < last; ++i)
            {
                connect(i);
                send_all(clients_[i].descriptor, bytes_.at(0), options_.size);
            }
            for (std::size_t i = first; i < last; ++i)
                receive_first(i);
        }
        for (std::size_t i = 0; i < clients_.size(); ++i)
            watch(i);
    }

    void connect(std::size_t i)
    {
        auto const as = clients_[i].as;
        int const buffers = as == role::stalls ? stall_buffers : 0;
        clients_[i] = {.descriptor = connect_to(options_.port, serial_++, buffers), .as = as};
    }

    void receive_first(std::size_t i)
    {
        std::vector<char> answer(options_.size);
        receive_all(clients_[i].descriptor, answer.data(), answer.size());
        check(0, answer.data(), answer.size());
        clients_[i].sent = clients_[i].received = options_.size;
        clients_[i].asked = clients_[i].answered = 1;
    }

    void watch(std::size_t i)
    {
        set_non_blocking(clients_[i].descriptor);
        if (clients_[i].as != role::stalls)
            epoll_.add(clients_[i].descriptor, i);
    }

    void run_count()
    {
        result_.begin = usage::of(options_.server);
        measuring_ = sending_ = true;
        start();
        while (left_ > 0)
        {
            turn();
            if (options_.lockstep && under_way_ == 0)
                start();
        }
    }

    void run_time()
    {
        sending_ = true;
        start();
        run_until(now() + static_cast<std::uint64_t>(options_.warmup * 1e9));
        result_.begin = usage::of(options_.server);
        measuring_ = true;
        run_until(result_.begin.time + static_cast<std::uint64_t>(options_.seconds * 1e9));
        result_.end = usage::of(options_.server);
        measuring_ = false;
    }

    void start()
    {
        std::uint64_t const time = now();
        for (std::size_t i = 0; i < clients_.size(); ++i)
        {
            if (clients_[i].as == role::stalls)
                flood(clients_[i]);
            else
                ask(i, options_.depth, time);
        }
    }

    void run_until(std::uint64_t time)
    {
        while (time_ < time)
        {
            turn();
            if (time_ >= next_stall_)
                renew_stalled();
        }
    }

    void turn()
    {
        auto const events = epoll_.wait(100);
        time_ = now();
        for (auto const& event : events)
            on_readable(event.data.u64);
    }

    void on_readable(std::size_t i)
    {
        auto& c = clients_[i];
        ssize_t const size = recv(c.descriptor, buffer_, sizeof buffer_, 0);
        if (size == 0)
            wrong("the server ended a connection");
        if (size < 0)
            fail("recv");
        check(c.received, buffer_, static_cast<std::size_t>(size));
        c.received += static_cast<std::size_t>(size);
        std::size_t const answers = c.received / options_.size - c.answered;

        time_ = now();
        for (std::size_t n = 0; n < answers; ++n)
        {
            auto const asked_at = asked_at_[i * options_.depth + c.answered++ % options_.depth];
            if (measuring_ && c.as == role::honest)
            {
                ++result_.requests;
                result_.latency.add(time_ - asked_at);
            }
        }
        under_way_ -= answers;
        if (c.as == role::resets && sending_ && c.answered > answers_until_reset)
            reset_and_renew(i);
        else
            ask(i, options_.lockstep ? 0 : answers, time_);
    }

    /// Send so many messages more, or what is left of an earlier one. A send that is cut short needs no event of its
    /// own: answers are on their way, and they come back here.
    void ask(std::size_t i, std::size_t messages, std::uint64_t time)
    {
        auto& c = clients_[i];
        if (!sending_)
            messages = 0;
        else if (options_.echoes != 0)
        {
            messages = std::min(messages, left_);
            left_ -= messages;
        }
        for (std::size_t n = 0; n < messages; ++n)
            asked_at_[i * options_.depth + c.asked++ % options_.depth] = time;
        under_way_ += messages;
        c.owed += messages * options_.size;
        if (c.owed == 0)
            return;
        ssize_t const size = send(c.descriptor, bytes_.at(c.sent), c.owed, MSG_NOSIGNAL);
        if (size < 0 && errno != EAGAIN)
            fail("send");
        c.sent += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
        c.owed -= static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    }

    void check(std::size_t offset, char const* data, std::size_t size) const
    {
        if (!bytes_.matches(offset, data, size))
            wrong("what came back is not what was sent");
    }

    /// A message, and a reset behind it while the server is busy with the message.
    void reset_and_renew(std::size_t i)
    {
        auto& c = clients_[i];
        under_way_ -= c.asked - c.answered;
        send(c.descriptor, bytes_.at(c.sent), options_.size, MSG_NOSIGNAL);
        reset(c.descriptor);
        ++result_.faults;
        connect(i);
        watch(i);
        ask(i, options_.depth, time_);
    }

    /// Send until nobody takes it any more.
    void flood(client& c)
    {
        while (send(c.descriptor, bytes_.at(0), buffer_size, MSG_NOSIGNAL) > 0)
        {
        }
    }

    void renew_stalled()
    {
        for (std::size_t i = 0; i < clients_.size(); ++i)
        {
            if (clients_[i].as != role::stalls)
                continue;
            reset(clients_[i].descriptor);
            ++result_.faults;
            connect(i);
            watch(i);
            flood(clients_[i]);
        }
        next_stall_ = time_ + stall_time;
    }

    void end()
    {
        for (auto& c : clients_)
        {
            if (c.as == role::stalls)
                reset(c.descriptor);
            else
                half_close(c.descriptor);
        }
        for (auto& c : clients_)
        {
            if (c.as != role::stalls)
                result_.count_end(receive_end(c.descriptor));
        }
    }

    options const& options_;
    pattern bytes_;
    epoll epoll_;
    std::vector<client> clients_;
    std::vector<std::uint64_t> asked_at_;
    std::size_t left_;  // messages, where their number is given
    std::size_t under_way_ = 0;
    std::size_t serial_ = 0;
    std::uint64_t time_ = 0;
    std::uint64_t next_stall_ = 0;
    bool sending_ = false;
    bool measuring_ = false;
    report result_;
    char buffer_[buffer_size];
};

}  // namespace

report run_echo(options const& o)
{
    return std::make_unique<echo_load>(o)->run();
}

}  // namespace load
