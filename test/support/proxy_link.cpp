// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/proxy_link.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace duet_test {

using std::chrono::steady_clock;

piece_plan::piece_plan(std::uint32_t const seed, std::size_t const largest_piece)
    : random_{seed}, largest_{largest_piece}
{
}

std::size_t piece_plan::take(std::size_t const available)
{
    if (largest_ == 0)
        return available;
    if (left_ == 0)
        left_ = 1 + random_() % largest_;  // not a distribution: those differ between standard libraries
    auto const size = std::min(left_, available);
    left_ -= size;
    return size;
}

proxy_link::proxy_link(int const from, int const to, link_options const& options, std::uint32_t const seed,
    std::atomic<std::size_t>& counter)
    : from_{from}, to_{to}, options_{options}, plan_{seed, options.largest_piece}, counter_{counter}
{
}

bool proxy_link::wants_input() const noexcept
{
    return !input_ended_ && queued_ < options_.buffer_size;
}

std::optional<steady_clock::time_point> proxy_link::next_due() const
{
    if (!queue_.empty())
        return queue_.front().due;
    if (input_ended_ && !output_ended_)
        return end_due_;
    return std::nullopt;
}

bool proxy_link::finished() const noexcept
{
    return output_ended_;
}

bool proxy_link::read()
{
    std::string data(std::min<std::size_t>(options_.buffer_size - queued_, 65536), '\0');
    auto const size = ::recv(from_, data.data(), data.size(), MSG_DONTWAIT);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    auto const arrives = steady_clock::now() + options_.delay;
    if (size == 0)
    {
        input_ended_ = true;
        end_due_ = std::max(arrives, free_at_);
        return true;
    }
    data.resize(static_cast<std::size_t>(size));
    queued_ += data.size();
    split(data, arrives);
    return true;
}

bool proxy_link::write()
{
    auto const now = steady_clock::now();
    while (!queue_.empty() && queue_.front().due <= now)
    {
        auto& data = queue_.front().data;
        auto const size = ::send(to_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0)
            return errno == EAGAIN || errno == EINTR;
        counter_ += static_cast<std::size_t>(size);
        queued_ -= static_cast<std::size_t>(size);
        data.erase(0, static_cast<std::size_t>(size));
        if (!data.empty())
            return true;
        queue_.pop_front();
    }
    if (queue_.empty() && input_ended_ && !output_ended_ && end_due_ <= now)
    {
        output_ended_ = true;
        return ::shutdown(to_, SHUT_WR) == 0;
    }
    return true;
}

// A throttled link sends at least once a millisecond, so that its rate is even.
void proxy_link::split(std::string_view data, steady_clock::time_point const arrives)
{
    auto const rate = options_.bytes_per_millisecond;
    while (!data.empty())
    {
        auto const size = plan_.take(rate == 0 ? data.size() : std::min(data.size(), rate));
        auto due = std::max(arrives, free_at_);
        if (rate != 0)
            due += std::chrono::nanoseconds{static_cast<long long>(1'000'000 * size / rate)};
        free_at_ = due;
        queue_.push_back({std::string{data.substr(0, size)}, due});
        data.remove_prefix(size);
    }
}

}  // namespace duet_test
