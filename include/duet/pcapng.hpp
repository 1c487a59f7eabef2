// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_PCAPNG_HPP
#define DUET_PCAPNG_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string_view>

#include <duet/captured_segment.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

// Captures for Wireshark, tshark and whatever else reads pcapng. Packets begin with their IP header (LINKTYPE_RAW), and
// times are in nanoseconds. duet/duet.hpp does not include this header.

/// Writes packets as pcapng, as they come. Each call writes whole blocks with one call of the stream's write(). It does
/// not flush, and errors are those of the stream.
///
/// Text that is not UTF-8, which comments have to be, is written with U+FFFD for what it is not, and cut at 65,535
/// bytes.
///
/// Distinct objects: safe. Shared objects: unsafe.
class pcapng_writer
{
public:
    /// Writes the head of the file. `out` has to outlive the writer. `comment` is that of the whole file, and `origin`
    /// the description of its one interface; either may be empty.
    DUET_DECL pcapng_writer(std::ostream& out, std::string_view comment, std::string_view origin);

    /// `packet` is the packet from its IP header on, or its beginning; `length` is that of all of it. The comment may
    /// be empty.
    DUET_DECL void write(std::span<std::byte const> packet, std::uint32_t length,
        std::chrono::system_clock::time_point time, std::string_view comment);

private:
    std::ostream* out_;
};

/// How the packets of a trace are made.
struct pcapng_options
{
    /// How many bytes of a packet are in the file. The headers always are; its length is told, whatever is left out.
    std::size_t snap_length = 512;
};

/// Writes what the session `of` and its peer sent each other, `segments`, as packets that are made from them: no
/// privilege is needed. The file and each packet say in their comments that they are made, and each packet which call
/// caused it and which return told the program of it.
///
/// The headers are right in all that a trace tells, their lengths and checksums included; payload is zeros. A segment
/// that stands for more than fits one packet becomes several, for at most 4 GiB. A window that is not known is written
/// as the largest, 65,535. A session whose endpoints are not addresses (a path, say) gets 192.0.2.1 and 192.0.2.2. The
/// packets are in the order of the times when they were sent.
///
/// `log` is what the session and the numbers of events in `segments` belong to.
DUET_DECL void write_pcapng(std::ostream& out, trace_log const& log, trace_session const& of,
    std::span<trace_segment const> segments, pcapng_options const& options = {});

/// Writes captured segments, byte for byte. If merge() has added them to `log`, the comment of each names the call
/// which caused it, the return which told the program of it, and its label, as segments_of() (duet/trace_segments.hpp)
/// finds them.
DUET_DECL void write_pcapng(std::ostream& out, trace_log const& log, std::span<captured_segment const> segments);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/wire/pcapng.ipp>
#endif

#endif
