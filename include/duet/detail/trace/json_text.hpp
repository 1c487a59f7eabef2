// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_JSON_TEXT_HPP
#define DUET_DETAIL_TRACE_JSON_TEXT_HPP

// Writing JSON, which every traced program does, needs no library.

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <duet/detail/trace/trace_fields.hpp>
#include <duet/detail/trace/utf8.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <std::integral Number>
void append_json(std::string& out, Number number)
{
    char digits[24];
    auto const written = std::to_chars(digits, digits + sizeof(digits), number);
    out.append(digits, written.ptr);
}

inline void append_json(std::string& out, bool value)
{
    out += value ? "true" : "false";
}

inline void append_escaped(std::string& out, char byte)
{
    static constexpr char digits[] = "0123456789abcdef";
    auto const number = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\')
        (out += '\\') += byte;
    else if (byte == '\n')
        out += "\\n";
    else if (number < 0x20)
        ((out += "\\u00") += digits[number >> 4U]) += digits[number & 15U];
    else
        out += byte;
}

/// What is no UTF-8 is no string of JSON. It becomes {"latin1": "..."}, where each character stands for a byte.
inline void append_json(std::string& out, std::string_view text)
{
    bool const valid = is_utf8(text);
    out += valid ? "\"" : "{\"latin1\":\"";
    for (char const each : text)
    {
        auto const number = static_cast<unsigned char>(each);
        if (valid || number < 0x80)
            append_escaped(out, each);
        else
            append_utf8(out, number);
    }
    out += valid ? "\"" : "\"}";
}

template <class Rep, class Period>
void append_json(std::string& out, std::chrono::duration<Rep, Period> time)
{
    append_json(out, time.count());
}

template <class Enum>
    requires std::is_enum_v<Enum>
void append_json(std::string& out, Enum value)
{
    append_json(out, to_string(value));
}

/// A list of their names.
inline void append_json(std::string& out, tcp_flags flags)
{
    char before = '[';
    for (unsigned bit = 1; bit <= 0x80; bit *= 2)
    {
        if (auto const flag = static_cast<tcp_flags>(bit); contains(flags, flag))
        {
            (out += before) += '"';
            (out += to_string(flag)) += '"';
            before = ',';
        }
    }
    out += before == '[' ? "[]" : "]";
}

/// An object of JSON, member for member.
class json_object
{
public:
    /// An object of what `fill` adds to it.
    template <class Fill>
    static void append(std::string& out, Fill const& fill)
    {
        out += '{';
        json_object object{out};
        fill(object);
        out += '}';
    }

    json_object(json_object const&) = delete;
    json_object& operator=(json_object const&) = delete;

    template <class Value>
    void add(std::string_view key, Value const& value)
    {
        if (out_.back() != '{')
            out_ += ',';
        ((out_ += '"') += key) += "\":";
        if constexpr (requires { visit_fields(value, *this); })
            append(out_, [&](json_object& inner) { visit_fields(value, inner); });
        else
            append_json(out_, value);
    }

    // As visit_fields() calls it.
    template <class Value, class Default>
    void operator()(std::string_view key, Value const& value, Default const& left_out)
    {
        if (value != left_out)
            add(key, value);
    }

    template <class Value>
    void operator()(std::string_view key, std::optional<Value> const& value, std::nullopt_t)
    {
        if (value)
            add(key, *value);
    }

private:
    explicit json_object(std::string& out) : out_{out} {}

    std::string& out_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
