// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace example {
namespace {

constexpr double width = 860;
constexpr double left = 60;
constexpr double row = 150;
constexpr double top = 40;
constexpr double plot = 110;           // the height of a row's plot
constexpr double most_latency = 1200;  // milliseconds: later than that is drawn at the top

double x_of(milliseconds time, milliseconds length)
{
    return left + (width - left - 20) * time / length;
}

double y_of(double latency, double base)
{
    return base - plot * std::min(latency, most_latency) / most_latency;
}

std::string line(double x1, double y1, double x2, double y2, std::string_view color)
{
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2, y2, color);
}

std::string text(double x, double y, std::string_view words, std::string_view anchor = "start")
{
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
}

std::string draw(recording const& one, double base, milliseconds length)
{
    std::string result = text(left, base - plot - 8, one.summary());
    for (int latency = 0; latency <= static_cast<int>(most_latency); latency += 400)
    {
        result += line(left, y_of(latency, base), width - 20, y_of(latency, base), "#dddddd");
        result += text(left - 6, y_of(latency, base) + 4, fmt::format("{} ms", latency), "end");
    }
    for (auto const& entry : one.entries())
    {
        double const x = x_of(entry.taken, length);
        if (entry.latency)
            result += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\" fill=\"#1f5fa8\"/>\n", x,
                y_of(entry.latency->count(), base));
        else
            result += line(x, base + 2, x, base + 9, entry.dropped ? "#999999" : "#c0392b");
    }
    return result;
}

}  // namespace

std::uint32_t recording::taken()
{
    entries_.push_back({clock::now() - begin_});
    return static_cast<std::uint32_t>(entries_.size() - 1);
}

void recording::arrived(std::uint32_t number)
{
    if (number >= entries_.size() || entries_[number].latency)
        return;
    entries_[number].latency = clock::now() - begin_ - entries_[number].taken;
}

std::string recording::summary() const
{
    std::vector<double> latencies;
    std::size_t dropped = 0;
    for (auto const& frame : entries_)
    {
        dropped += frame.dropped;
        if (frame.latency)
            latencies.push_back(frame.latency->count());
    }
    std::ranges::sort(latencies);
    auto const at = [&](std::size_t percent)
    { return latencies.empty() ? 0.0 : latencies[(latencies.size() - 1) * percent / 100]; };
    return fmt::format("{}: {} frames, {} dropped, {} lost; latency median {:.0f} ms, 95 % {:.0f} ms, most {:.0f} ms",
        name_, entries_.size(), dropped, entries_.size() - dropped - latencies.size(), at(50), at(95), at(100));
}

std::string picture(std::vector<recording> const& all, std::vector<episode> const& episodes, milliseconds length)
{
    double const height = top + row * static_cast<double>(all.size()) + 30;
    std::string result = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
                                     "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"11\">\n"
                                     "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        width, height);
    for (auto const& one : episodes)
    {
        double const begin = x_of(one.begin, length);
        result += fmt::format("<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"#f4ead5\"/>\n", begin,
            top - 12, x_of(one.end, length) - begin, height - top - 10);
        result += text(begin, top - 16, one.name);
    }
    double base = top + row - 20;
    for (auto const& one : all)
    {
        result += draw(one, base, length);
        base += row;
    }
    for (int second = 0; second * 1000.0 <= length.count(); ++second)
        result += text(x_of(milliseconds{second * 1000.0}, length), height - 8, fmt::format("{} s", second), "middle");
    return result + "</svg>\n";
}

}  // namespace example
