// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "backend_list.hpp"

#include <algorithm>
#include <utility>

namespace example {

backend_list::changes backend_list::replace(std::vector<backend_line> const& lines)
{
    changes result;
    std::vector<pointer> next;
    for (auto const& line : lines)
    {
        next.push_back(take(line));
        result.added += next.back()->listed() ? 0U : 1U;
        result.draining += line.drain ? 1U : 0U;
    }
    for (auto const& each : listed_)
        if (std::ranges::find(next, each) == next.end())
        {
            each->remove();
            removed_.push_back(each);
            ++result.removed;
        }
    for (std::size_t at = 0; at < next.size(); ++at)
        next[at]->list(lines[at].drain);
    std::erase_if(removed_, [](pointer const& each) { return each->listed() || each->active() == 0; });
    listed_ = std::move(next);
    return result;
}

/// The backend of this name, also one that was removed and still has connections; or a new one, which is not listed
/// yet.
backend_list::pointer backend_list::take(backend_line const& line)
{
    auto const same = [&](pointer const& each) { return each->at().host == line.host && each->at().port == line.port; };
    for (auto const* const known : {&listed_, &removed_})
        if (auto const found = std::ranges::find_if(*known, same); found != known->end())
            return *found;
    auto const added = std::make_shared<backend>(line, limits_);
    added->remove();
    return added;
}

backend_list::pointer backend_list::choose(std::vector<pointer> const& tried)
{
    pointer best;
    // Begin behind the one that was chosen last. So those with equally few connections take turns, too. A second choice
    // does not count: if one of two fails, it would be the first choice of every client.
    std::size_t const first = turn_;
    for (std::size_t step = 0; step < listed_.size(); ++step)
    {
        auto const at = (first + step) % listed_.size();
        auto const& each = listed_[at];
        if (!each->takes_clients() || std::ranges::find(tried, each) != tried.end())
            continue;
        if (best && each->active() >= best->active())
            continue;
        best = each;
        if (tried.empty())
            turn_ = at + 1;
        if (by_ == policy::round_robin)
            break;
    }
    return best;
}

std::vector<backend_list::pointer> backend_list::all()
{
    std::erase_if(removed_, [](pointer const& each) { return each->active() == 0; });
    std::vector<pointer> result = listed_;
    result.insert(result.end(), removed_.begin(), removed_.end());
    return result;
}

}  // namespace example
