// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PROXY_LINK_HPP
#define DUET_TEST_PROXY_LINK_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace duet_test {

// What one direction does to its bytes. The defaults do nothing.
struct link_options
{
    std::chrono::microseconds delay{0};
    std::size_t bytes_per_millisecond = 0;  // 0: as fast as they come
    std::size_t largest_piece = 0;    // 0: as they come; 1: byte by byte; else pieces of 1 to so many bytes, by seed
    std::size_t buffer_size = 65536;  // holds back the sender when so much waits in the proxy
};

// Where the bytes of a stream are cut: the same for the same seed, whatever sizes they arrive in.
class piece_plan
{
public:
    piece_plan(std::uint32_t seed, std::size_t largest_piece);

    // How many of the available bytes to send next: never beyond the next cut.
    std::size_t take(std::size_t available);

private:
    std::minstd_rand random_;
    std::size_t largest_;
    std::size_t left_ = 0;  // up to the next cut
};

// One direction of one connection through the proxy: reads here, waits as long as the options say, writes there.
class proxy_link
{
public:
    proxy_link(int from, int to, link_options const& options, std::uint32_t seed, std::atomic<std::size_t>& counter);

    bool wants_input() const noexcept;

    // When there is something to write, bytes or the FIN; empty while there is not.
    std::optional<std::chrono::steady_clock::time_point> next_due() const;

    // The FIN has been passed on.
    bool finished() const noexcept;

    // Neither waits. Both return false when the connection is broken.
    bool read();
    bool write();

private:
    struct piece
    {
        std::string data;
        std::chrono::steady_clock::time_point due;
    };

    void split(std::string_view data, std::chrono::steady_clock::time_point arrives);

    int from_;
    int to_;
    link_options options_;
    piece_plan plan_;
    std::atomic<std::size_t>& counter_;
    std::deque<piece> queue_;
    std::size_t queued_ = 0;
    std::chrono::steady_clock::time_point free_at_;  // when the piece before is through
    std::chrono::steady_clock::time_point end_due_;
    bool input_ended_ = false;
    bool output_ended_ = false;
};

}  // namespace duet_test

#endif
