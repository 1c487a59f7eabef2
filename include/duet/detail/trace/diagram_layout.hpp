// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_LAYOUT_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_LAYOUT_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {

enum class item_kind : std::uint8_t
{
    event,    ///< what the program of one end called or learned
    segment,  ///< from one lifeline to the other
    state,    ///< of TCP at one end
    fold,     ///< stands for many segments and events
    pause,    ///< time passes
    note,     ///< what the program has to say
};

/// The name and the value of something that is known about an item.
using fact_lines = std::vector<std::pair<std::string, std::string>>;

/// One thing in a picture. `text` is UTF-8 without control characters; whatever means something to a format is escaped
/// by its renderer.
struct diagram_item
{
    item_kind kind = item_kind::event;
    bool client = true;  ///< the side of an event or a state; a segment comes from there
    std::size_t row = 0;
    std::size_t last_row = 0;  ///< of a segment that arrives lower down; else as `row`
    std::string text{};
    bool observed = true;
    bool failed = false;    ///< an error, or RST
    bool lost = false;      ///< it never arrived
    bool unknown = false;   ///< it is not known that it arrived
    bool bare = false;      ///< an acknowledgement, and nothing else
    bool returned = false;  ///< an event that tells, not a call
    std::uint64_t bytes = 0;
    fact_lines facts{};
};

struct diagram_row
{
    std::chrono::nanoseconds time{};
    bool timed = true;   ///< the time is worth telling
    double space = 0.0;  ///< the time since the row before as a share of the longest that is no pause: 0 to 1
};

/// The rows between one end's FIN and the other's: bytes go one way.
struct one_way
{
    bool to_client = true;
    std::size_t first_row = 0;
    std::size_t last_row = 0;
};

struct diagram_end
{
    std::string role{};     ///< "client" or "server"
    std::string address{};  ///< or empty
    bool traced = true;     ///< else what it did follows from what the other end saw
    bool finished = false;  ///< it has sent its FIN before the first row
};

/// What all renderers draw: items in rows from top to bottom. The items are in the order of reading.
struct diagram_layout
{
    std::string title{};    ///< who talked
    std::string verdict{};  ///< who ended it, and why
    std::vector<std::string> details{};
    std::array<diagram_end, 2> ends{};  ///< client, server
    std::vector<diagram_row> rows{};
    std::vector<diagram_item> items{};
    std::vector<one_way> stretches{};

    /// All events of both ends, one line of facts each: also those that are folded away.
    std::vector<std::array<std::string, 4>> table{};

    bool any(item_kind kind, bool diagram_item::*flag, bool value = true) const noexcept
    {
        for (auto const& item : items)
            if (item.kind == kind && item.*flag == value)
                return true;
        return false;
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
