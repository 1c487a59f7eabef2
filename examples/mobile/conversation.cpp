// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "conversation.hpp"

namespace example {

bool conversation::acknowledge(std::uint64_t number)
{
    if (number < acknowledged_ || number - acknowledged_ > kept_.size())
        return false;
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(number - acknowledged_));
    acknowledged_ = number;
    return true;
}

bool conversation::arrive(std::uint64_t number, std::string_view text)
{
    if (number != heard_ + arrived_.size() + 1 || arrived_.size() == window)
        return false;
    arrived_.emplace_back(text);
    return true;
}

std::optional<std::string> conversation::hear()
{
    if (arrived_.empty())
        return {};
    std::string result = std::move(arrived_.front());
    arrived_.pop_front();
    ++heard_;
    return result;
}

}  // namespace example
