// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// duet's words through fmt.

#include <duet/format.hpp>

#define BOOST_TEST_MODULE values.format
#include <boost/test/unit_test.hpp>

#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>

#include <duet/error.hpp>

using duet::close_reason;
using duet::close_report;
using duet::receive_state;
using duet::send_state;
using duet::session_state;
using duet::tcp_state;

namespace {

/// Each value by the word that to_string() has for it, and no two alike.
template <class T>
void check_words(std::initializer_list<T> values)
{
    std::set<std::string> words;
    for (auto const value : values)
    {
        auto const word = fmt::format("{}", value);
        BOOST_TEST(word == to_string(value));
        BOOST_TEST(!word.empty());
        BOOST_TEST_INFO(word << " stands for two");
        BOOST_TEST(words.insert(word).second);
    }
}

bool refused(char const* format, close_report const& report)
{
    try
    {
        static_cast<void>(fmt::format(fmt::runtime(format), report));
        return false;
    }
    catch (fmt::format_error const&)
    {
        return true;
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_states_are_formatted_by_their_words)
{
    check_words({receive_state::open, receive_state::ended, receive_state::failed});
    check_words({send_state::open, send_state::finishing, send_state::finished, send_state::failed});
    check_words({session_state::open, session_state::half_closed_remote, session_state::half_closed_local,
        session_state::closed});
    BOOST_TEST(fmt::format("{} {} {}", receive_state::ended, send_state::finishing,
                   session_state::half_closed_remote) == "ended finishing half_closed_remote");
}

BOOST_AUTO_TEST_CASE(close_reason_is_formatted_by_its_word)
{
    check_words({close_reason::none, close_reason::clean, close_reason::discarded_input, close_reason::peer_reset,
        close_reason::dead_peer, close_reason::timed_out, close_reason::discard_limit, close_reason::aborted,
        close_reason::dropped, close_reason::failed});
    BOOST_TEST(fmt::format("{}", close_reason::peer_reset) == "peer_reset");
}

BOOST_AUTO_TEST_CASE(tcp_state_is_formatted_by_its_word)
{
    check_words({tcp_state::unknown, tcp_state::established, tcp_state::syn_sent, tcp_state::syn_received,
        tcp_state::fin_wait_1, tcp_state::fin_wait_2, tcp_state::time_wait, tcp_state::closed, tcp_state::close_wait,
        tcp_state::last_ack, tcp_state::listen, tcp_state::closing});
    BOOST_TEST(fmt::format("{}", tcp_state::close_wait) == "CLOSE_WAIT");
}

BOOST_AUTO_TEST_CASE(words_take_width_fill_alignment_and_precision)
{
    BOOST_TEST(fmt::format("{:8}|", close_reason::clean) == "clean   |");
    BOOST_TEST(fmt::format("{:>8}|", receive_state::open) == "    open|");
    BOOST_TEST(fmt::format("{:*^10}|", session_state::closed) == "**closed**|");
    BOOST_TEST(fmt::format("{:.3}|", send_state::finished) == "fin|");
    BOOST_TEST(fmt::format("{:>{}}|", tcp_state::listen, 8) == "  LISTEN|");
    BOOST_TEST(fmt::format("{1} {0}", tcp_state::listen, close_reason::clean) == "clean LISTEN");
}

BOOST_AUTO_TEST_CASE(a_word_is_no_number)
{
    BOOST_CHECK_THROW(static_cast<void>(fmt::format(fmt::runtime("{:d}"), close_reason::clean)), fmt::format_error);
    BOOST_CHECK_THROW(static_cast<void>(fmt::format(fmt::runtime("{:x}"), tcp_state::listen)), fmt::format_error);
}

BOOST_AUTO_TEST_CASE(a_close_report_tells_the_reason_and_the_bytes)
{
    close_report report;
    BOOST_TEST(fmt::format("{}", report) == "none, 0 bytes received, 0 sent");
    report.reason = close_reason::clean;
    report.bytes_received = 12;
    report.bytes_sent = 7;
    BOOST_TEST(fmt::format("{}", report) == "clean, 12 bytes received, 7 sent");
    BOOST_TEST(fmt::format("[{}] [{}]", report, report) ==
               "[clean, 12 bytes received, 7 sent] [clean, 12 bytes received, 7 sent]");
    report.bytes_sent = 18446744073709551615U;
    BOOST_TEST(fmt::format("{}", report) == "clean, 12 bytes received, 18446744073709551615 sent");
}

BOOST_AUTO_TEST_CASE(a_close_report_tells_the_rest_where_it_is_not_zero)
{
    close_report report;
    report.reason = close_reason::discarded_input;
    report.bytes_discarded = 3;
    BOOST_TEST(fmt::format("{}", report) == "discarded_input, 0 bytes received, 0 sent, 3 discarded");
    report.bytes_unacknowledged = 4;
    BOOST_TEST(fmt::format("{}", report) == "discarded_input, 0 bytes received, 0 sent, 3 discarded, 4 unacknowledged");
    report.bytes_discarded = 0;
    BOOST_TEST(fmt::format("{}", report) == "discarded_input, 0 bytes received, 0 sent, 4 unacknowledged");
}

BOOST_AUTO_TEST_CASE(a_close_report_tells_the_error)
{
    close_report report;
    report.reason = close_reason::peer_reset;
    report.error = boost::asio::error::connection_reset;
    BOOST_TEST(fmt::format("{}", report) == "peer_reset, 0 bytes received, 0 sent: " + report.error.message());
    report.reason = close_reason::timed_out;
    report.error = duet::errc::close_timed_out;
    report.bytes_unacknowledged = 1;
    BOOST_TEST(fmt::format("{}", report) ==
               "timed_out, 0 bytes received, 0 sent, 1 unacknowledged: " + report.error.message());
}

BOOST_AUTO_TEST_CASE(a_close_report_has_no_format_of_its_own)
{
    BOOST_TEST(fmt::format("{:}", close_report{}) == fmt::format("{}", close_report{}));
    BOOST_TEST(refused("{:x}", {}));
    BOOST_TEST(refused("{:>80}", {}));
}

BOOST_AUTO_TEST_CASE(they_are_formatted_to_any_output)
{
    std::string text = "ended ";
    fmt::format_to(std::back_inserter(text), "{}: {}", close_reason::clean, close_report{});
    BOOST_TEST(text == "ended clean: none, 0 bytes received, 0 sent");
    BOOST_TEST(fmt::formatted_size("{}", tcp_state::listen) == 6u);
    BOOST_TEST(fmt::to_string(send_state::finished) == "finished");
}

BOOST_AUTO_TEST_CASE(an_endpoint_is_formatted_by_its_one_spelling)
{
    using tcp = boost::asio::ip::tcp;
    using local = boost::asio::local::stream_protocol;
    BOOST_TEST(
        fmt::format("{}", tcp::endpoint{boost::asio::ip::make_address("::ffff:127.0.0.1"), 80}) == "127.0.0.1:80");
    BOOST_TEST(fmt::format("{:>8}|", tcp::endpoint{boost::asio::ip::make_address("::1"), 1}) == " [::1]:1|");
    BOOST_TEST(fmt::format("{}", local::endpoint{"/run/x"}) == "unix:/run/x");
}

BOOST_AUTO_TEST_CASE(the_end_of_a_session_is_one_line)
{
    duet::session_end end;
    end.peer = "127.0.0.1:80";
    end.duration = std::chrono::milliseconds{1503};
    end.report.reason = close_reason::clean;
    end.report.bytes_received = 12;
    end.report.bytes_sent = 7;
    BOOST_TEST(fmt::format("{}", end) == "127.0.0.1:80, 1.503 s: clean, 12 bytes received, 7 sent");
    end.note = "GET /";
    end.failure = std::make_exception_ptr(std::runtime_error{"no luck"});
    BOOST_TEST(fmt::format("{}", end) ==
               "127.0.0.1:80, 1.503 s (GET /): clean, 12 bytes received, 7 sent; the handler threw: no luck");
}

BOOST_AUTO_TEST_CASE(counters_are_formatted_without_what_is_zero)
{
    duet::server_counters counters;
    BOOST_TEST(fmt::format("{}", counters) == "0 accepted, 0 active, 0 bytes received, 0 sent");
    counters.accepted = 4;
    counters.active = 1;
    counters.bytes_received = 120;
    counters.bytes_sent = 80;
    counters.by_reason[static_cast<std::size_t>(close_reason::clean)] = 2;
    counters.by_reason[static_cast<std::size_t>(close_reason::failed)] = 1;
    counters.shed = 3;
    counters.proxy_failures = 5;
    counters.handshake_failures = 6;
    BOOST_TEST(counters.ended(close_reason::clean) == 2U);
    BOOST_TEST(fmt::format("{}", counters) == "4 accepted, 1 active, 120 bytes received, 80 sent; 2 clean, 1 failed, "
                                              "5 without a right PROXY header, 6 failed handshakes, 3 shed");
}
