// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "lifecycle_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace example {
namespace {

constexpr std::size_t time_width = 7;

/// What stands between the time and the lanes.
constexpr std::size_t margins = 4;

/// A port, for the lane that is not filled.
constexpr std::size_t narrow_lane = 9;

/// What colours a terminal, by style.
constexpr std::array sequences{"", "1", "2", "2;3;35", "33", "36", "1;33", "1;36", "32", "1;32"};

std::string_view variable(char const* name)
{
    char const* const value = std::getenv(name);
    return value ? value : "";
}

bool speaks_utf8()
{
    std::setlocale(LC_CTYPE, "");
    return ::nl_langinfo(CODESET) == std::string_view{"UTF-8"};
}

bool on_terminal()
{
    return ::isatty(STDOUT_FILENO) != 0 && variable("TERM") != "dumb";
}

std::size_t screen_width()
{
    ::winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 120;  // no terminal
    return size.ws_col == 0 ? 80 : std::max<std::size_t>(size.ws_col, 60);
}

std::string repeat(std::string_view text, std::size_t times)
{
    std::string result;
    for (; times != 0; --times)
        result += text;
    return result;
}

}  // namespace

table::table(std::array<bool, 2> lanes)
    : filled_{lanes}, colours_{on_terminal() && variable("NO_COLOR").empty()}, unicode_{on_terminal() && speaks_utf8()}
{
    printer_ = std::thread{[this] { print_all(); }};
}

table::~table()
{
    {
        std::lock_guard const lock{mutex_};
        ending_ = true;
    }
    changed_.notify_one();
    printer_.join();
}

void table::add(row next)
{
    {
        std::lock_guard const lock{mutex_};
        bool const returns = next.caller && !next.waits;
        if (returns && !rows_.empty() && rows_.back().waits && rows_.back().caller == next.caller)
        {
            auto& call = rows_.back();
            call.waits = false;
            call.time = next.time;
            for (std::size_t const lane : {client_side, server_side})
                if (next.lanes[lane].size() > 1)  // its name, and what it returned
                    call.lanes[lane].push_back(next.lanes[lane].back());
            call.wire.insert(call.wire.end(), next.wire.begin(), next.wire.end());
        }
        else
            rows_.push_back(std::move(next));
    }
    changed_.notify_one();
}

void table::print_all()
{
    std::unique_lock lock{mutex_};
    for (;;)
    {
        changed_.wait(lock, [&] { return ending_ || !rows_.empty(); });
        if (rows_.empty())
            return;
        auto const settled = [&] { return ending_ || rows_.size() > 1 || !rows_.front().waits; };
        changed_.wait_for(lock, std::chrono::milliseconds{5}, settled);  // a call that returns at once is one row
        row next = std::move(rows_.front());
        rows_.pop_front();
        lock.unlock();
        if (next.complete)
            next.complete(next);
        try
        {
            print(next);
            std::fflush(stdout);
        }
        catch (std::system_error const&)
        {
            // fmt could not write: the terminal is gone, say. What is shown goes on.
        }
        lock.lock();
    }
}

void table::print(row const& one)
{
    if (!one.line.empty())
    {
        if (std::exchange(titled_, false))
            fmt::print("\n");
        for (auto const& each : wrap({{one.line}}, screen_width()))
            fmt::print("{}\n", each.text);
        return;
    }
    auto const size = fit();
    if (!std::exchange(explained_, true))
        print_legend();
    bool const after_comparison = std::exchange(comparing_, !one.label.empty()) && !comparing_;
    if (!std::exchange(titled_, true) || after_comparison)
        print_titles(size);

    auto const client = wrap(one.lanes[client_side], size.lanes[client_side] - 1);
    auto const server = wrap(one.lanes[server_side], size.lanes[server_side]);
    std::vector<strip> wire;
    if (!one.label.empty())
        wire.push_back(styled(one.label, style::faint));
    for (auto const& each : one.wire)
        wire.push_back(arrow(each, size.wire));
    auto time = milliseconds(one.time);
    auto const at = [](std::vector<strip> const& strips, std::size_t i)
    { return i < strips.size() ? strips[i] : strip{}; };
    for (std::size_t i = 0; i < std::max({client.size(), wire.size(), server.size()}); ++i)
        print_line(std::exchange(time, {}), size, at(client, i), at(wire, i), at(server, i));
}

void table::print_line(
    std::string const& time, columns const& size, strip const& client, strip const& wire, strip const& server) const
{
    auto const pad = [](std::size_t width, strip const& text)
    { return std::string(width - std::min(width, text.width), ' '); };
    auto const stamp = styled(time, style::faint);
    auto const border = styled(unicode_ ? "│" : "|", style::faint).text;
    auto const end = server.width == 0 ? "" : " " + server.text;
    fmt::print("{}{} {}{}{}{}{}{}{}\n", pad(time_width, stamp), stamp.text, client.text,
        pad(size.lanes[client_side], client), border, wire.text, pad(size.wire, wire), border, end);
}

void table::print_titles(columns const& size) const
{
    auto const wire = styled("(wire)", style::inferred);
    strip const centred{std::string((size.wire - wire.width) / 2, ' ') + wire.text, (size.wire + wire.width) / 2};
    fmt::print("\n");
    print_line("ms", size, styled("client", style::title), centred, styled("server", style::title));
    char const* const dash = unicode_ ? "─" : "-";
    char const* const cross = unicode_ ? "┼" : "+";
    auto const rule = repeat(dash, time_width + 1 + size.lanes[client_side]) + cross + repeat(dash, size.wire) + cross +
                      repeat(dash, size.lanes[server_side] + 1);
    fmt::print("{}\n", styled(rule, style::faint).text);
}

void table::print_legend() const
{
    strip const arrows = arrow({"segment", client_side}, 19);
    fmt::print("\nThe life of a TCP connection, in milliseconds since the start.\n"
               "Observed: {} and what it returned;\n"
               "          {}, as duet and TCP_INFO tell, where they changed.\n"
               "Inferred: {}, which nobody captured. Other ACKs are left out.\n",
        styled("each call", style::title).text, styled("[receive/send KERNEL]", style::state).text, arrows.text);
}

/// The widths for the terminal as it is now. Very wide ones are not filled: the lanes would be too far apart.
table::columns table::fit() const
{
    std::size_t const width = screen_width();
    std::size_t const wire = std::clamp<std::size_t>(width / 16 * 2, 14, 20);
    std::size_t const left = width - time_width - margins - wire;
    if (filled_[client_side] && filled_[server_side])
    {
        auto const lane = std::min<std::size_t>(left / 2, 48);
        return {{std::min(left - lane, lane + 1), lane}, wire};
    }
    auto const lane = std::min<std::size_t>(left - narrow_lane, 64);
    return filled_[client_side] ? columns{{lane, narrow_lane}, wire} : columns{{narrow_lane, lane}, wire};
}

table::strip table::styled(std::string const& text, style look) const
{
    auto const continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    auto const width = text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues));
    if (!colours_ || look == style::plain || text.empty())
        return {text, width};
    return {fmt::format("\033[{}m{}\033[0m", sequences[static_cast<std::size_t>(look)], text), width};
}

/// Dotted and in parentheses, so that it looks inferred without colours, too.
table::strip table::arrow(segment const& one, std::size_t width) const
{
    bool const right = one.from == client_side;
    std::size_t const inside = width - 2;
    std::vector<std::string> glyphs(inside, " ");
    for (std::size_t i = 0; i < inside; i += 2)
        glyphs[right ? i : inside - 1 - i] = unicode_ ? "·" : ".";
    auto const what = one.what.size() + 2 > inside ? one.what.substr(0, inside - 2) : one.what;
    auto const begin =
        right ? (inside - 1 - what.size()) / 2 : std::max<std::size_t>((inside - what.size() + 1) / 2, 2);
    for (std::size_t i = begin; i < begin + what.size(); ++i)
        glyphs[i] = what[i - begin];
    for (std::size_t const gap : {begin - 1, begin + what.size()})
        if (gap < inside)
            glyphs[gap] = " ";
    if (right)
        glyphs.back() = unicode_ ? "▷" : ">";
    else
        glyphs.front() = unicode_ ? "◁" : "<";
    std::string text = "(";
    for (auto const& glyph : glyphs)
        text += glyph;
    return styled(text + ')', style::inferred);
}

/// Break at blanks and in words that are too long; and before a result, if that keeps it on one line. Every line after
/// the first is indented.
std::vector<table::strip> table::wrap(std::vector<piece> const& pieces, std::size_t width) const
{
    constexpr std::size_t indent = 2;
    std::vector<strip> lines;
    bool begun = false;  // the last line has a word
    auto const next_line = [&]
    {
        lines.push_back({std::string(indent, ' '), indent});
        begun = false;
    };
    auto const put = [&](std::string const& word, style look)
    {
        auto const next = styled(word, look);
        if (lines.empty())
            lines.emplace_back();
        if (begun && lines.back().width + 1 + next.width > width)
            next_line();
        if (std::exchange(begun, true))
            lines.back() = {lines.back().text + ' ', lines.back().width + 1};
        lines.back() = {lines.back().text + next.text, lines.back().width + next.width};
    };
    for (auto const& [text, look] : pieces)
    {
        if (look == style::client_result || look == style::server_result)
        {
            auto const mark = styled(unicode_ ? "→" : "->", look);
            auto const length = mark.width + 1 + text.size();
            if (!lines.empty() && lines.back().width + 1 + length > width && indent + length <= width)
                next_line();
            put(unicode_ ? "→" : "->", look);
        }
        std::istringstream words{text};
        for (std::string word; words >> word; put(word, look))
            for (; word.size() > width - indent; word.erase(0, width - indent), next_line())
                put(word.substr(0, width - indent), look);
    }
    return lines;
}

std::string table::milliseconds(std::optional<row::clock::time_point> time) const
{
    if (!time)
        return {};
    auto const passed = std::chrono::duration<double, std::milli>{*time - begun_}.count();
    int const digits = passed < 1e3 ? 3 : passed < 1e4 ? 2 : passed < 1e5 ? 1 : 0;
    bool const long_ago = passed >= 1e6;
    return fmt::format("{:.{}f}{}", long_ago ? passed / 1e3 : passed, digits, long_ago ? " s" : "");
}

}  // namespace example
