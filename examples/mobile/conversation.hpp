// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MOBILE_CONVERSATION_HPP
#define EXAMPLES_MOBILE_CONVERSATION_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace example {

/// One side of a conversation that outlives its connections. It keeps what the other side has not acknowledged, and
/// knows which message must come next. No I/O, and no time.
///
/// A message is acknowledged when the program has taken it by hear(), not when it has arrived. So both queues have the
/// same bound, whichever side is slow: `window` messages. Who has acknowledged little is said little, as in TCP's slow
/// start: one that never does has `first_window` of them kept for it, and no more.
class conversation
{
public:
    static constexpr std::size_t window = 64;
    static constexpr std::size_t first_window = 4;

    // ---- What this side says ---------------------------------------------------------------------------------------

    bool has_room() const noexcept
    {
        return kept_.size() < std::min<std::uint64_t>(window, acknowledged_ + first_window);
    }

    /// Say the next message. Only if has_room().
    void say(std::string text) { kept_.push_back(std::move(text)); }

    /// The message with this number, if it was said and is not acknowledged.
    std::string const* said(std::uint64_t number) const noexcept
    {
        auto const index = number - acknowledged_ - 1;
        return number > acknowledged_ && index < kept_.size() ? &kept_[index] : nullptr;
    }

    /// The number of the last message that was acknowledged: a new connection begins with the one behind it.
    std::uint64_t acknowledged() const noexcept { return acknowledged_; }

    bool all_acknowledged() const noexcept { return kept_.empty(); }

    /// The other side has heard everything up to `number`. False if it cannot have.
    bool acknowledge(std::uint64_t number);

    // ---- What it hears ---------------------------------------------------------------------------------------------

    /// A message has come. False if it is not the next one, or beyond the window: the other side is wrong.
    bool arrive(std::uint64_t number, std::string_view text);

    /// The next message for the program, if one is there.
    std::optional<std::string> hear();

    /// The number of the last one that the program has taken: what to acknowledge.
    std::uint64_t heard() const noexcept { return heard_; }

    // ---- The end of a connection -----------------------------------------------------------------------------------

    /// What arrived and was not heard is forgotten: it was not acknowledged, and so comes again on the next one.
    void forget_arrived() noexcept { arrived_.clear(); }

private:
    std::deque<std::string> kept_;  // from acknowledged_ + 1 on
    std::uint64_t acknowledged_ = 0;
    std::deque<std::string> arrived_;  // from heard_ + 1 on
    std::uint64_t heard_ = 0;
};

}  // namespace example

#endif
