// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CONNECT_ERROR_HPP
#define DUET_CONNECT_ERROR_HPP

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/endpoint.hpp>
#include <duet/error.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The result of the attempt on one address.
template <class Protocol>
struct connect_attempt
{
    typename Protocol::endpoint endpoint{};
    error_code error{};
};

/// The exception that connect throws. It has the error for the program to act on, and the error of every attempt.
///
/// `what()` reads "connect example.com:80: [::1]:80: Connection refused; 127.0.0.1:80: connect deadline passed".
///
/// code() is errc::connect_timed_out if the connector's timeout passed, and asio::error::operation_aborted if connect
/// was cancelled. It is errc::resolve_timed_out, errc::no_address or the resolver's own error if there was no attempt.
/// Otherwise it is the error of the first attempt that did not fail for a missing route on this host or, if all did, of
/// the first attempt.
template <class Protocol>
class basic_connect_error : public session_error
{
public:
    using attempt = connect_attempt<Protocol>;

    /// `target` is the name or endpoint that the program wanted to connect to.
    basic_connect_error(error_code code, std::string const& target, std::vector<attempt> attempts)
        : session_error{code, "connect", target, 0}
    {
        auto text = attempts.empty() ? std::string{session_error::what()} : describe(code, target, attempts);
        details_ = std::make_shared<details const>(details{std::move(attempts), std::move(text)});
    }

    /// The attempts of the last try, in the order in which they began. Addresses that were not tried are not in it.
    std::vector<attempt> const& attempts() const noexcept { return details_->attempts; }

    char const* what() const noexcept override { return details_->text.c_str(); }

private:
    // Shared, so that copying an exception cannot throw.
    struct details
    {
        std::vector<attempt> attempts;
        std::string text;
    };

    static std::string describe(error_code code, std::string const& target, std::vector<attempt> const& attempts)
    {
        std::string list;
        for (auto const& one : attempts)
        {
            auto const peer = to_string(one.endpoint);
            if (!list.empty())
                list += "; ";
            if (attempts.size() > 1 || peer != target)
                list += peer + ": ";
            list += one.error.message();
        }
        bool const told =
            std::any_of(attempts.begin(), attempts.end(), [&](attempt const& one) { return one.error == code; });
        auto const prefix = "connect " + target + ": ";
        return told ? prefix + list : prefix + code.message() + " (" + list + ')';
    }

    std::shared_ptr<details const> details_;
};

using connect_error = basic_connect_error<boost::asio::ip::tcp>;
using unix_connect_error = basic_connect_error<boost::asio::local::stream_protocol>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
