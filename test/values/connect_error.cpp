// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "duet/connect_error.hpp"

#define BOOST_TEST_MODULE values.connect_error
#include <boost/test/unit_test.hpp>

#include <boost/asio/error.hpp>

#include <string>
#include <type_traits>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

tcp::endpoint const v6{asio::ip::make_address("::1"), 80};
tcp::endpoint const v4{asio::ip::make_address("127.0.0.1"), 80};

std::string what(duet::error_code code, std::string const& target, std::vector<duet::connect_error::attempt> attempts)
{
    return duet::connect_error{code, target, std::move(attempts)}.what();
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_attempt_is_named)
{
    duet::error_code const refused = asio::error::connection_refused;
    duet::error_code const late = duet::errc::connect_timed_out;
    BOOST_TEST(what(refused, "example.com:80", {{v6, refused}, {v4, late}}) ==
               "connect example.com:80: [::1]:80: Connection refused; 127.0.0.1:80: connect deadline passed");
    BOOST_TEST(
        what(refused, "example.com:80", {{v4, refused}}) == "connect example.com:80: 127.0.0.1:80: Connection refused");
    BOOST_TEST(what(refused, "127.0.0.1:80", {{v4, refused}}) == "connect 127.0.0.1:80: Connection refused");
    // The code's message stands in front when it is not that of an attempt.
    BOOST_TEST(what(asio::error::operation_aborted, "a:80", {{v4, refused}}) ==
               "connect a:80: Operation canceled (127.0.0.1:80: Connection refused)");
}

BOOST_AUTO_TEST_CASE(without_an_attempt)
{
    BOOST_TEST(what(duet::errc::resolve_timed_out, "a:80", {}) == "connect a:80: resolve deadline passed");
    BOOST_TEST(what(asio::error::host_not_found, "a:80", {}).starts_with("connect a:80: Host not found"));
}

BOOST_AUTO_TEST_CASE(it_is_a_session_error)
{
    std::vector<duet::connect_error::attempt> const attempts{{v6, asio::error::connection_refused}};
    try
    {
        throw duet::connect_error{asio::error::connection_refused, "a:80", attempts};
    }
    catch (duet::session_error const& error)
    {
        BOOST_TEST(error.code() == asio::error::connection_refused);
        BOOST_TEST(error.operation() == "connect");
        BOOST_TEST(error.bytes_transferred() == 0U);
        auto const* const whole = dynamic_cast<duet::connect_error const*>(&error);
        BOOST_REQUIRE(whole != nullptr);
        BOOST_REQUIRE(whole->attempts().size() == 1U);
        BOOST_TEST(whole->attempts()[0].endpoint == v6);
        BOOST_TEST(whole->attempts()[0].error == asio::error::connection_refused);
    }
    static_assert(std::is_nothrow_copy_constructible_v<duet::connect_error>);
}

BOOST_AUTO_TEST_CASE(of_a_unix_domain_path)
{
    duet::unix_connect_error const error{
        asio::error::connection_refused, "unix:/a", {{{"/a"}, asio::error::connection_refused}}};
    BOOST_TEST(error.what() == std::string{"connect unix:/a: Connection refused"});
}
