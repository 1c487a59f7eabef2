// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_QUEUE_ACTS_HPP
#define EXAMPLES_QUEUE_ACTS_HPP

#include <chrono>
#include <span>
#include <string>
#include <string_view>

namespace example {

/// Something that happens to the queues of a listener.
struct act
{
    std::string_view name;
    std::string_view title;

    /// Play it in this network namespace, which nobody else may be in, and print a line for each step. `patience` is
    /// how long a client waits for connect(). Returns what it has shown, in a sentence. Throws not_permitted.
    std::string (*play)(std::chrono::milliseconds patience);
};

/// All of them, in their order.
std::span<act const> acts();

}  // namespace example

#endif
