// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connect, send one message, half-close, read the echo and the end, close; and again.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "modes.hpp"
#include "pattern.hpp"
#include "system.hpp"

namespace load {
namespace {

class connect_load
{
public:
    explicit connect_load(options const& o) : options_{o}, bytes_{o.size}, buffer_(o.size + 1), calls_(o.connections) {}

    report run()
    {
        for (std::size_t i = 0; i < calls_.size() && !all_begun(); ++i)
            begin(i);
        if (options_.echoes > 0)
            return run_counted();
        run_until(now() + static_cast<std::uint64_t>(options_.warmup * 1e9));
        result_.begin = usage::of(options_.server);
        measuring_ = true;
        run_until(result_.begin.time + static_cast<std::uint64_t>(options_.seconds * 1e9));
        result_.end = usage::of(options_.server);
        for (auto const& c : calls_)
            close(c.descriptor);
        return std::move(result_);
    }

private:
    struct call
    {
        int descriptor = -1;
        std::size_t received = 0;
        std::uint64_t begun = 0;
    };

    /// So many in all, for what is counted.
    report run_counted()
    {
        measuring_ = true;
        result_.begin = usage::of(options_.server);
        while (result_.requests < options_.echoes)
            wait();
        result_.end = usage::of(options_.server);
        return std::move(result_);
    }

    bool all_begun() const noexcept { return options_.echoes > 0 && serial_ == options_.echoes; }

    /// On loopback the handshake is done when connect() returns; nothing else here waits.
    void begin(std::size_t i)
    {
        auto& c = calls_[i];
        c = {.begun = now()};
        c.descriptor = connect_to(options_.port, serial_++);
        send_all(c.descriptor, bytes_.at(0), options_.size);
        half_close(c.descriptor);
        set_non_blocking(c.descriptor);
        epoll_.add(c.descriptor, i);
    }

    void run_until(std::uint64_t time)
    {
        while (now() < time)
            wait();
    }

    void wait()
    {
        for (auto const& event : epoll_.wait(100))
            on_readable(event.data.u64);
    }

    void on_readable(std::size_t i)
    {
        auto& c = calls_[i];
        ssize_t const size = recv(c.descriptor, buffer_.data(), buffer_.size(), 0);
        if (size < 0)
            fail("recv");
        if (!bytes_.matches(c.received, buffer_.data(), static_cast<std::size_t>(size)))
            wrong("what came back is not what was sent");
        c.received += static_cast<std::size_t>(size);
        if (size > 0)
            return;
        if (c.received != options_.size)
            wrong("the answer is not whole");
        close(c.descriptor);
        if (measuring_)
        {
            ++result_.requests;
            ++result_.clean_ends;
            result_.latency.add(now() - c.begun);
        }
        if (!all_begun())
            begin(i);
    }

    options const& options_;
    pattern bytes_;
    std::vector<char> buffer_;
    epoll epoll_;
    std::vector<call> calls_;
    std::size_t serial_ = 0;
    bool measuring_ = false;
    report result_;
};

}  // namespace

report run_connect(options const& o)
{
    return connect_load{o}.run();
}

}  // namespace load
