// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_CLIENTS_ASKING_HPP
#define BENCH_CLIENTS_ASKING_HPP

// What the clients share that connect, ask, read the answer, send FIN and read to the server's: how many of these
// conversations there are, what is asked, and what is told at the end. Options and output are those of ../load.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../load/options.hpp"
#include "../load/pattern.hpp"
#include "../load/report.hpp"
#include "../load/system.hpp"

namespace load {

/// For one thread. `connections` conversations are under way at once: each of them asks next() whether another follows.
class asking
{
public:
    explicit asking(options const& o)
        : options_{o}, bytes_{o.size}, warm_{now() + nanoseconds(o.warmup)}, over_{warm_ + nanoseconds(o.seconds)}
    {
        if (counted())
            start();
    }

    std::span<char const> question() const { return {bytes_.at(0), options_.size}; }

    /// Whether another conversation is to begin.
    bool next()
    {
        if (counted())
            return begun_++ < options_.echoes;
        if (now() < over_)
            return true;
        stop();
        return false;
    }

    /// A conversation that began then has ended, with this answer: by the server's FIN, or by a reset.
    void ended(std::uint64_t begun, std::span<char const> answer, bool clean)
    {
        if (answer.size() != options_.size || !bytes_.matches(0, answer.data(), answer.size()))
            wrong("the answer is not what was asked");
        auto const time = now();
        if (!counted() && !measuring_ && time >= warm_ && time < over_)
            start();
        if (!measuring_)
            return;
        ++result_.requests;
        result_.count_end(clean);
        result_.latency.add(time - begun);
    }

    /// When all have ended.
    report const& finish()
    {
        stop();
        if (result_.requests == 0)
            wrong("nothing was answered in time");
        return result_;
    }

private:
    static std::uint64_t nanoseconds(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

    bool counted() const noexcept { return options_.echoes > 0; }

    void start()
    {
        result_.begin = usage::of(options_.server);
        measuring_ = true;
    }

    void stop()
    {
        if (stopped_)
            return;
        result_.end = usage::of(options_.server);
        stopped_ = true;
        measuring_ = false;
    }

    options const& options_;
    pattern bytes_;
    std::uint64_t warm_;
    std::uint64_t over_;
    std::size_t begun_ = 0;
    bool measuring_ = false;
    bool stopped_ = false;
    report result_;
};

}  // namespace load

#endif
