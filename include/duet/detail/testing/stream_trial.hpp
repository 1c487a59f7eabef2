// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TESTING_STREAM_TRIAL_HPP
#define DUET_DETAIL_TESTING_STREAM_TRIAL_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Thrown by a rule that finds itself broken.
struct stream_complaint
{
    std::string what;
};

inline void demand(bool condition, std::string what)
{
    if (!condition)
        throw stream_complaint{std::move(what)};
}

/// Bytes that look different wherever one begins.
inline std::string test_bytes(std::size_t size)
{
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (auto& byte : bytes)
    {
        state = state * 1664525U + 1013904223U;
        byte = static_cast<char>(state >> 24U);
    }
    return bytes;
}

inline std::string in_words(error_code const& error)
{
    return error ? error.message() : "no error";
}

/// Two connected ends, and an io_context that is run for them alone. A rule looks at one of them, `near`.
template <class Stream>
class stream_trial
{
    /// What a handler tells, and whether it is still there.
    struct outcome
    {
        int calls = 0;
        error_code error;
        std::size_t size = 0;
    };

    struct notes
    {
        bool inside = false;  // of a function of a stream
        std::string told_inside;
    };

    struct handler
    {
        handler(std::shared_ptr<outcome> to, std::shared_ptr<notes> all) : result{std::move(to)}, common{std::move(all)}
        {
        }

        handler(handler&&) = default;  // and no copy, as the handlers of a session

        void operator()(error_code const& error, std::size_t size = 0)
        {
            ++result->calls;
            result->error = error;
            result->size = size;
            if (common->inside)
                common->told_inside = in_words(error);
        }

        template <class Report>
            requires(!std::is_convertible_v<Report, std::size_t>)
        void operator()(error_code const& error, Report const&) { (*this)(error); }

        std::shared_ptr<outcome> result;
        std::shared_ptr<notes> common;
    };

public:
    using traits = stream_traits<Stream>;
    using duration = std::chrono::steady_clock::duration;

    /// An operation under way.
    class pending
    {
    public:
        pending() = default;

        explicit pending(std::shared_ptr<outcome> result) : result_{std::move(result)} {}

        explicit operator bool() const noexcept { return result_ != nullptr; }

        bool told() const noexcept { return result_ && result_->calls > 0; }

        int calls() const noexcept { return result_->calls; }

        error_code const& error() const noexcept { return result_->error; }

        std::size_t size() const noexcept { return result_->size; }

    private:
        std::shared_ptr<outcome> result_;
    };

    template <class MakePair>
    stream_trial(MakePair& make_pair, bool swapped, duration guard)
        : guard_{guard}, ends_{make_pair(context_.get_executor())}, near{end(swapped)}, far{end(!swapped)}
    {
        for (auto* const each : {&near, &far})
        {
            traits::apply(*each, session_options{});
            traits::prepare(*each);
        }
    }

    boost::asio::io_context& context() noexcept { return context_; }

    // ---- Calls, during which no handler is to be called. -----------------------------------------------------------

    template <class Function>
    decltype(auto) inside(Function function)
    {
        struct mark
        {
            explicit mark(bool& flag) : inside{flag} { inside = true; }
            ~mark() { inside = false; }
            bool& inside;
        } const marked{notes_->inside};
        return function();
    }

    /// What a handler was told within a call. Empty: none was.
    std::string const& told_inside() const noexcept { return notes_->told_inside; }

    template <class What>
    pending wait(Stream& end, What what)
    {
        return begin([&](handler&& done) { end.async_wait(what, std::move(done)); });
    }

    pending wait_read(Stream& end) { return wait(end, Stream::wait_read); }

    pending wait_write(Stream& end) { return wait(end, Stream::wait_write); }

    pending wait_error(Stream& end) { return wait(end, Stream::wait_error); }

    pending read(Stream& end, boost::asio::mutable_buffer into)
    {
        return begin([&](handler&& done) { end.async_read_some(into, std::move(done)); });
    }

    /// Room for a read, as long as the context may use it.
    boost::asio::mutable_buffer room(std::size_t size = 64 * 1024)
    {
        return boost::asio::buffer(rooms_.emplace_back(size));
    }

    /// An operation by its face for handlers.
    template <class Start>
    pending begin(Start start)
    {
        auto const result = std::make_shared<outcome>();
        inside([&] { start(handler{result, notes_}); });
        return pending{result};
    }

    /// The bytes that the stream takes; 0: it would block.
    std::size_t write_some(Stream& end, std::string_view bytes)
    {
        error_code error;
        auto const buffer = boost::asio::const_buffer{bytes.data(), bytes.size()};
        auto const size = inside([&] { return end.write_some(buffer, error); });
        bool const blocked = error == boost::asio::error::would_block || error == boost::asio::error::try_again;
        demand(!error || blocked, "write_some() failed: " + in_words(error));
        demand(!blocked || size == 0, "write_some() told would_block, and that it has taken bytes");
        demand(blocked || size > 0, "write_some() told 0 bytes and no error: would_block is missing");
        demand(size <= bytes.size(), "write_some() told more bytes than there were");
        return size;
    }

    void shutdown_send(Stream& end)
    {
        error_code error;
        inside([&] { traits::shutdown_send(end, error); });
        demand(!error, "shutdown_send() failed: " + in_words(error));
    }

    void cancel(Stream& end)
    {
        inside([&] { traits::cancel(end); });
    }

    std::size_t discard(Stream& end, std::size_t limit, error_code& error)
    {
        error.clear();
        return inside([&] { return traits::discard(end, limit, error); });
    }

    // ---- Running ---------------------------------------------------------------------------------------------------

    /// Everything that can be told now is told.
    void poll()
    {
        context_.restart();
        context_.poll();
    }

    /// Until something holds, as long as the guard allows: for a stream that conforms the time does not matter.
    template <class Condition>
    bool run_until(Condition holds)
    {
        auto const end = std::chrono::steady_clock::now() + guard_;
        while (!holds())
        {
            if (std::chrono::steady_clock::now() > end)
                return false;
            context_.restart();
            if (context_.run_one_for(std::chrono::milliseconds{1}) == 0)
                std::this_thread::yield();
        }
        return true;
    }

    void await(pending const& operation, std::string const& what)
    {
        demand(run_until([&] { return operation.told(); }), what + " is never told");
        poll();
        demand(operation.calls() == 1, what + " is told more than once");
    }

    void await_success(pending const& operation, std::string const& what)
    {
        await(operation, what);
        demand(!operation.error(), what + " failed: " + in_words(operation.error()));
    }

    void await_aborted(pending const& operation, std::string const& what)
    {
        await(operation, what);
        demand(operation.error() == boost::asio::error::operation_aborted,
            what + " ended with something else than operation_aborted: " + in_words(operation.error()));
    }

    void await_input(Stream& end, std::string const& what)
    {
        await_success(wait_read(end), "wait_read, for " + what + ',');
    }

    // ---- Bytes -----------------------------------------------------------------------------------------------------

    /// Write all, though the peer does not read.
    void write(Stream& end, std::string_view bytes)
    {
        while (!bytes.empty())
        {
            auto const size = write_some(end, bytes);
            bytes.remove_prefix(size);
            if (size == 0)
                await_success(wait_write(end), "wait_write");
        }
    }

    /// What a read brings. Empty: the peer's FIN, if that is expected.
    std::string read_some(Stream& end, std::size_t size = 64 * 1024, bool fin_is_expected = false)
    {
        auto const buffer = room(size);
        auto const reading = read(end, buffer);
        await(reading, "a read");
        auto const& error = reading.error();
        if (fin_is_expected && error == boost::asio::error::eof)
            return {};
        demand(!error, "a read failed: " + in_words(error));
        demand(reading.size() > 0, "a read told 0 bytes and no error: the FIN is asio::error::eof");
        demand(reading.size() <= buffer.size(), "a read told more bytes than there was room for");
        return {static_cast<char const*>(buffer.data()), reading.size()};
    }

    void read_exactly(Stream& end, std::string_view expected, std::size_t most = 64 * 1024)
    {
        std::size_t size = 0;
        while (size < expected.size())
        {
            auto const got = read_some(end, std::min(most, expected.size() - size));
            demand(expected.substr(size, got.size()) == got, "other bytes arrive than were written");
            size += got.size();
        }
    }

    /// Read these bytes, and then the FIN.
    void read_to_fin(Stream& end, std::string_view expected)
    {
        std::size_t size = 0;
        for (;;)
        {
            auto const got = read_some(end, 64 * 1024, true);
            if (got.empty())
                break;
            demand(expected.substr(std::min(size, expected.size()), got.size()) == got,
                "other bytes arrive than were written");
            size += got.size();
        }
        demand(size == expected.size(),
            "the FIN comes after " + std::to_string(size) + " of " + std::to_string(expected.size()) + " bytes");
    }

    /// Write and read at the same time, until all has arrived.
    void carry(Stream& from, Stream& to, std::string_view bytes, std::size_t most = 64 * 1024)
    {
        auto const buffer = room(most);
        pending writable;
        pending reading;
        std::size_t written = 0;
        std::size_t arrived = 0;
        while (arrived < bytes.size())
        {
            if (written < bytes.size() && !writable)
            {
                auto const size = write_some(from, bytes.substr(written));
                written += size;
                if (size == 0)
                    writable = wait_write(from);
            }
            if (!reading)
                reading = read(to, buffer);
            bool const write_next = written < bytes.size() && !writable;
            bool const went_on = write_next || run_until([&] { return writable.told() || reading.told(); });
            demand(went_on, std::to_string(arrived) + " of " + std::to_string(bytes.size()) +
                                " bytes arrive, and nothing is told any more");
            if (write_next)
                poll();
            if (writable.told())
            {
                demand(!writable.error(), "wait_write failed: " + in_words(writable.error()));
                writable = {};
            }
            if (!reading.told())
                continue;
            demand(!reading.error(), "a read failed: " + in_words(reading.error()));
            std::string_view const got{static_cast<char const*>(buffer.data()), reading.size()};
            demand(!got.empty() && bytes.substr(arrived, got.size()) == got, "other bytes arrive than were written");
            arrived += got.size();
            reading = {};
        }
        if (writable)
            await(writable, "wait_write");
    }

private:
    Stream& end(bool second) noexcept { return second ? ends_.second : ends_.first; }

    duration guard_;
    std::shared_ptr<notes> notes_ = std::make_shared<notes>();
    std::deque<std::vector<char>> rooms_;
    boost::asio::io_context context_;
    std::pair<Stream, Stream> ends_;

public:
    Stream& near;
    Stream& far;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
