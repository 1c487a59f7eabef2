// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The text format, to the letter, and what Prometheus would refuse. That Prometheus reads it is in
// test/examples/metrics.py.

#define BOOST_TEST_MODULE values.prometheus
#include <duet/prometheus.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>

namespace {

/// The message with which the page refuses; empty if it does not. The page must stay as it was.
template <class Function>
std::string refusal(duet::prometheus_page& page, Function add)
{
    auto const before = page.text();
    try
    {
        add(page);
        return {};
    }
    catch (std::invalid_argument const& error)
    {
        BOOST_TEST(page.text() == before);
        return error.what();
    }
}

duet::server_sample sample_named(std::string name)
{
    duet::server_sample result;
    result.name = std::move(name);
    for (auto* const counts : {&result.duration, &result.received, &result.sent, &result.round_trip_time})
        *counts = duet::histogram{{1}}.counts();
    return result;
}

bool has_line(std::string const& text, std::string const& line)
{
    return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_empty_page_is_empty)
{
    BOOST_TEST(duet::prometheus_page{}.text() == "");
}

BOOST_AUTO_TEST_CASE(samples_of_one_name_stay_together)
{
    duet::prometheus_page page;
    page.counter("orders_total", "Orders taken.", 3, {{"kind", "book"}});
    page.gauge("open:orders", "Orders under way.", 0.25);
    page.counter("orders_total", "Orders taken.", 4, {{"kind", "pen"}, {"shop", "b"}});
    BOOST_TEST(page.text() == "# HELP orders_total Orders taken.\n"
                              "# TYPE orders_total counter\n"
                              "orders_total{kind=\"book\"} 3\n"
                              "orders_total{kind=\"pen\",shop=\"b\"} 4\n"
                              "# HELP open:orders Orders under way.\n"
                              "# TYPE open:orders gauge\n"
                              "open:orders 0.25\n");
}

BOOST_AUTO_TEST_CASE(a_histogram_is_cumulative)
{
    duet::prometheus_page page;
    duet::histogram seen{{0.5, 10}};
    for (double const value : {0.25, 0.5, 3.0, 20.0})
        seen.observe(value);
    page.histogram("wait_seconds", "How long.", seen.counts(), {{"of", "x"}});
    page.histogram("other", "None.", duet::histogram{{}}.counts());
    BOOST_TEST(page.text() == "# HELP wait_seconds How long.\n"
                              "# TYPE wait_seconds histogram\n"
                              "wait_seconds_bucket{of=\"x\",le=\"0.5\"} 2\n"
                              "wait_seconds_bucket{of=\"x\",le=\"10\"} 3\n"
                              "wait_seconds_bucket{of=\"x\",le=\"+Inf\"} 4\n"
                              "wait_seconds_sum{of=\"x\"} 23.75\n"
                              "wait_seconds_count{of=\"x\"} 4\n"
                              "# HELP other None.\n"
                              "# TYPE other histogram\n"
                              "other_bucket{le=\"+Inf\"} 0\n"
                              "other_sum 0\n"
                              "other_count 0\n");
}

BOOST_AUTO_TEST_CASE(what_would_end_a_text_is_escaped)
{
    duet::prometheus_page page;
    page.gauge("a", "one \\ two\n\"three\"", 1, {{"l", "C:\\\n\"x\" \xc3\xa9"}});
    BOOST_TEST(page.text() == "# HELP a one \\\\ two\\n\"three\"\n"
                              "# TYPE a gauge\n"
                              "a{l=\"C:\\\\\\n\\\"x\\\" \xc3\xa9\"} 1\n");
}

BOOST_AUTO_TEST_CASE(numbers_are_exact)
{
    using limits = std::numeric_limits<double>;
    duet::prometheus_page page;
    page.gauge("n", "", 9007199254740992.0, {{"of", "2^53"}});
    page.gauge("n", "", -1234567.0, {{"of", "negative"}});
    page.gauge("n", "", 0.1, {{"of", "a tenth"}});
    page.gauge("n", "", limits::infinity(), {{"of", "inf"}});
    page.gauge("n", "", -limits::infinity(), {{"of", "-inf"}});
    page.gauge("n", "", limits::quiet_NaN(), {{"of", "nan"}});
    page.gauge("n", "", limits::max(), {{"of", "most"}});
    page.gauge("n", "", -limits::denorm_min(), {{"of", "least"}});
    for (auto const* const line : {"n{of=\"2^53\"} 9007199254740992", "n{of=\"negative\"} -1234567",
             "n{of=\"a tenth\"} 0.1", "n{of=\"inf\"} +Inf", "n{of=\"-inf\"} -Inf", "n{of=\"nan\"} NaN",
             "n{of=\"most\"} 1.7976931348623157e+308", "n{of=\"least\"} -5e-324"})
    {
        BOOST_TEST_INFO(line);
        BOOST_TEST(has_line(page.text(), line));
    }
}

BOOST_AUTO_TEST_CASE(what_prometheus_would_refuse_is_refused)
{
    duet::prometheus_page page;
    duet::histogram const empty{{1}};
    page.counter("a_total", "A.", 1, {{"l", "x"}});
    page.histogram("h", "H.", empty.counts());

    auto const says = [&page](std::string const& what, auto add) { BOOST_TEST(refusal(page, add) == what); };
    using page_type = duet::prometheus_page;
    says("9a is no name for a metric", [](page_type& to) { to.gauge("9a", "", 1); });
    says(" is no name for a metric", [](page_type& to) { to.gauge("", "", 1); });
    says("a-b is no name for a metric", [](page_type& to) { to.gauge("a-b", "", 1); });
    says("a_total is already there with another type", [](page_type& to) { to.gauge("a_total", "A.", 1); });
    says("a_total is already there with another help", [](page_type& to) { to.counter("a_total", "B.", 1); });
    says("a_total is already there with these labels",
        [](page_type& to) {
            to.counter("a_total", "A.", 2, {{"l", "x"}});
        });
    says("h_sum would have samples of another metric's name", [](page_type& to) { to.gauge("h_sum", "", 1); });
    says("a: label 'x:y' is no name for a label", [](page_type& to) { to.gauge("a", "", 1, {{"x:y", ""}}); });
    says("a: label '__x' is no name for a label", [](page_type& to) { to.gauge("a", "", 1, {{"__x", ""}}); });
    says("a: label 'x' is there twice", [](page_type& to) { to.gauge("a", "", 1, {{"x", "1"}, {"x", "2"}}); });
    says("i: label 'le' is the histogram's own",
        [&](page_type& to) {
            to.histogram("i", "", empty.counts(), {{"le", "1"}});
        });
    says("i: a histogram has one bucket more than bounds",
        [](page_type& to) { to.histogram("i", "", duet::histogram_counts{}); });

    page.gauge("i_count", "", 1);
    says(
        "i would have samples of another metric's name", [&](page_type& to) { to.histogram("i", "", empty.counts()); });
    page.gauge("a", "", 1, {{"le", "is taken by histograms only"}});
}

BOOST_AUTO_TEST_CASE(servers_are_told_apart_by_their_names)
{
    duet::prometheus_page page;
    auto shop = sample_named("shop");
    shop.ready = true;
    shop.counters.accepted = 5;
    shop.counters.by_reason[static_cast<std::size_t>(duet::close_reason::peer_reset)] = 2;
    shop.queue = duet::listen_queue{.length = 1, .limit = 128, .overflows = 9};
    page.add(shop);
    page.add(sample_named("admin"));
    auto const text = page.text();
    for (auto const* const line : {"duet_ready{server=\"shop\"} 1", "duet_ready{server=\"admin\"} 0",
             "duet_sessions_accepted_total{server=\"shop\"} 5",
             "duet_sessions_ended_total{server=\"shop\",reason=\"peer_reset\"} 2",
             "duet_sessions_ended_total{server=\"admin\",reason=\"clean\"} 0",
             "duet_accept_queue_length{server=\"shop\"} 1", "duet_accept_queue_limit{server=\"shop\"} 128",
             "duet_listen_overflows_total{server=\"shop\"} 9",
             "duet_session_duration_seconds_count{server=\"admin\"} 0"})
    {
        BOOST_TEST_INFO(line);
        BOOST_TEST(has_line(text, line));
    }
    BOOST_TEST(!has_line(text, "duet_accept_queue_length{server=\"admin\"} 0"));  // it is not known
    BOOST_TEST(text.find("reason=\"none\"") == std::string::npos);

    BOOST_TEST(refusal(page, [](duet::prometheus_page& to) { to.add(sample_named("shop")); }) ==
               "duet_ready is already there with these labels");
}
