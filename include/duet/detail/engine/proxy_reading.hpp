// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_PROXY_READING_HPP
#define DUET_DETAIL_ENGINE_PROXY_READING_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <cstddef>
#include <string>
#include <utility>

#include <duet/detail/config.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/detail/engine/operation.hpp>
#include <duet/detail/engine/stream_connection.hpp>
#include <duet/error.hpp>
#include <duet/proxy_header.hpp>
#include <duet/proxy_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline constexpr char const* accepting_proxy_header = "accept_proxy_header";

inline session_error proxy_error(connection const& from, error_code const& error, std::size_t received)
{
    session_error result{error, accepting_proxy_header, from.describe_peer(), received};
    error_origin::set(result, &from);
    return result;
}

/// The error for a header that ends with `error` after `received` bytes.
inline error_code error_of_header(error_code const& error, std::size_t received) noexcept
{
    if (error == errc::call_timed_out)
        return proxy_errc::timed_out;
    if (error == boost::asio::error::eof)
        return received == 0 ? errc::ended : errc::truncated;
    return error;
}

/// Read a PROXY header and not a byte more: each read asks for no more than what the header still has at least.
template <class Executor>
boost::asio::awaitable<proxy_header, Executor> read_proxy_header(connection::ref c, proxy_options const& options)
{
    auto const by = c->deadlines_of_read(options.timeout);
    std::string bytes;
    auto parsed = parse_proxy_header(bytes, options.limit);
    while (!parsed.error && parsed.size == 0)
    {
        auto const size = bytes.size();
        bytes.resize(size + parsed.wanted);
        reading_by const start{boost::asio::buffer(bytes.data() + size, parsed.wanted), by};
        bytes_and_error::type got;
        got = co_await operation<bytes_and_error, reading_by>{c, accepting_proxy_header, start};
        bytes.resize(size + got.size);
        if (got.error)
            throw proxy_error(*c, error_of_header(got.error, bytes.size()), bytes.size());
        parsed = parse_proxy_header(bytes, options.limit);
    }
    if (parsed.error)
        throw proxy_error(*c, parsed.error, bytes.size());
    c->header_received();
    co_return std::move(*parsed.header);
}

#if defined(DUET_SEPARATE_COMPILATION)
extern template boost::asio::awaitable<proxy_header> read_proxy_header(connection::ref, proxy_options const&);
#endif

/// See duet::accept_proxy_header(). `c` may be null: an empty session.
template <class Executor, class Connection>
boost::asio::awaitable<void, Executor> accept_proxy_header(owner_ref<Connection> c, proxy_options const& options)
{
    if (!c)
        throw session_error{errc::closed, accepting_proxy_header, "an empty session", 0};
    if constexpr (Connection::tells_address)
    {
        if (!options.trusted.contains(c->peer()))
        {
            if (options.strangers == proxy_strangers::serve)
                co_return;
            throw proxy_error(*c, proxy_errc::untrusted, 0);
        }
    }
    auto header = co_await read_proxy_header<Executor>(connection::ref{c.get()}, options);
    c->set_proxied(std::move(header));
}

/// Write a text that is kept until then.
template <class Session>
boost::asio::awaitable<void, typename Session::executor_type> send_text(Session& session, std::string text)
{
    co_await session.write(text);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
