// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Endpoints as text.

#include <duet/endpoint.hpp>

#define BOOST_TEST_MODULE values.endpoint
#include <boost/test/unit_test.hpp>

#include <duet/connect_error.hpp>
#include <duet/stream_traits.hpp>

#include <boost/asio/error.hpp>

#include <string>

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using local = asio::local::stream_protocol;

namespace {

struct spelling
{
    char const* address;
    std::string text;
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_address_has_one_spelling_in_every_text)
{
    using traits = duet::stream_traits<tcp::socket>;
    for (auto const& [address, text] : {spelling{"127.0.0.1", "127.0.0.1:80"},
             spelling{"::ffff:127.0.0.1", "127.0.0.1:80"}, spelling{"::ffff:10.0.0.1", "10.0.0.1:80"},
             spelling{"::1", "[::1]:80"}, spelling{"::", "[::]:80"}, spelling{"fe80::1%5", "[fe80::1%5]:80"}})
    {
        tcp::endpoint const endpoint{asio::ip::make_address(address), 80};
        BOOST_TEST_INFO(address);
        BOOST_TEST(duet::to_string(endpoint) == text);
        BOOST_TEST(traits::describe(endpoint) == text);
        duet::connect_error const error{
            asio::error::connection_refused, "host:80", {{endpoint, asio::error::connection_refused}}};
        BOOST_TEST(error.what() == "connect host:80: " + text + ": Connection refused");
    }
}

BOOST_AUTO_TEST_CASE(a_unix_path_has_one_spelling)
{
    BOOST_TEST(duet::to_string(local::endpoint{"/run/x"}) == "unix:/run/x");
    BOOST_TEST(duet::to_string(local::endpoint{std::string{"\0name", 5}}) == "unix:@name");
    BOOST_TEST(duet::to_string(local::endpoint{}) == "unix:(unnamed)");
}
