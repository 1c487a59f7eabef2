// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_ERROR_IPP
#define DUET_DETAIL_COMPLETION_ERROR_IPP

#include <boost/asio/error.hpp>

#include <string_view>

#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// g++ warns about every class derived from error_category, whose destructor is protected and not virtual: because the
// class has friends, g++ treats the destructor as accessible. Boost uses the same pragma around error_category itself.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// Categories compare by their number, because a program and each of its shared libraries may have objects of their own.

class error_category_type final : public boost::system::error_category
{
public:
    constexpr error_category_type() noexcept : boost::system::error_category{0x5769408647b6b7be} {}

    char const* name() const noexcept override { return "duet"; }

    std::string message(int value) const override
    {
        switch (static_cast<errc>(value))
        {
        case errc::read_timed_out:
            return "read deadline passed";
        case errc::write_timed_out:
            return "write deadline passed without progress";
        case errc::idle_timed_out:
            return "idle deadline passed";
        case errc::half_closed_timed_out:
            return "half-closed deadline passed without progress";
        case errc::close_timed_out:
            return "close deadline passed";
        case errc::first_message_timed_out:
            return "no whole message before the first-message deadline";
        case errc::next_message_timed_out:
            return "no further message before the next-message deadline";
        case errc::call_timed_out:
            return "the time given to this call passed";
        case errc::message_timed_out:
            return "message deadline passed";
        case errc::queue_full:
            return "the session's queue of writes is full";
        case errc::ended:
            return "the peer has finished";
        case errc::too_many_lookups:
            return "too many names wait to be looked up";
        case errc::malformed_frame:
            return "not how a frame begins";
        case errc::too_many_waiting:
            return "too many wait for their turn";
        case errc::unexpected_answer:
            return "an answer to what was not asked";
        case errc::connect_timed_out:
            return "connect deadline passed";
        case errc::resolve_timed_out:
            return "resolve deadline passed";
        case errc::truncated:
            return "the peer finished in the middle of a message";
        case errc::limit_exceeded:
            return "more bytes than the limit allows";
        case errc::dead_peer:
            return "the peer no longer answers";
        case errc::send_finished:
            return "the send side was already finished";
        case errc::send_poisoned:
            return "an earlier write was cut part-way";
        case errc::closed:
            return "closed by its owner";
        case errc::aborted:
            return "aborted by its owner";
        case errc::read_in_progress:
            return "another read is in progress";
        case errc::wait_in_progress:
            return "another wait is in progress";
        case errc::no_local_port:
            return "no local port is left";
        case errc::self_connect:
            return "the socket was connected to itself";
        case errc::no_address:
            return "the name has no address";
        case errc::draining:
            return "the server is draining";
        }
        return "unknown duet error";
    }

    bool equivalent(int value, error_condition const& wanted) const noexcept override;
};

/// The condition of each of duet's own codes; 0 if there is none.
inline condition condition_of(errc code) noexcept
{
    switch (code)
    {
    case errc::read_timed_out:
    case errc::write_timed_out:
    case errc::idle_timed_out:
    case errc::half_closed_timed_out:
    case errc::close_timed_out:
    case errc::first_message_timed_out:
    case errc::next_message_timed_out:
    case errc::call_timed_out:
    case errc::message_timed_out:
    case errc::connect_timed_out:
    case errc::resolve_timed_out:
        return condition::timed_out;
    case errc::ended:
        return condition::ended;
    case errc::truncated:
        return condition::truncated;
    case errc::dead_peer:
        return condition::dead_peer;
    case errc::send_finished:
    case errc::send_poisoned:
    case errc::closed:
    case errc::aborted:
    case errc::draining:
        return condition::closed;
    case errc::no_local_port:
    case errc::too_many_lookups:
    case errc::too_many_waiting:
        return condition::exhausted;
    case errc::limit_exceeded:
    case errc::malformed_frame:
    case errc::unexpected_answer:
        return condition::invalid_message;
    case errc::queue_full:
    case errc::read_in_progress:
    case errc::wait_in_progress:
    case errc::self_connect:
    case errc::no_address:
        break;
    }
    return {};
}

inline bool error_category_type::equivalent(int value, error_condition const& wanted) const noexcept
{
    if (wanted.category() == condition_category())
        return static_cast<int>(condition_of(static_cast<errc>(value))) == wanted.value();
    return boost::system::error_category::equivalent(value, wanted);
}

/// True for an error of one of Asio's categories, which have no number and which duet may not be able to name
/// (OpenSSL).
inline bool is_of_category(error_code const& code, std::string_view category, int value) noexcept
{
    return code.value() == value && code.category().name() == category;
}

class condition_category_type final : public boost::system::error_category
{
public:
    constexpr condition_category_type() noexcept : boost::system::error_category{0x0cc50a3bcf67bbf8} {}

    char const* name() const noexcept override { return "duet.condition"; }

    std::string message(int value) const override
    {
        switch (static_cast<condition>(value))
        {
        case condition::timed_out:
            return "timed out";
        case condition::cancelled:
            return "cancelled";
        case condition::reset:
            return "reset by the peer";
        case condition::ended:
            return "ended by the peer";
        case condition::truncated:
            return "truncated";
        case condition::dead_peer:
            return "dead peer";
        case condition::closed:
            return "closed";
        case condition::exhausted:
            return "exhausted";
        case condition::invalid_message:
            return "invalid message";
        }
        return "unknown duet condition";
    }

    bool equivalent(error_code const& code, int wanted) const noexcept override
    {
        namespace error = boost::asio::error;
        if (code.category() == duet_category())
            return static_cast<int>(condition_of(static_cast<errc>(code.value()))) == wanted;
        switch (static_cast<condition>(wanted))
        {
        case condition::cancelled:
            return code == error::operation_aborted;
        case condition::ended:
            return is_of_category(code, "asio.misc", error::eof);
        case condition::reset:
            return code == error::connection_reset || code == error::broken_pipe || code == error::connection_aborted ||
                   code == error::not_connected;
        case condition::dead_peer:
            return code == error::timed_out || code == error::host_unreachable || code == error::network_unreachable;
        case condition::exhausted:
            return code == error::no_descriptors || code == error::no_memory || code == error::no_buffer_space ||
                   code == boost::system::errc::too_many_files_open_in_system ||
                   code == boost::system::errc::address_not_available;
        case condition::truncated:
            return is_of_category(code, "asio.ssl.stream", 1);  // asio::ssl::error::stream_truncated
        case condition::timed_out:
        case condition::closed:
        case condition::invalid_message:
            break;
        }
        return false;
    }
};

#pragma GCC diagnostic pop

inline std::string error_text(error_code const& code, char const* operation, std::string const& peer)
{
    std::string text{operation};
    if (!peer.empty())
        text += ' ' + peer;
    return text + ": " + code.message();
}

DUET_DECL std::string text_of(std::exception_ptr const& failure)
{
    if (!failure)
        return {};
    try
    {
        std::rethrow_exception(failure);
    }
    catch (system_error const& error)
    {
        std::string text{error.what()};
        auto const end = error.code().what();  // the message, and the category, the number and a line of source
        if (text.ends_with(end))
            text.replace(text.size() - end.size(), end.size(), error.code().message());
        return text;
    }
    catch (std::exception const& error)
    {
        return error.what();
    }
    catch (...)
    {
        return "an exception that is not a std::exception";
    }
}

}  // namespace detail

DUET_DECL boost::system::error_category const& duet_category() noexcept
{
    static detail::error_category_type const category;
    return category;
}

DUET_DECL boost::system::error_category const& condition_category() noexcept
{
    static detail::condition_category_type const category;
    return category;
}

DUET_DECL session_error::session_error(
    error_code code, char const* operation, std::string const& peer, std::size_t bytes)
    // Drop the source location that Boost adds to codes: a line inside Asio helps nobody.
    : system_error{error_code{code.value(), code.category()}}, text_{detail::error_text(code, operation, peer)},
      operation_{operation}, bytes_{bytes}
{
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
