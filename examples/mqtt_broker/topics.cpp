// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "topics.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace mqtt {
namespace {

/// The first level of `topic`, and what is behind it. A topic without a '/' has one level: none is left then.
struct cut
{
    explicit cut(std::string_view topic) noexcept
    {
        auto const end = topic.find('/');
        level = topic.substr(0, end);
        is_last = end == std::string_view::npos;
        rest = is_last ? std::string_view{} : topic.substr(end + 1);
    }

    std::string_view level, rest;
    bool is_last;
};

bool has_good_size(std::string_view text) noexcept
{
    return !text.empty() && std::ranges::count(text, '/') < std::ptrdiff_t{most_levels};
}

/// How many bytes follow this first one, or -1.
int bytes_behind(unsigned char first) noexcept
{
    if (first < 0x80)
        return first == 0 ? -1 : 0;
    if (first < 0xc2 || first > 0xf4)
        return -1;
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept
{
    constexpr std::array<std::uint32_t, 4> least{0, 0x80, 0x800, 0x10000};  // what takes so many bytes, and not fewer
    while (!text.empty())
    {
        auto const first = static_cast<unsigned char>(text[0]);
        auto const behind = bytes_behind(first);
        if (behind < 0 || text.size() <= static_cast<std::size_t>(behind))
            return false;
        auto const count = static_cast<unsigned>(behind);
        std::uint32_t code = behind == 0 ? first : first & (0x3fU >> count);
        for (unsigned i = 1; i <= count; ++i)
        {
            auto const byte = static_cast<unsigned char>(text[i]);
            if ((byte & 0xc0U) != 0x80)
                return false;
            code = code << 6U | (byte & 0x3fU);
        }
        if (code < least[count] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        text.remove_prefix(count + 1);
    }
    return true;
}

bool is_topic(std::string_view text) noexcept
{
    return has_good_size(text) && text.find_first_of("+#") == std::string_view::npos;
}

bool is_filter(std::string_view text) noexcept
{
    if (!has_good_size(text))
        return false;
    for (;;)
    {
        cut const at{text};
        bool const wild = at.level.find_first_of("+#") != std::string_view::npos;
        if (wild && (at.level.size() != 1 || (at.level == "#" && !at.is_last)))
            return false;
        if (at.is_last)
            return true;
        text = at.rest;
    }
}

bool matches(std::string_view filter, std::string_view topic) noexcept
{
    if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')))
        return false;
    for (;;)
    {
        cut const wanted{filter};
        cut const is{topic};
        if (wanted.level == "#")
            return true;
        if (wanted.level != "+" && wanted.level != is.level)
            return false;
        if (is.is_last)
            return wanted.is_last || wanted.rest == "#";  // "a/#" matches "a", too
        if (wanted.is_last)
            return false;
        filter = wanted.rest;
        topic = is.rest;
    }
}

void subscription_tree::set(std::string_view filter, client& who, unsigned qos)
{
    auto* at = &root_;
    for (;;)
    {
        cut const next{filter};
        auto& below = at->below.try_emplace(std::string{next.level}).first->second;
        if (!below)
            below = std::make_unique<node>();
        at = below.get();
        if (next.is_last)
            break;
        filter = next.rest;
    }
    at->subscribers[&who] = qos;
}

void subscription_tree::erase(std::string_view filter, client& who)
{
    erase(root_, filter, who);
}

void subscription_tree::erase(node& from, std::string_view filter, client& who)
{
    cut const next{filter};
    auto const found = from.below.find(next.level);
    if (found != from.below.end())
    {
        auto& below = *found->second;
        if (next.is_last)
            below.subscribers.erase(&who);
        else
            erase(below, next.rest, who);
        if (below.subscribers.empty() && below.below.empty())
            from.below.erase(found);
    }
}

std::size_t subscription_tree::visit(std::string_view topic, visitor const& visit) const
{
    return subscription_tree::visit(root_, topic, visit);
}

std::size_t subscription_tree::visit(node const& at, std::string_view topic, visitor const& visit)
{
    cut const next{topic};
    std::size_t places = 1;
    auto const descend = [&](std::string_view level)
    {
        auto const found = at.below.find(level);
        if (found == at.below.end())
            return;
        if (!next.is_last)
        {
            places += subscription_tree::visit(*found->second, next.rest, visit);
            return;
        }
        subscription_tree::visit(*found->second, visit);
        if (auto const rest = found->second->below.find("#"); rest != found->second->below.end())
            subscription_tree::visit(*rest->second, visit);  // "a/#" matches "a", too
    };
    descend(next.level);
    descend("+");
    if (auto const all = at.below.find("#"); all != at.below.end())
        subscription_tree::visit(*all->second, visit);
    return places;
}

void subscription_tree::visit(node const& at, visitor const& visit)
{
    for (auto const& [who, qos] : at.subscribers)
        visit(*who, qos);
}

}  // namespace mqtt
