// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_LINE_READER_HPP
#define DUET_LINE_READER_HPP

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Reads a session line by line, to where lines end.
///
/// ```cpp
/// duet::line_reader lines{peer, 4096};
/// for (;;)
/// {
///     auto const line = co_await lines.next();
///     if (!line)
///         break;
///     co_await peer.write(answer_to(*line));
/// }
/// ```
///
/// It refers to the session, which must outlive it and stay where it is, and holds the bytes that it has read beyond a
/// line: the session's other reads do not see them. One next() at a time. Distinct objects: safe. Shared objects:
/// unsafe.
template <class Session>
class line_reader
{
public:
    template <class T>
    using awaitable = boost::asio::awaitable<T, typename Session::executor_type>;

    /// `limit` is the longest line that is accepted, in bytes and with its end. The reader holds about as much, and up
    /// to 4 KiB.
    line_reader(Session& from, std::size_t limit) noexcept : session_{from}, limit_{limit} {}

    line_reader(line_reader const&) = delete;
    line_reader& operator=(line_reader const&) = delete;

    /// The next line without its end, which is LF or CR LF. Nothing where there are no more: the peer has finished
    /// after a whole line, or the session was asked to finish (server::drain()) and no line has begun. After that
    /// request it reads once more, for a line that has begun, and gives the lines that have arrived by then: a client
    /// that goes on sending does not hold the drain. The line is valid until the next call.
    ///
    /// Errors: as session::read_until(): truncated if the peer's FIN came in the middle of a line, limit_exceeded if a
    /// line is longer than the limit, timed_out, reset, dead_peer, closed, cancelled.
    /// Cancellation: partial and terminal; what was read stays for the next call.
    awaitable<std::optional<std::string_view>> next()
    {
        auto end = buffer_.find('\n', begin_);
        if (end == std::string::npos)
        {
            buffer_.erase(0, begin_);
            begin_ = 0;
            if (last_)
                co_return std::nullopt;
            last_ = session_.finish_requested();
            std::size_t size = 0;
            try
            {
                size = co_await session_.read_until(buffer_, "\n", limit_);
            }
            catch (session_error const& error)
            {
                if (error.code() != errc::draining)
                    throw;
            }
            if (size == 0)
                co_return std::nullopt;
            end = size - 1;
        }
        else if (end - begin_ >= limit_)
            throw session_error{errc::limit_exceeded, "line_reader::next", {}, 0};
        std::string_view line{buffer_.data() + begin_, end - begin_};
        begin_ = end + 1;
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        co_return line;
    }

private:
    Session& session_;
    std::size_t limit_;
    std::string buffer_;
    std::size_t begin_ = 0;  // of what no call has returned yet
    bool last_ = false;      // one more read has begun since the session was asked to finish
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
