// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_PUMP_HPP
#define DUET_DETAIL_RELAY_RELAY_PUMP_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/relay/relay_buffer.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/error.hpp>
#include <duet/relay_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class relay_run;

/// One direction of a relay. It is no coroutine: the connections call it. When the sender's connection tells of input,
/// the pump reads it, writes it at once, and waits for more. So a message costs one wake-up and no memory.
///
/// It reads and writes by the operations that the program would use, so deadlines, byte counts, half-close and errors
/// are the connections' own. After a short write it waits until the receiver has accepted the rest, and does not read:
/// that is the back-pressure.
///
/// It waits for input without a buffer, if the channel is able to: see relay_buffer. Otherwise it keeps a small buffer,
/// which grows if reads fill it. Bulk goes through a pipe, by splice(2), which the pump also holds only while it has
/// bytes.
///
/// What is pending keeps the relay alive: `self` moves from one step to the next.
class relay_pump final : public input_taker
{
public:
    using self = std::shared_ptr<relay_run>;

    relay_pump(connection& from, connection& to, relay_options const& options) noexcept
        : from_{from}, to_{to}, most_{std::clamp<std::size_t>(options.buffer_size, 1, longest(from))},
          room_{std::min(most_, from.able_to_take() ? relay_buffer::usual : small_buffer)}, sent_before_{
                                                                                                to.bytes_sent()}
    {
    }

    relay_pump(relay_pump const&) = delete;
    relay_pump& operator=(relay_pump const&) = delete;

    /// Begin to carry.
    void begin(self run) { carry(std::move(run), false); }

    /// Notice that the sender is gone while this pump does not read.
    DUET_DECL void watch(self run);

    /// Count activity of the receiver as activity of the sender: a receiver that slowly takes what the sender has sent
    /// is not idle.
    DUET_DECL void end_together(self const& run);

    /// End the receiver: close it if it got everything that was meant for it, otherwise reset it.
    DUET_DECL void end_receiver(self run);

    DUET_DECL void no_memory() noexcept;

    DUET_DECL relay_direction report() const noexcept;

private:
    [[gnu::cold]] void hold(boost::asio::const_buffer bytes) noexcept;
    bool take_input(error_code& error, turn_time& time) noexcept override;

    // The steps that the connections call
    DUET_DECL void on_input(self run, error_code const& error, std::size_t size);
    DUET_DECL void on_written(self run, error_code const& error, std::size_t size);
    DUET_DECL void on_finished(self run, error_code const& error, std::size_t size);
    DUET_DECL void on_gone(self run, error_code const& error, std::size_t size);
    DUET_DECL void on_closed(self run, error_code const& error, std::size_t size);

    template <void (relay_pump::*Then)(self, error_code const&, std::size_t)>
    struct step;

    template <void (relay_pump::*Then)(self, error_code const&, std::size_t)>
    any_completion then(self&& run, bool at_once = false);

    static std::size_t longest(connection const& from) noexcept
    {
        return from.able_to_take() ? relay_buffer::most : SIZE_MAX;
    }

    DUET_DECL void carry(self run, bool told);
    void await_input(self run);
    bool reserve() noexcept;
    bool pass_on(self& run, std::size_t size);
    bool write(self& run, write_request&& request);
    bool splice(self& run, bool& told);
    void give_back_pipe(relay_run& run) noexcept;
    void input_ended(self run, error_code const& error);
    void end(self run, error_code const& failure);

    static constexpr std::size_t small_buffer = std::size_t{16} * 1024;
    static constexpr std::size_t bulk = std::size_t{48} * 1024;  // with so many bytes at once splice(2) is faster
    static constexpr int most_turns = 16;                        // before other handlers run

    connection& from_;
    connection& to_;
    std::size_t most_;
    std::size_t room_;         // how much to read
    std::size_t at_once_ = 0;  // bytes that have come without a pause, while it splices
    relay_buffer buffer_;
    boost::asio::const_buffer held_;  // what take_input() has in the buffer and could not pass on
    std::optional<splice_pipe> pipe_;
    relay_direction told_{};
    std::uint64_t sent_before_;  // what the receiver was sent before the relay
    bool splicing_ = false;
    bool writing_ = false;      // a write waits for the receiver
    bool sender_gone_ = false;  // see watch()
    // Operations that an observer was told of
    char const* reading_ = nullptr;
    char const* sending_ = nullptr;
    char const* watching_ = nullptr;
    char const* closing_ = nullptr;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
