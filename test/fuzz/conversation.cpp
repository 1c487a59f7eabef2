// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session and its peer do anything in any order. The input is a list of what they do, a letter and a number each; see
// act(). What must hold whatever happens: each operation completes once, no byte is lost, doubled or misplaced, a write
// is sent whole or the peer sees no clean end, the first error stays, and nothing is left on the context.

#include "fuzz/input.hpp"
#include "session/memory_fixture.hpp"

#include <boost/asio/bind_executor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::receive_state;
using duet::send_state;
using duet::testing::memory_stream;

namespace {

/// The operations at most in a run.
constexpr int longest = 200;

class conversation
{
public:
    /// One of them does something. Nothing runs meanwhile, unless it is 'y' or 't'.
    void act(char what, std::size_t number)
    {
        switch (what)
        {
        case 'a':
            return session_.abort();
        case 'c':
            return begin([&](auto done) { session_.close()(std::move(done)); });
        case 'd':
            return begin([&](auto done) { session_.delivered()(std::move(done)); });
        case 'e':
            return session_.set_deadlines(deadlines_of(number));
        case 'f':
            return finish_peer();
        case 'g':
            return begin([&](auto done) { session_.wait_peer_gone()(std::move(done)); });
        case 'h':
            return session_.request_finish(std::chrono::milliseconds{number});
        case 'i':
            return begin([&](auto done) { session_.wait_readable()(std::move(done)); });
        case 'j':
            return destroy();
        case 'k':
            return peer_.close();
        case 'l':
            return limit(&duet::testing::memory_behaviour::capacity, 1 + number * 16);
        case 'm':
            return session_.message_received();
        case 'n':
            return session_.cancel();
        case 'o':
            return limit(&duet::testing::memory_behaviour::most_per_write, 1 + number);
        case 'p':
            return speak(number * 11);
        case 'q':
            return hear(number * 13);
        case 'r':
            return read(1 + number * 7, false);
        case 's':
            return begin([&](auto done) { session_.shutdown_send()(std::move(done)); });
        case 't':
            return time_.clock.advance(number * 10ms);
        case 'v':
            return peer_.reset();
        case 'w':
            return write(1 + number * 37);
        case 'x':
            return read(1 + number * 7, true);
        case 'y':
            return time_.clock.run_ready();
        default:
            return;
        }
    }

    /// What must hold at any moment.
    void check()
    {
        require(session_.bytes_received() <= said_.size(), "more bytes than were sent");
        if (!session_.valid())
            return;
        require(reads_ > 0 || session_.bytes_received() == heard_, "each byte is told to a read");
        auto const error = session_.error();
        require(!error_ || error == error_, "the first error stays");
        error_ = error;
        require(receive_ == receive_state::open || session_.receive_state() == receive_, "an end of reading is final");
        receive_ = session_.receive_state();
        bool const final = send_ == send_state::finished || send_ == send_state::failed;
        require(!final || session_.send_state() == send_, "an end of writing is final");
        require(send_ != send_state::finishing || session_.send_state() != send_state::open, "a FIN stays accepted");
        send_ = session_.send_state();
    }

    /// The session is destroyed, and its peer hears the end.
    void end()
    {
        destroy();
        time_.clock.run_ready();
        hear(SIZE_MAX);
        time_.run_leftover();
        for (auto const& each : operations_)
            require(each.completed == 1, "each operation completes once");
        check_writes();
    }

private:
    struct operation
    {
        int completed = 0;
    };

    struct sent
    {
        std::string data;
        bool whole = false;
    };

    struct room
    {
        std::string buffer;
    };

    /// Of both ends.
    void limit(std::size_t duet::testing::memory_behaviour::*what, std::size_t value)
    {
        peer_.behaviour().*what = value;
        if (session_.valid())
            session_.lowest_layer().behaviour().*what = value;
    }

    /// An empty session completes operations, too.
    void destroy() { session_ = {}; }

    /// The handlers have an executor of their own.
    template <class Handler>
    auto on_context(Handler handler)
    {
        return asio::bind_executor(time_.context.get_executor(), std::move(handler));
    }

    template <class Start>
    void begin(Start start)
    {
        auto& one = operations_.emplace_back();
        start(on_context([&one](auto const&...) { ++one.completed; }));
    }

    static duet::deadlines deadlines_of(std::size_t number)
    {
        auto const limit = 50ms;
        duet::deadlines result;
        result.read = (number & 1U) != 0 ? limit : 0ms;
        result.write = (number & 2U) != 0 ? limit : 0ms;
        result.idle = (number & 4U) != 0 ? limit : 0ms;
        result.half_closed = (number & 8U) != 0 ? limit : 0ms;
        result.close = (number & 16U) != 0 ? limit : 1000ms;
        result.message = (number & 32U) != 0 ? limit : 0ms;
        result.next_message = (number & 64U) != 0 ? limit : 0ms;
        return result;
    }

    void read(std::size_t size, bool exact)
    {
        auto& one = operations_.emplace_back();
        auto& place = rooms_.emplace_back();
        place.buffer.resize(size);
        ++reads_;
        auto done = on_context(
            [this, &one, &place](auto const&, std::size_t got)
            {
                ++one.completed;
                --reads_;
                require(got <= place.buffer.size(), "a read fits its buffer");
                require(said_.compare(heard_, got, place.buffer, 0, got) == 0, "the bytes that the peer has sent");
                heard_ += got;
            });
        if (exact)
            session_.read(asio::buffer(place.buffer))(std::move(done));
        else
            session_.read_some(asio::buffer(place.buffer))(std::move(done));
    }

    /// Each write has a letter of its own, which is not that of its neighbours.
    void write(std::size_t size)
    {
        auto& one = operations_.emplace_back();
        auto& write = writes_.emplace_back();
        write.data.assign(size, static_cast<char>(writes_.size()));
        session_.write(asio::buffer(write.data))(on_context(
            [&one, &write](auto const& error, std::size_t)
            {
                ++one.completed;
                write.whole = !error;
            }));
    }

    void speak(std::size_t size)
    {
        auto const data = pattern(size, said_.size());
        duet::error_code error;
        auto const taken = peer_.write_some(asio::buffer(data), error);
        said_ += data.substr(0, error ? 0 : taken);
    }

    void finish_peer()
    {
        duet::error_code ignored;
        peer_.shutdown_send(ignored);
    }

    void hear(std::size_t most)
    {
        std::array<char, 4096> part{};
        duet::error_code error;
        for (std::size_t size = 1; size > 0 && most > 0 && !error; most -= size)
        {
            size = peer_.read_some(asio::buffer(part, most), error);
            arrived_.append(part.data(), size);
        }
        ended_ = ended_ || error == asio::error::eof;
    }

    /// The peer has heard the writes in their order, and if the end is clean, none in part and all that were accepted.
    void check_writes() const
    {
        std::size_t at = 0;
        for (auto const& each : writes_)
        {
            std::size_t size = 0;
            while (at < arrived_.size() && arrived_[at] == each.data.front())
                ++at, ++size;
            require(size <= each.data.size(), "no byte is doubled");
            if (!ended_)
                continue;
            require(size == 0 || size == each.data.size(), "a write is whole where the end is clean");
            require(!each.whole || size != 0, "no accepted write is missing where the end is clean");
        }
        require(at == arrived_.size(), "the order of the writes");
    }

    simulated_time time_;
    std::pair<memory_stream, memory_stream> ends_ = memory_stream::pair(time_.context.get_executor());
    memory_session session_{std::move(ends_.first)};
    memory_stream& peer_ = ends_.second;
    std::deque<operation> operations_;
    std::deque<room> rooms_;
    std::deque<sent> writes_;
    std::string said_;       // what the peer has sent
    std::size_t heard_ = 0;  // how much of that has been read
    int reads_ = 0;          // that have not completed
    std::string arrived_;    // what the peer has heard
    bool ended_ = false;     // it has heard a clean end
    duet::error_code error_;
    receive_state receive_ = receive_state::open;
    send_state send_ = send_state::open;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz_input input{data, size};
    conversation talk;
    for (int count = 0; count < longest && !input.empty(); ++count)
    {
        auto const what = static_cast<char>('a' + static_cast<std::uint8_t>(input.byte() - 'a') % 26);
        talk.act(what, input.number());
        talk.check();
    }
    talk.end();
    return 0;
}
