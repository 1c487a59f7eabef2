#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""chat_server: what one says, all others hear, whichever thread serves them; one that never reads holds up nobody."""

import socket

import harness
from harness import Server, case, check_equal


def join(server, count, receive_buffer=None):
    members = [server.connect(receive_buffer) for _ in range(count)]
    for member in members:
        check_equal(member.recv(8, socket.MSG_WAITALL), b"welcome\n", "the greeting")
    return members


def leave(members):
    for member in members:
        check_equal(harness.exchange(member, b""), b"", "the end")
        member.close()


@case
def command_line():
    harness.check_command_line("chat_server", "--port", "--threads")
    harness.check_port_in_use("chat_server")


@case
def members_of_all_threads_hear_each_other():
    server = Server("chat_server", "--threads", "3")
    members = join(server, 24)
    for number, member in enumerate(members):
        member.sendall(b"%d\n" % number)
        for other in members:
            if other is not member:
                check_equal(harness.read_lines(other, 1), [b"%d" % number], "what the others hear")
    leave(members)
    server.stop()


@case
def lines_come_whole_and_in_order():
    server = Server("chat_server")
    members = join(server, 8)
    lines = [[b"%d says %d" % (number, i) for i in range(50)] for number in range(8)]

    def talk(number):
        members[number].sendall(b"".join(line + b"\n" for line in lines[number]))
        return harness.read_lines(members[number], 7 * 50)

    for number, heard in enumerate(harness.in_parallel(talk, 8)):
        for other in range(8):
            said = [line for line in heard if line.startswith(b"%d says" % other)]
            check_equal(said, [] if other == number else lines[other], f"what {number} heard of {other}")
    leave(members)
    server.stop()


@case
def one_that_never_reads_is_reset_and_holds_up_nobody():
    server = Server("chat_server")
    deaf, = join(server, 1, receive_buffer=4096)
    speaker, listener = join(server, 2)
    line = b"x" * 999 + b"\n"
    while server.sessions() == 3:
        speaker.sendall(line * 20)
        harness.read_lines(listener, 20)
    harness.check_reset(deaf, "one that never reads")
    leave([speaker, listener])
    server.stop()


@case
def sigterm_lets_silent_members_go():
    server = Server("chat_server")
    members = join(server, 4)
    server.begin_drain()
    for member in members:
        check_equal(member.recv(1), b"", "the FIN")
        member.close()
    server.finish_drain(finished=4)


if __name__ == "__main__":
    harness.main()
