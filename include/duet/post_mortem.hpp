// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_POST_MORTEM_HPP
#define DUET_POST_MORTEM_HPP

#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <duet/close_report.hpp>
#include <duet/lifecycle.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Who ended a connection.
enum class ended_by : std::uint8_t
{
    nobody,    ///< it lives
    program,   ///< close(), shutdown_send(), abort(), or the session's destructor
    peer,      ///< its FIN or its RST
    deadline,  ///< one of the session's deadlines passed, or a limit of close() was exceeded
    network,   ///< the peer's host no longer answered
    system,    ///< any other error of the system; no memory
};

/// One or both directions of a connection, seen from here.
enum class direction : std::uint8_t
{
    none,
    receive,
    send,
    both,
};

/// What a connection was about when it ended.
enum class end_phase : std::uint8_t
{
    before_message,    ///< no byte had arrived
    in_message,        ///< bytes of a message had arrived, and were not answered yet
    answering,         ///< writes were waiting for the peer
    between_messages,  ///< what had arrived was answered
    half_closed,       ///< one direction had ended with FIN, the other was open
    closing,           ///< close() was under way
};

/// Who ended a connection, in which direction, in which phase, after how many bytes, and with which errors. Plain data.
///
/// After a clean end, `by`, `where` and `phase` tell of the first FIN; otherwise of what made the end unclean.
struct post_mortem
{
    struct failure
    {
        duet::direction where = direction::none;
        boost::system::error_code error{};
    };

    static constexpr std::size_t most_failures = 3;

    ended_by by = ended_by::nobody;
    direction where = direction::none;
    end_phase phase = end_phase::before_message;

    /// The reason, the first terminal error, the states, and the bytes.
    close_report report{};

    /// The first errors, in order, as the system or a deadline reported them. The others, beyond `failed`, are not set.
    std::array<failure, most_failures> failures{};
    std::size_t failed = 0;
};

DUET_DECL std::string_view to_string(ended_by value) noexcept;
DUET_DECL std::string_view to_string(direction value) noexcept;
DUET_DECL std::string_view to_string(end_phase value) noexcept;

/// One line for a log: "peer_reset, by the peer, in a message, direction receive; received 12, sent 0 bytes; receive:
/// Connection reset by peer".
DUET_DECL std::string to_string(post_mortem const& value);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/post_mortem.ipp>
#endif

#endif
