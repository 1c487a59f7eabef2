// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_CONNECTION_MAP_HPP
#define DUET_DETAIL_WIRE_CONNECTION_MAP_HPP

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <duet/captured_segment.hpp>
#include <duet/detail/wire/endpoint_text.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What the segments between two endpoints have told so far: of one connection, or of several, one after another.
class connection_track
{
public:
    using endpoint = boost::asio::ip::tcp::endpoint;

    void add(trace_session const& one, endpoint const& client)
    {
        (one.client ? clients_ : servers_).push_back(one.number);
        client_ = client;
    }

    /// The next segment, in the order of time.
    trace_segment take(captured_segment const& from)
    {
        bool const syn = contains(from.flags, tcp_flags::syn);
        bool const begins = syn && !contains(from.flags, tcp_flags::ack);
        bool const may_be_any = session() == 0 && !begun_;
        if (!client_ || (begins && may_be_any))
            client_ = syn && !begins ? from.to : from.from;
        if (syn && from.from == *client_)
            take_client_syn(from);
        else if (syn)
            take_server_syn(from);

        trace_segment result;
        result.from_client = from.from == *client_;
        result.flags = from.flags;
        result.sequence = from.sequence;
        result.acknowledgement = from.acknowledgement;
        result.bytes = from.bytes;
        result.window = window_of(from, result.from_client);
        result.evidence = evidence::observed;
        return result;
    }

    /// The session that the last segment belongs to; 0: none.
    std::uint32_t session() const noexcept
    {
        auto const& numbers = clients_.empty() ? servers_ : clients_;
        return numbers.empty() ? 0 : numbers[std::min(turn_, numbers.size() - 1)];
    }

private:
    /// A SYN with another number than the last one's begins another connection.
    void take_client_syn(captured_segment const& syn)
    {
        if (begun_ && *begun_ != syn.sequence)
            ++turn_;
        begun_ = syn.sequence;
        scale_of_client_ = syn.window_scale;
        agreed_ = false;
    }

    void take_server_syn(captured_segment const& syn)
    {
        scale_of_server_ = syn.window_scale;
        agreed_ = begun_.has_value();
    }

    std::optional<std::uint32_t> window_of(captured_segment const& from, bool from_client) const
    {
        if (contains(from.flags, tcp_flags::rst))
            return std::nullopt;
        if (contains(from.flags, tcp_flags::syn) || from.window == 0)
            return from.window;
        if (!agreed_)
            return std::nullopt;
        // RFC 7323 2.2: both, or none.
        bool const scaled = scale_of_client_ && scale_of_server_;
        auto const scale = scaled ? *(from_client ? scale_of_client_ : scale_of_server_) : 0U;
        return std::uint32_t{from.window} << scale;
    }

    std::vector<std::uint32_t> clients_;
    std::vector<std::uint32_t> servers_;
    std::size_t turn_ = 0;
    std::optional<endpoint> client_;
    std::optional<std::uint32_t> begun_;
    std::optional<std::uint8_t> scale_of_client_;
    std::optional<std::uint8_t> scale_of_server_;
    bool agreed_ = false;  // both SYNs were captured
};

/// The connections of a trace by their endpoints.
class connection_map
{
public:
    explicit connection_map(trace_log const& log)
    {
        for (auto const& each : log.sessions)
        {
            auto const local = endpoint_of(each.local);
            auto const remote = endpoint_of(each.remote);
            if (local && remote)
                (*this)[{*local, *remote}].add(each, each.client ? *local : *remote);
        }
    }

    using ends = std::pair<connection_track::endpoint, connection_track::endpoint>;

    /// In either order.
    connection_track& operator[](ends const& between)
    {
        return tracks_[between.first < between.second ? between : ends{between.second, between.first}];
    }

private:
    std::map<ends, connection_track> tracks_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
