// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "backend_line.hpp"

#include <boost/asio/ip/address_v6.hpp>
#include <boost/system/error_code.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace example {
namespace {

constexpr std::size_t most_backends = 1000;
constexpr std::size_t longest_line = 512;  // a name of DNS has 253 bytes at most

constexpr std::string_view blanks = " \t\r";

/// The first word of `text`, which is removed from it.
std::string_view take_word(std::string_view& text)
{
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    auto const word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    return word;
}

/// For the log, which a file that is no text must not garble.
std::string readable(std::string_view text)
{
    std::string result{text};
    std::ranges::replace_if(
        result, [](char each) { return each < ' ' || each > '~'; }, '?');
    return result;
}

/// "080" is 80. 0: it is none.
std::uint16_t port_in(std::string_view text)
{
    std::uint16_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? number : std::uint16_t{0};
}

/// "0:0::1" is "::1". Empty: it is no address. One with a zone stays as it is: the zone may be that of an interface
/// which is not there yet.
std::string ipv6_in(std::string_view text)
{
    boost::system::error_code error;
    auto const address = boost::asio::ip::make_address_v6(text, error);
    if (error)
        return {};
    return text.find('%') == std::string_view::npos ? address.to_string() : std::string{text};
}

/// Names know no capital letters. Those of other alphabets stay as they are.
std::string name_in(std::string_view text)
{
    std::string result{text};
    for (char& each : result)
        if (each >= 'A' && each <= 'Z')
            each = static_cast<char>(each - 'A' + 'a');
    return result;
}

void add(std::vector<backend_line>& to, backend_line added)
{
    auto const same = [&](backend_line const& each) { return each.name() == added.name(); };
    if (std::ranges::any_of(to, same))
        throw std::runtime_error{fmt::format("{} is there twice", added.name())};
    if (to.size() == most_backends)
        throw std::runtime_error{fmt::format("more than {} backends", most_backends)};
    to.push_back(std::move(added));
}

/// One line, or nothing at the end. No line, however long, takes more memory than the longest that is allowed.
bool next_line(std::istream& from, std::string& line)
{
    line.resize(longest_line);
    from.getline(line.data(), static_cast<std::streamsize>(line.size()));
    if (from.bad() || (from.fail() && !from.eof()))
        throw std::runtime_error{from.bad() ? "cannot be read" : "the line is too long"};
    if (from.fail())
        return false;
    line.resize(static_cast<std::size_t>(from.gcount()) - (from.eof() ? 0 : 1));  // the end of the line counts, too
    if (line.find('\0') != std::string::npos)
        throw std::runtime_error{"there is a zero byte: this is no text"};
    return true;
}

}  // namespace

std::string backend_line::name() const
{
    bool const ipv6 = host.find(':') != std::string::npos;
    return ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

backend_line parse_backend(std::string_view text)
{
    auto const refuse = [](std::string_view what)
    { return std::runtime_error{fmt::format("'{}' is no backend: HOST:PORT, or HOST:PORT drain", readable(what))}; };
    auto rest = text;
    auto const place = take_word(rest);
    auto const mark = take_word(rest);
    if ((!mark.empty() && mark != "drain") || !take_word(rest).empty())
        throw refuse(text);

    auto const colon = place.rfind(':');
    auto const port = colon != std::string_view::npos ? port_in(place.substr(colon + 1)) : std::uint16_t{0};
    if (port == 0)
        throw refuse(text);
    auto host = place.substr(0, colon);
    bool const brackets = host.starts_with('[') && host.ends_with(']');
    if (brackets)
        host = host.substr(1, host.size() - 2);
    // An address of IPv6 without brackets does not tell where its port begins.
    if (brackets != (host.find(':') != std::string_view::npos) || host.find_first_of("[]") != std::string_view::npos)
        throw refuse(text);
    auto const canonical = brackets ? ipv6_in(host) : name_in(host);
    if (canonical.empty())
        throw refuse(text);
    return {canonical, std::to_string(port), !mark.empty()};
}

std::vector<backend_line> read_backends(std::string const& file)
{
    std::ifstream from{file};
    if (!from)
        throw std::runtime_error{fmt::format("{}: cannot be opened", file)};
    std::vector<backend_line> result;
    std::string line;
    std::size_t number = 1;
    try
    {
        for (; next_line(from, line); ++number)
        {
            std::string_view text = line;
            text = text.substr(0, text.find('#'));
            if (text.find_first_not_of(blanks) != std::string_view::npos)
                add(result, parse_backend(text.substr(text.find_first_not_of(blanks))));
        }
    }
    catch (std::runtime_error const& error)
    {
        throw std::runtime_error{fmt::format("{}:{}: {}", file, number, error.what())};
    }
    if (result.empty())
        throw std::runtime_error{fmt::format("{}: no backend is listed", file)};
    return result;
}

std::vector<backend_line> backends_of(std::vector<std::string> const& words)
{
    std::vector<backend_line> result;
    for (auto const& each : words)
        add(result, parse_backend(each));
    if (result.empty())
        throw std::runtime_error{"no backend is given; see --help"};
    return result;
}

}  // namespace example
