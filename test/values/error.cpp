// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/error.hpp>

#define BOOST_TEST_MODULE values.error
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/test/unit_test.hpp>

#include <duet/connect_error.hpp>
#include <duet/run.hpp>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace error = boost::asio::error;
using duet::condition;
using duet::errc;
using duet::error_code;

namespace {

std::vector<condition> const every_condition{condition::timed_out, condition::cancelled, condition::reset,
    condition::ended, condition::truncated, condition::dead_peer, condition::closed, condition::exhausted,
    condition::invalid_message};

/// `code` is `wanted` and no other condition.
void expect(error_code code, condition wanted)
{
    for (auto const each : every_condition)
    {
        BOOST_TEST_INFO(code.message() << " as condition " << static_cast<int>(each));
        BOOST_TEST((code == each) == (each == wanted));
    }
}

void expect_none(error_code code)
{
    for (auto const each : every_condition)
    {
        BOOST_TEST_INFO(code.message() << " as condition " << static_cast<int>(each));
        BOOST_TEST((code != each));
    }
}

std::string session_end_of(std::exception_ptr failure)
{
    duet::session_end end;
    end.failure = std::move(failure);
    return end.what();
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_deadline_is_timed_out_and_nothing_else)
{
    for (auto const code :
        {errc::read_timed_out, errc::write_timed_out, errc::idle_timed_out, errc::half_closed_timed_out,
            errc::close_timed_out, errc::first_message_timed_out, errc::next_message_timed_out, errc::message_timed_out,
            errc::call_timed_out, errc::connect_timed_out, errc::resolve_timed_out})
        expect(code, condition::timed_out);
}

BOOST_AUTO_TEST_CASE(what_asio_and_the_system_say_has_one_condition)
{
    expect(error::operation_aborted, condition::cancelled);
    expect(error::eof, condition::ended);
    expect(error::connection_reset, condition::reset);
    expect(error::broken_pipe, condition::reset);
    expect(error::connection_aborted, condition::reset);
    expect(error::not_connected, condition::reset);
    expect(error::no_descriptors, condition::exhausted);
    expect(error::no_memory, condition::exhausted);
    expect(error_code(boost::asio::ssl::error::stream_truncated), condition::truncated);
    expect_none(error::connection_refused);
    expect_none(error::access_denied);
    expect_none(error_code{});
}

// The system's ETIMEDOUT is a peer that does not answer; a deadline of the program is something else.
BOOST_AUTO_TEST_CASE(etimedout_is_a_dead_peer_and_not_timed_out)
{
    expect(error::timed_out, condition::dead_peer);
    expect(error::host_unreachable, condition::dead_peer);
    expect(error::network_unreachable, condition::dead_peer);
    expect(errc::dead_peer, condition::dead_peer);
}

BOOST_AUTO_TEST_CASE(duets_own_codes_have_their_conditions)
{
    expect(errc::ended, condition::ended);
    expect(errc::truncated, condition::truncated);
    for (auto const code : {errc::send_finished, errc::send_poisoned, errc::closed, errc::aborted, errc::draining})
        expect(code, condition::closed);
    for (auto const code : {errc::no_local_port, errc::too_many_lookups, errc::too_many_waiting})
        expect(code, condition::exhausted);
    for (auto const code : {errc::limit_exceeded, errc::malformed_frame, errc::unexpected_answer})
        expect(code, condition::invalid_message);
    for (auto const code :
        {errc::queue_full, errc::read_in_progress, errc::wait_in_progress, errc::self_connect, errc::no_address})
        expect_none(code);
}

BOOST_AUTO_TEST_CASE(every_code_and_condition_has_words_of_its_own)
{
    std::vector<std::string> seen;
    int const last = static_cast<int>(errc::unexpected_answer);
    BOOST_TEST(make_error_code(static_cast<errc>(last + 1)).message() == "unknown duet error");
    for (int value = 1; value <= last; ++value)
    {
        auto const words = make_error_code(static_cast<errc>(value)).message();
        BOOST_TEST(words != "unknown duet error");
        for (auto const& other : seen)
            BOOST_TEST(words != other);
        seen.push_back(words);
    }
    for (auto const each : every_condition)
        BOOST_TEST(make_error_condition(each).message() != "unknown duet condition");
    BOOST_TEST(std::string{duet::duet_category().name()} == "duet");
    BOOST_TEST(std::string{duet::condition_category().name()} == "duet.condition");
}

BOOST_AUTO_TEST_CASE(session_error_names_operation_and_peer_and_counts_bytes)
{
    duet::session_error const failure{errc::truncated, "read", "127.0.0.1:4711", 5};
    BOOST_TEST(std::string{failure.operation()} == "read");
    BOOST_TEST(failure.bytes_transferred() == 5u);
    BOOST_TEST((failure.code() == errc::truncated));
    BOOST_TEST((failure.code() == condition::truncated));
    BOOST_TEST(failure.what() == std::string{"read 127.0.0.1:4711: the peer finished in the middle of a message"});
}

BOOST_AUTO_TEST_CASE(a_failure_has_one_text_whoever_tells_it)
{
    static constexpr boost::source_location here{"somewhere.hpp", 1, "function"};
    for (error_code const code : {error_code{error::connection_reset}, error_code{error::eof}, error_code{errc::closed},
             error_code{error::host_not_found}, error_code{}})
    {
        auto const text = code.message();
        BOOST_TEST_INFO(text);
        duet::session_error const thrown{code, "read", "peer", 0};
        BOOST_TEST(thrown.what() == "read peer: " + text);
        auto const copy = thrown;
        BOOST_TEST(copy.what() == "read peer: " + text);
        BOOST_TEST(duet::connect_error(code, "host:1", {}).what() == "connect host:1: " + text);

        // What a handler has thrown, and what a program has failed of.
        auto const told = [](auto const& exception) { return session_end_of(std::make_exception_ptr(exception)); };
        BOOST_TEST(told(thrown) == "read peer: " + text);
        BOOST_TEST(told(duet::system_error{code, "asio"}) == "asio: " + text);
        BOOST_TEST(told(duet::system_error{code}) == text);
        BOOST_TEST(told(duet::system_error{error_code{code, &here}, "asio"}) == "asio: " + text);
        duet::run_report report;
        report.listener_failure = std::make_exception_ptr(duet::system_error{code, "accept"});
        BOOST_TEST(to_string(report).ends_with("duet: accept: " + text));
    }
}

BOOST_AUTO_TEST_CASE(another_exception_is_told_as_it_is)
{
    BOOST_TEST(
        session_end_of(std::make_exception_ptr(std::runtime_error{"no luck [system:104]"})) == "no luck [system:104]");
}

BOOST_AUTO_TEST_CASE(session_error_leaves_out_where_in_asio_a_code_was_made)
{
    static constexpr boost::source_location here{"somewhere.hpp", 1, "function"};
    error_code const located{error_code(error::connection_reset), &here};
    BOOST_TEST(located.has_location());
    duet::session_error const failure{located, "read_some", "peer", 0};
    BOOST_TEST(std::string{failure.what()}.find("somewhere") == std::string::npos);
    BOOST_TEST((failure.code() == error::connection_reset));
}
