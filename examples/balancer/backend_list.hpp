// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_BACKEND_LIST_HPP
#define EXAMPLES_BALANCER_BACKEND_LIST_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend.hpp"

namespace example {

enum class policy : std::uint8_t
{
    round_robin,
    least_connections,
};

/// The backends, and which one is next. All of it is used by one thread.
class backend_list
{
public:
    using pointer = std::shared_ptr<backend>;

    /// What replace() has done.
    struct changes
    {
        std::size_t added = 0;
        std::size_t removed = 0;
        std::size_t draining = 0;  ///< of those that are listed now
    };

    backend_list(policy by, thresholds limits) noexcept : by_{by}, limits_{limits} {}

    /// From now on these are the backends. One that was there before keeps its state, its counters and its connections;
    /// one that is not there any more gets no new connections, and its old ones go on.
    changes replace(std::vector<backend_line> const& lines);

    /// The backend for a client that was not connected to those of `tried`. Null if there is none.
    pointer choose(std::vector<pointer> const& tried);

    /// Those that are listed, and behind them those that still have connections.
    std::vector<pointer> all();

    std::vector<pointer> const& listed() const noexcept { return listed_; }

private:
    pointer take(backend_line const& line);

    policy by_;
    thresholds limits_;
    std::vector<pointer> listed_;
    std::vector<pointer> removed_;  // may have connections
    std::size_t turn_ = 0;
};

}  // namespace example

#endif
