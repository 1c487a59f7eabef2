// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "scenes.hpp"

namespace example {
namespace {

constexpr scene all[] = {
    {"whole_flow", "From handshake to TIME_WAIT",
        "A client asks, is answered, and half-closes: its FIN says that it asks nothing more, but it listens. The\n"
        "server's read returns 0. It says its last words and closes; the client reads them, and then the server's\n"
        "FIN. Who has sent the first FIN stays in TIME_WAIT.",
        whole_flow},
    {"question_answer", "Two questions, two answers",
        "The classic loop: the client writes and reads, the server reads and writes, on the same connection. Each\n"
        "answer also acknowledges its question. The client closes when it has no more questions.",
        question_answer},
    {"half_close", "The client's FIN is its whole protocol",
        "A sort service: it must have the last line before it can write the first. The client sends all lines and\n"
        "then FIN; the server reads up to it and answers, over a connection that goes one way only from there on.",
        half_close},
    {"full_duplex", "Both ends write at once",
        "The two directions of a connection know nothing of each other: neither end waits for what the other has to\n"
        "say. Segments cross on their way, and each end finishes when it likes.",
        full_duplex},
    {"abort", "The server gives up",
        "abort() sends RST and no FIN: the client must not take half an answer for a whole one. Its read fails, and\n"
        "nobody stays in TIME_WAIT.",
        abort_by_server},
    {"refused", "Nobody listens",
        "The server's TCP answers the SYN with RST, at once: connect() fails with 'Connection refused'. The port is\n"
        "reserved by a socket that does not listen, so that nobody else can.",
        refused},
};

}  // namespace

std::span<scene const> scenes()
{
    return all;
}

scene const* find_scene(std::string const& name)
{
    for (auto const& each : all)
        if (name == each.name)
            return &each;
    return nullptr;
}

}  // namespace example
