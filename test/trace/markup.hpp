// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TRACE_MARKUP_HPP
#define DUET_TEST_TRACE_MARKUP_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace duet_test::trace {

/// What keeps `text` from being well-formed XML, without a prologue: elements that nest, attributes in quotation marks,
/// entities that XML has. Empty if nothing does.
inline std::string xml_fault(std::string_view text)
{
    auto const is_name = [](char each)
    {
        return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') ||
               each == '-' || each == ':';
    };
    std::vector<std::string_view> open;
    std::size_t at = 0;
    auto const fault = [&](char const* what) { return std::string(what) + " at: " + std::string(text.substr(at, 60)); };
    auto const entity = [&]
    {
        for (std::string_view const each : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#10;"})
            if (text.substr(at, each.size()) == each)
                return true;
        return false;
    };
    auto const name = [&]
    {
        auto const begin = at;
        while (at < text.size() && is_name(text[at]))
            ++at;
        return text.substr(begin, at - begin);
    };
    while (at < text.size())
    {
        auto const each = static_cast<unsigned char>(text[at]);
        if ((each < 0x20 && each != '\n') || each == 0x7F)
            return fault("a control character");
        if (each == '&' && !entity())
            return fault("an unknown entity");
        if (each == '>' && open.empty())
            return fault("text outside of elements");
        if (each != '<')
        {
            ++at;
            continue;
        }
        ++at;
        if (text[at] == '/')
        {
            ++at;
            if (open.empty() || name() != open.back() || text[at] != '>')
                return fault("an end tag that fits no start tag");
            open.pop_back();
            ++at;
            continue;
        }
        auto const element = name();
        if (element.empty())
            return fault("no element's name");
        while (at < text.size() && text[at] == ' ')
        {
            ++at;
            if (name().empty() || text.substr(at, 2) != "=\"")
                return fault("no attribute");
            for (at += 2; at < text.size() && text[at] != '"'; ++at)
                if (text[at] == '<' || (text[at] == '&' && !entity()))
                    return fault("markup in an attribute");
            ++at;
        }
        if (text.substr(at, 2) == "/>")
            at += 2;
        else if (text.substr(at, 1) == ">")
        {
            open.push_back(element);
            ++at;
        }
        else
            return fault("a tag that does not end");
    }
    return open.empty() ? std::string() : "not closed: " + std::string(open.back());
}

inline std::size_t count_of(std::string_view text, std::string_view what)
{
    std::size_t result = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size()))
        ++result;
    return result;
}

}  // namespace duet_test::trace

#endif
