// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_TABLE_HPP
#define EXAMPLES_LIFECYCLE_TABLE_HPP

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace example {

/// The two ends of a connection; the index of an end's lane.
enum side : std::size_t
{
    client_side,
    server_side,
};

constexpr side other(side one)
{
    return one == client_side ? server_side : client_side;
}

/// Nobody captured it: that it was on the wire is inferred.
struct segment
{
    std::string what;
    side from;
};

/// How a text looks on a terminal with colours. Keep `sequences` in the same order.
enum class style
{
    plain,
    title,
    faint,
    inferred,
    client,
    server,
    client_result,
    server_result,
    state,
    new_state,
};

struct piece
{
    std::string text;
    style look = style::plain;
};

/// What stands in one row of the table. All of it was observed, except `wire`.
struct row
{
    using clock = std::chrono::steady_clock;

    std::optional<clock::time_point> time{};    ///< when it was observed
    std::array<std::vector<piece>, 2> lanes{};  ///< by side
    std::vector<segment> wire{};
    std::string label{};  ///< between the lanes, in place of a segment: what the lanes compare
    std::string line{};   ///< a line of its own in place of all that; the next row begins a new table

    void const* caller = nullptr;  ///< of a call that has not returned (`waits`), or the return of one
    bool waits = false;

    std::function<void(row&)> complete{};  ///< called by the printing thread, for what takes time to find out
};

/// Three lanes, client, wire and server, printed to standard output as wide as the terminal allows: with colours and
/// arrows on a terminal, as plain ASCII elsewhere.
///
/// A thread of its own prints: a slow terminal or a full pipe does not hold up what is shown.
class table
{
public:
    /// Which lanes are filled; the other one is narrow.
    explicit table(std::array<bool, 2> lanes);

    table(table const&) = delete;
    table& operator=(table const&) = delete;

    /// Prints what is left.
    ~table();

    /// Add a row below the last one. A return goes into the row of its call, if nothing stands below that yet.
    void add(row next);

private:
    struct columns
    {
        std::array<std::size_t, 2> lanes;
        std::size_t wire;
    };

    /// Text and its width on the screen.
    struct strip
    {
        std::string text{};
        std::size_t width = 0;
    };

    void print_all();
    void print(row const& one);
    void print_line(std::string const& time, columns const& size, strip const& client, strip const& wire,
        strip const& server) const;
    void print_titles(columns const& size) const;
    void print_legend() const;

    columns fit() const;
    strip styled(std::string const& text, style look) const;
    strip arrow(segment const& one, std::size_t width) const;
    std::vector<strip> wrap(std::vector<piece> const& pieces, std::size_t width) const;
    std::string milliseconds(std::optional<row::clock::time_point> time) const;

    std::array<bool, 2> filled_;
    bool colours_;
    bool unicode_;
    bool explained_ = false;
    bool titled_ = false;
    bool comparing_ = false;
    row::clock::time_point begun_ = row::clock::now();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<row> rows_;
    bool ending_ = false;
    std::thread printer_;
};

}  // namespace example

#endif
