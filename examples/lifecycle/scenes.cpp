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
        "The two directions of a connection know nothing of each other: each end writes when it likes, and what it\n"
        "hears is no answer to what it has said. Each direction ends on its own, too.",
        full_duplex},
    {"abort", "The server gives up",
        "abort() sends RST and no FIN: the client must not take half an answer for a whole one. Its read fails, and\n"
        "nobody stays in TIME_WAIT.",
        abort_by_server},
    {"unread_input_by_hand", "close() with unread input, by hand",
        "The server answers before it has read all of the request, and closes as most programs do. Its kernel sends "
        "RST\n"
        "instead of FIN, because input is unread, and throws away what it still had to send. Here the network loses\n"
        "the answer once: the RST has taken its place, and the client never learns what the server had to say.",
        unread_input_by_hand},
    {"unread_input", "close() with unread input, by duet",
        "The same server with duet's close(): FIN behind the answer, then what the client has sent is read and thrown\n"
        "away, up to its FIN. The answer that was lost is sent again, and the client reads it.",
        unread_input},
    {"simultaneous_close", "Both ends finish at once",
        "Each has sent FIN before it sees the other's: the network loses both, so that it happens for certain. Then\n"
        "they are sent again, the client's first: the server, which has sent its own and had no answer, is CLOSING.",
        simultaneous_close},
    {"peer_vanishes", "The server's machine is switched off",
        "No FIN comes and no RST. write() succeeds, because the kernel takes the byte; the kernel sends it again and\n"
        "again, and hears nothing. With deadlines::dead_peer of two seconds the read ends with dead_peer.",
        peer_vanishes},
    {"keep_alive", "An idle connection, and a peer that is gone",
        "Nothing is under way, so nothing would ever be missed: the kernel sends keep-alive probes. The first is\n"
        "answered; then the server's machine is switched off. Only a capture (--tap) shows the probes.",
        keep_alive},
    {"zero_window", "The client does not read",
        "The client's buffer fills, and its TCP closes the window: the server's write waits, and its kernel probes "
        "the\n"
        "window. That is no failure: when the client reads, the window opens, and the rest is sent.",
        zero_window},
    {"backlog_overflow", "The accept queue is full",
        "Two connections wait for accept(), as many as the backlog of 1 lets in. The kernel drops the SYN of a third\n"
        "client without a word. The client's kernel repeats it after a second, and the server has room by then.",
        backlog_overflow},
    {"syn_flood", "A flood of SYNs, without cookies",
        "SYNs come from addresses that never answer. Each takes a place in the queue of handshakes for a minute. An\n"
        "honest client's SYNs are dropped, and its connect() times out.",
        syn_flood, true},
    {"syn_cookies", "A flood of SYNs, with cookies",
        "The same flood with net.ipv4.tcp_syncookies. When the queue is full, the kernel keeps nothing of a SYN: what "
        "it\n"
        "must know is in the sequence number of its answer, and comes back with the ACK. The honest client connects.",
        syn_cookies, true},
    {"refused", "Nobody listens",
        "The server's TCP answers the SYN with RST, at once: connect() fails with 'Connection refused'. The port is\n"
        "reserved by a socket that does not listen, so that nobody else can.",
        refused},
    {"happy_eyeballs", "Two addresses, and the first does not answer",
        "The name has two addresses. The queue of the first is full: no answer comes. After 250 ms the connector "
        "tries\n"
        "the second one besides (RFC 8305), which answers, and gives up the first.",
        happy_eyeballs},
    {"time_wait", "A port that is not free",
        "The server has closed first, so its end stays in TIME_WAIT for a minute. When it starts again, bind() says\n"
        "that the address is in use, unless SO_REUSEADDR is set, as duet's acceptor does.",
        time_wait},
    {"reset_in_queue", "Gone before accept()",
        "The client has connected, sent something, and reset the connection before the server calls accept(). "
        "accept()\n"
        "succeeds nevertheless: it hands out what is in the queue. The first read tells.",
        reset_in_queue},
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
