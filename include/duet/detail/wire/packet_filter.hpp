// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PACKET_FILTER_HPP
#define DUET_DETAIL_WIRE_PACKET_FILTER_HPP

// Linux only: the program that the kernel runs for each packet, in its classic form (BPF).

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <duet/detail/wire/endpoint_text.hpp>
#include <duet/detail/wire/headers.hpp>
#include <duet/tap_options.hpp>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Makes the program that lets through what a tap wants, up to `snap_length` bytes. Of the interface `loopback` it lets
/// through what goes out, because the same comes in again.
class packet_filter
{
public:
    packet_filter(std::span<tap_filter const> wanted, unsigned loopback, std::uint32_t snap_length)
        : wanted_{wanted.begin(), wanted.end()}, snap_length_{snap_length}
    {
        if (wanted_.empty())
            wanted_.emplace_back();
        for (auto& each : wanted_)
            each = {endpoint_on_the_wire(each.one), endpoint_on_the_wire(each.other)};
        load_extension(SKF_AD_IFINDEX);
        add(BPF_JMP | BPF_JEQ | BPF_K, loopback, 0, 3);
        load_extension(SKF_AD_PKTTYPE);
        require(PACKET_OUTGOING);
        load_extension(SKF_AD_PROTOCOL);
        add(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 1, 0);
        auto const to_ipv6 = program_.size();
        add(BPF_JMP | BPF_JA, 0);
        accept_ipv4();
        program_[to_ipv6].k = static_cast<std::uint32_t>(program_.size() - to_ipv6 - 1);
        require(ETH_P_IPV6);
        accept_ipv6();
        if (program_.size() > BPF_MAXINSNS)
            throw boost::system::system_error{boost::asio::error::invalid_argument, "tap: too many filters"};
    }

    std::span<::sock_filter const> program() const noexcept { return program_; }

private:
    using endpoint = boost::asio::ip::tcp::endpoint;

    void add(unsigned code, std::uint32_t value, unsigned if_true = 0, unsigned if_false = 0)
    {
        program_.push_back({static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
            static_cast<std::uint8_t>(if_false), value});
    }

    void load_extension(int what) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + what)); }

    /// What was loaded last has to be this, or the packet is not wanted.
    void require(std::uint32_t value)
    {
        add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
        add(BPF_RET | BPF_K, 0);
    }

    void accept_ipv4()
    {
        add(BPF_LD | BPF_B | BPF_ABS, 9);
        require(tcp_protocol);
        add(BPF_LD | BPF_H | BPF_ABS, 6);
        add(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 0, 1);  // a fragment
        add(BPF_RET | BPF_K, 0);
        add(BPF_LDX | BPF_B | BPF_MSH, 0);  // the size of the header
        for (auto const& each : wanted_)
            for (bool const forth : {true, false})
                accept_ipv4(forth ? each.one : each.other, forth ? each.other : each.one);
        add(BPF_RET | BPF_K, 0);
    }

    void accept_ipv6()
    {
        add(BPF_LD | BPF_B | BPF_ABS, 6);
        require(tcp_protocol);
        for (auto const& each : wanted_)
            for (bool const forth : {true, false})
                accept_ipv6(forth ? each.one : each.other, forth ? each.other : each.one);
        add(BPF_RET | BPF_K, 0);
    }

    void accept_ipv4(endpoint const& from, endpoint const& to)
    {
        auto const is_other = [](endpoint const& each)
        { return !each.address().is_unspecified() && each.address().is_v6(); };
        if (is_other(from) || is_other(to))
            return;
        auto const begin = program_.size();
        compare_ipv4(12, from);
        compare_ipv4(16, to);
        compare_port(BPF_IND, 0, from);
        compare_port(BPF_IND, 2, to);
        end_of_test(begin);
    }

    void accept_ipv6(endpoint const& from, endpoint const& to)
    {
        auto const is_other = [](endpoint const& each)
        { return !each.address().is_unspecified() && each.address().is_v4(); };
        if (is_other(from) || is_other(to))
            return;
        auto const begin = program_.size();
        compare_ipv6(8, from);
        compare_ipv6(24, to);
        compare_port(BPF_ABS, ipv6_header, from);
        compare_port(BPF_ABS, ipv6_header + 2, to);
        end_of_test(begin);
    }

    void compare_ipv4(std::uint32_t at, endpoint const& with)
    {
        if (with.address().is_unspecified())
            return;
        add(BPF_LD | BPF_W | BPF_ABS, at);
        compare(with.address().to_v4().to_uint());
    }

    void compare_ipv6(std::uint32_t at, endpoint const& with)
    {
        if (with.address().is_unspecified())
            return;
        auto const bytes = with.address().to_v6().to_bytes();
        network_bytes<std::byte const> const words{std::as_bytes(std::span{bytes})};
        for (std::uint32_t place = 0; place < bytes.size(); place += 4)
        {
            add(BPF_LD | BPF_W | BPF_ABS, at + place);
            compare(words.u32(place));
        }
    }

    void compare_port(unsigned mode, std::uint32_t at, endpoint const& with)
    {
        if (with.port() == 0)
            return;
        add(BPF_LD | BPF_H | mode, at);
        compare(with.port());
    }

    /// Where to go on, if it is not equal, is not known yet.
    void compare(std::uint32_t value) { add(BPF_JMP | BPF_JEQ | BPF_K, value); }

    /// A packet that was equal everywhere is wanted; another one goes on behind this.
    void end_of_test(std::size_t begin)
    {
        add(BPF_RET | BPF_K, snap_length_);
        for (auto at = begin; at < program_.size(); ++at)
            if (program_[at].code == (BPF_JMP | BPF_JEQ | BPF_K))
                program_[at].jf = static_cast<std::uint8_t>(program_.size() - at - 1);
    }

    std::vector<tap_filter> wanted_;
    std::uint32_t snap_length_;
    std::vector<::sock_filter> program_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
