// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// duet-trace shows what a program and TCP said to each other: from a trace, of any two programs through a proxy, or of a
// program that uses duet.

#include "arguments.hpp"
#include "commands.hpp"

#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr auto usage = R"(duet-trace view FILE [--session N] [--format FORMAT] [--out FILE] [--width COLUMNS] [--all]
    Draws a connection of a trace (JSON lines, as duet::trace and DUET_TRACE write them). Without --session: each
    connection, or with --out the first. --list names the sessions. --all draws what is otherwise folded.

duet-trace proxy --listen [HOST:]PORT --connect HOST:PORT [--out FILE] [--tap] [--quiet] [--once]
                 [--width COLUMNS]
    Passes connections on to another server, and shows what both sides say while they do, with a number in front that
    tells conversations apart. HOST is localhost unless given. --out writes the whole picture to a file when a
    conversation has ended, those of further ones to FILE-2, FILE-3, ... --tap captures the segments for it, which
    needs root, CAP_NET_RAW or a network namespace of one's own; else they are inferred. --quiet shows nothing before
    the end; without --out, or with --format, the picture then goes to standard output. --once ends after the first
    conversation.

duet-trace attach --out FILE PROGRAM [ARGUMENT...]
    Runs a program that uses duet, and writes the trace of all its connections to FILE. Its code need not be changed.
    The same as DUET_TRACE=FILE PROGRAM.

Formats: terminal, text, svg, html, mermaid, markdown, pcapng, jsonl. --out chooses by the file's name (.txt, .svg,
.html, .mmd, .md, .pcapng, .jsonl); standard output is drawn for a terminal, in colours if it is one.
)";

}  // namespace

int main(int argc, char** argv)
try
{
    std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty() || words.front() == "--help" || words.front() == "help")
    {
        (words.empty() ? std::cerr : std::cout) << usage;
        return words.empty() ? 2 : 0;
    }
    auto const command = words.front();
    words.erase(words.begin());
    if (command == "view")
        return tool::view(words);
    if (command == "proxy")
        return tool::proxy(words);
    if (command == "attach")
        return tool::attach(words);
    throw tool::usage_error{"there is no command '" + command + "'"};
}
catch (tool::usage_error const& error)
{
    std::cerr << "duet-trace: " << error.what() << ". See duet-trace --help\n";
    return 2;
}
catch (std::exception const& error)
{
    std::cerr << "duet-trace: " << error.what() << '\n';
    return 1;
}
