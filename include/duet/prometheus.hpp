// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_PROMETHEUS_HPP
#define DUET_PROMETHEUS_HPP

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/histogram.hpp>
#include <duet/server_metrics.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A page of metrics in the text format of Prometheus, version 0.0.4: what a program answers to `GET /metrics`. Make a
/// new page for each request, add what is to be on it, and send text().
///
/// ```cpp
/// duet::prometheus_page page;
/// page.add(metrics.sample(server));
/// page.counter("shop_orders_total", "Orders taken.", orders, {{"kind", "book"}});
/// std::string const body = page.text();
/// ```
///
/// The samples of one name stay together, in the order of their first, as the format requires.
///
/// A name is letters, digits, '_' and ':' and does not begin with a digit; that of a label has no ':' and does not
/// begin with "__". A label's value and a help text are any UTF-8. The functions throw std::invalid_argument, with what
/// is wrong and where, for a bad name, for a name that was added with another type or help, and for a name that was
/// added with the same labels before: Prometheus refuses a page with any of these as a whole. The page is then as
/// before.
///
/// Distinct objects: safe. Shared objects: unsafe.
class prometheus_page
{
public:
    /// Names and values, in the order in which they appear.
    using labels = std::vector<std::pair<std::string, std::string>>;

    /// The Content-Type of an HTTP response with this text.
    static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

    /// Add a number that only grows while the program runs. By custom its name ends with "_total" and, before that,
    /// with its unit: seconds, bytes.
    DUET_DECL void counter(std::string_view name, std::string_view help, double value, labels const& of = {});

    /// Add a number that grows and shrinks.
    DUET_DECL void gauge(std::string_view name, std::string_view help, double value, labels const& of = {});

    /// Add a histogram: as `name`_bucket with the label "le", `name`_sum and `name`_count.
    DUET_DECL void histogram(
        std::string_view name, std::string_view help, histogram_counts const& counts, labels const& of = {});

    /// Add everything that is known of a server. docs/en/systems/metrics.md lists the names. A sample with the same
    /// name of the server as one before is refused.
    DUET_DECL void add(server_sample const& sample);

    DUET_DECL std::string text() const;

private:
    struct family
    {
        std::string name;
        std::string type;
        std::string help;
        std::set<std::string, std::less<>> labels{};  // of its samples, as text
        std::string samples{};                        // as text
    };

    DUET_DECL void number(
        std::string_view type, std::string_view name, std::string_view help, double value, labels const& of);
    DUET_DECL family& claim(std::string_view type, std::string_view name, std::string_view help, std::string const& of);

    std::vector<family> families_;
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/metrics/prometheus.ipp>
#endif

#endif
