// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_OPTIONS_HPP
#define EXAMPLES_OPTIONS_HPP

// The command line of an example, kept here so that the example itself shows nothing but its topic.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace example {

/// `--name value`, `--name=value` or, where there is no default, `--name` alone. Prints and ends the program for --help
/// (status 0) and for what it does not understand (status 2).
class options
{
public:
    struct option
    {
        std::string name;
        std::string fallback;  ///< a number: only numbers are taken, and a port has 16 bits. Empty: a flag
        std::string help;
    };

    /// `arguments` says what may follow the options; where it is empty, nothing may.
    options(int argc, char** argv, std::string_view about, std::vector<option> known, std::string_view arguments = {})
        : program_{std::filesystem::path{argv[0]}.filename().string()}, known_{std::move(known)}
    {
        std::vector<std::string> const words(argv + 1, argv + argc);
        for (auto word = words.begin(); word != words.end(); ++word)
        {
            if (*word == "--help")
                help(about, arguments);
            if (!word->starts_with("--"))
                arguments_.push_back(*word);
            else
                word = take(word, words.end());
        }
        if (arguments.empty() && !arguments_.empty())
            refuse("unexpected argument '{}'", arguments_.front());
    }

    std::string const& text(std::string_view name) const
    {
        auto const given = given_.find(name);
        return given != given_.end() ? given->second : find(name)->fallback;
    }

    std::uint32_t number(std::string_view name) const
    {
        std::uint32_t result = 0;
        parse(text(name), result);
        return result;
    }

    bool flag(std::string_view name) const { return given_.contains(name); }

    std::uint16_t port(std::string_view name = "port") const { return static_cast<std::uint16_t>(number(name)); }

    std::vector<std::string> const& arguments() const { return arguments_; }

private:
    using words_iterator = std::vector<std::string>::const_iterator;

    std::vector<option>::const_iterator find(std::string_view name) const
    {
        return std::ranges::find(known_, name, &option::name);
    }

    static bool parse(std::string_view text, std::uint32_t& result)
    {
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
        return error == std::errc{} && end == text.data() + text.size();
    }

    /// Take one option; returns where its last word is.
    words_iterator take(words_iterator word, words_iterator end)
    {
        auto const equals = word->find('=');
        auto const name = word->substr(2, equals == std::string::npos ? equals : equals - 2);
        auto const known = find(name);
        if (known == known_.end())
            refuse("unknown option '--{}'", name);
        if (known->fallback.empty() && equals != std::string::npos)
            refuse("option '--{}' takes no value", name);
        if (!known->fallback.empty() && equals == std::string::npos && ++word == end)
            refuse("option '--{}' needs a value", name);

        auto const value = known->fallback.empty()       ? ""
                           : equals == std::string::npos ? *word
                                                         : word->substr(equals + 1);
        std::uint32_t number = 0;
        bool const bad = parse(known->fallback, number) && !parse(value, number);
        if (bad || (name.ends_with("port") && number > std::numeric_limits<std::uint16_t>::max()))
            refuse("option '--{}' cannot be '{}'", name, value);
        given_[name] = value;
        return word;
    }

    [[noreturn]] void help(std::string_view about, std::string_view arguments) const
    {
        fmt::print("usage: {} [OPTION]... {}\n\n{}\n\n", program_, arguments, about);
        for (auto const& [name, fallback, text] : known_)
            if (fallback.empty())
                fmt::print("  --{}\n        {}\n", name, text);
            else
                fmt::print("  --{} VALUE\n        {} (default: {})\n", name, text, fallback);
        fmt::print("  --help\n        print this\n");
        std::exit(EXIT_SUCCESS);
    }

    template <class... Words>
    [[noreturn]] void refuse(fmt::format_string<Words const&...> problem, Words const&... words) const
    {
        fmt::print(stderr, "{}: {}; see --help\n", program_, fmt::format(problem, words...));
        std::exit(2);
    }

    std::string program_;
    std::vector<option> known_;
    std::map<std::string, std::string, std::less<>> given_;
    std::vector<std::string> arguments_;
};

}  // namespace example

#endif
