// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_READER_IPP
#define DUET_DETAIL_TRACE_TRACE_READER_IPP

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <istream>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <duet/detail/trace/trace_fields.hpp>
#include <duet/detail/trace/utf8.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_reader.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A value of JSON is not what a member of a trace has to be. Becomes a trace_format_error.
struct wrong_value
{
    std::string key;
    std::string expected;
};

/// The value is one of a newer duet.
struct unknown_value
{
};

template <class Enum>
Enum enum_of(std::string_view name)
{
    for (unsigned number = 0; number <= 0xff; ++number)
        if (auto const value = static_cast<Enum>(number); to_string(value) == name && name != "?")
            return value;
    throw unknown_value{};
}

/// The bytes that append_json() has written as {"latin1": "..."}.
inline std::optional<std::string> bytes_of_latin1(std::string_view text)
{
    std::string result;
    while (!text.empty())
    {
        auto const size = utf8_size(text);
        auto const first = static_cast<unsigned char>(text[0]);
        if (size == 1)
            result += text[0];
        else if (size == 2 && first <= 0xc3)
            result += static_cast<char>((first & 3U) << 6U | (static_cast<unsigned char>(text[1]) & 0x3fU));
        else
            return std::nullopt;
        text.remove_prefix(size);
    }
    return result;
}

/// The members of an object, as visit_fields() asks for them.
class json_members
{
public:
    explicit json_members(boost::json::object const& object) : object_{object} {}

    /// Leaves a member alone that is not there.
    template <class Value, class Default>
    void operator()(std::string_view key, Value& value, Default const&)
    {
        if (auto const* const found = object_.if_contains(key))
            read(key, *found, value);
    }

    template <class Value>
    void required(std::string_view key, Value& value)
    {
        if (!object_.if_contains(key))
            throw wrong_value{std::string{key}, "is missing"};
        read(key, object_.at(key), value);
    }

private:
    using json = boost::json::value;

    [[noreturn]] static void refuse(std::string_view key, std::string expected)
    {
        throw wrong_value{std::string{key}, "has to be " + std::move(expected)};
    }

    static void read(std::string_view key, json const& from, bool& to)
    {
        if (!from.is_bool())
            refuse(key, "true or false");
        to = from.get_bool();
    }

    template <std::integral Number>
    static void read(std::string_view key, json const& from, Number& to)
    {
        using limits = std::numeric_limits<Number>;
        if (from.is_int64() && std::in_range<Number>(from.get_int64()))
            to = static_cast<Number>(from.get_int64());
        else if (from.is_uint64() && std::in_range<Number>(from.get_uint64()))
            to = static_cast<Number>(from.get_uint64());
        else
            refuse(
                key, "a whole number from " + std::to_string(limits::min()) + " to " + std::to_string(limits::max()));
    }

    template <class Rep, class Period>
    static void read(std::string_view key, json const& from, std::chrono::duration<Rep, Period>& to)
    {
        Rep count{};
        read(key, from, count);
        to = std::chrono::duration<Rep, Period>{count};
    }

    static void read(std::string_view key, json const& from, std::string& to)
    {
        if (from.is_string())
        {
            to = std::string_view{from.get_string()};
            return;
        }
        auto const* const object = from.if_object();
        auto const* const latin1 = object ? object->if_contains("latin1") : nullptr;
        auto bytes = latin1 && latin1->is_string() ? bytes_of_latin1(latin1->get_string()) : std::nullopt;
        if (!bytes)
            refuse(key, "a string, or {\"latin1\": ...} with characters up to U+00FF");
        to = std::move(*bytes);
    }

    template <class Enum>
        requires std::is_enum_v<Enum>
    static void read(std::string_view key, json const& from, Enum& to)
    {
        if (!from.is_string())
            refuse(key, "a string");
        to = enum_of<Enum>(from.get_string());
    }

    static void read(std::string_view key, json const& from, tcp_flags& to)
    {
        if (!from.is_array())
            refuse(key, "a list of strings");
        to = tcp_flags::none;
        for (auto const& each : from.get_array())
        {
            if (!each.is_string())
                refuse(key, "a list of strings");
            to = to | flag_of(each.get_string());
        }
    }

    static tcp_flags flag_of(std::string_view name)
    {
        for (unsigned bit = 1; bit <= 0x80; bit *= 2)
            if (auto const flag = static_cast<tcp_flags>(bit); to_string(flag) == name)
                return flag;
        throw unknown_value{};
    }

    template <class Value>
    static void read(std::string_view key, json const& from, std::optional<Value>& to)
    {
        Value value{};
        read(key, from, value);
        to = std::move(value);
    }

    template <class Object>
        requires std::is_class_v<Object>
    static void read(std::string_view key, json const& from, Object& to)
    {
        if (!from.is_object())
            refuse(key, "an object");
        try
        {
            visit_fields(to, json_members{from.get_object()});
        }
        catch (wrong_value& inner)
        {
            throw wrong_value{std::string{key} + '.' + inner.key, inner.expected};
        }
    }

    boost::json::object const& object_;
};

/// Where "a.b" is in a line that is JSON, from 1 on; 1 if it is not there. A quote within a string is escaped, so a
/// quoted key is found where it is one.
inline std::size_t column_of(std::string_view line, std::string_view path)
{
    std::size_t at = 0;
    while (!path.empty())
    {
        auto const key = path.substr(0, path.find('.'));
        path.remove_prefix(std::min(path.size(), key.size() + 1));
        auto const quoted = '"' + std::string{key} + '"';
        for (;; ++at)
        {
            at = line.find(quoted, at);
            if (at == std::string_view::npos)
                return 1;
            auto const after = line.find_first_not_of(" \t", at + quoted.size());
            if (after != std::string_view::npos && line[after] == ':')
                break;
        }
    }
    return at + 1;
}

/// Reads a trace line by line.
class trace_lines
{
public:
    /// `whole`: a newline ends the line.
    void read(std::string_view line, bool whole)
    {
        ++number_;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos)
            return;
        auto const value = parse(line, whole);
        if (!value)
        {
            report_.cut_off = true;
            return;
        }
        try
        {
            take(*value);
        }
        catch (wrong_value const& wrong)
        {
            fail(column_of(line, wrong.key), wrong.key + ' ' + wrong.expected);
        }
        catch (unknown_value const&)
        {
            ++report_.skipped;
        }
    }

    trace_log finish()
    {
        report_.cut_off = report_.cut_off || !begun_;
        auto const by_number = [](auto const& a, auto const& b) { return a.number < b.number; };
        auto const by_time = [](auto const& a, auto const& b) { return a.time < b.time; };
        // Of those with one number, the last one remains.
        std::reverse(log_.sessions.begin(), log_.sessions.end());
        std::stable_sort(log_.sessions.begin(), log_.sessions.end(), by_number);
        auto const same = [](auto const& a, auto const& b) { return a.number == b.number; };
        log_.sessions.erase(std::unique(log_.sessions.begin(), log_.sessions.end(), same), log_.sessions.end());
        std::stable_sort(log_.events.begin(), log_.events.end(), by_time);
        return std::move(log_);
    }

    trace_read_report const& report() const noexcept { return report_; }

private:
    [[noreturn]] void fail(std::size_t column, std::string const& wrong) const
    {
        throw trace_format_error{number_, column, wrong};
    }

    /// nullopt: the line is cut off.
    std::optional<boost::json::value> parse(std::string_view line, bool whole) const
    {
        boost::json::stream_parser parser;
        boost::system::error_code error;
        auto const parsed = parser.write_some(line.data(), line.size(), error);
        if (error)
            fail(parsed + 1, error.message());
        if (!parser.done())
        {
            if (!whole)
                return std::nullopt;
            fail(line.size() + 1, "the line ends within a value");
        }
        auto const more = line.find_first_not_of(" \t\r", parsed);
        if (more != std::string_view::npos)
            fail(more + 1, "there is something behind the value");
        return parser.release();
    }

    void take(boost::json::value const& value)
    {
        auto const* const object = value.if_object();
        if (!object)
            fail(1, "a line of a trace has to be an object");
        json_members members{*object};
        std::string what;
        members.required("line", what);
        if (what == "duet_trace")
            return take_header(members);
        if (!begun_)
            throw wrong_value{"line", "has to be \"duet_trace\" in the first line"};
        if (what == "session")
            return take_session(members);
        if (what == "event")
            return take_event(members);
        if (what == "lost")
            return members.required("events", log_.lost);
        throw unknown_value{};
    }

    void take_header(json_members& members)
    {
        if (begun_)
            throw wrong_value{"line", "is \"duet_trace\" again: this file has a second trace"};
        std::uint64_t version = 0;
        members.required("version", version);
        if (version > trace_file_version)
            throw wrong_value{"version", "is " + std::to_string(version) + ": a newer duet is needed to read this"};
        members("program", log_.program, "");
        std::chrono::nanoseconds began{};
        members.required("began_ns", began);
        using clock = std::chrono::system_clock;
        log_.began = clock::time_point{std::chrono::duration_cast<clock::duration>(began)};
        begun_ = true;
    }

    void take_session(json_members& members)
    {
        trace_session one;
        visit_fields(one, members);
        log_.sessions.push_back(std::move(one));
    }

    void take_event(json_members& members)
    {
        trace_event event;
        members.required("kind", event.kind);
        visit_fields(event, members);
        log_.events.push_back(std::move(event));
    }

    trace_log log_;
    trace_read_report report_;
    std::size_t number_ = 0;
    bool begun_ = false;
};

}  // namespace detail

inline trace_log read_trace(std::istream& in, trace_read_report* report)
{
    detail::trace_lines lines;
    std::string line;
    while (std::getline(in, line))
        lines.read(line, !in.eof());
    auto log = lines.finish();
    if (report)
        *report = lines.report();
    return log;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
