#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""unix_echo: the server with other clients, the client with other servers, and what becomes of the socket's file."""

import contextlib
import errno
import os
import pathlib
import random
import socket
import tempfile

import harness
from harness import Program, case, check, check_equal

BIG = random.Random(4).randbytes(8 << 20)


class Server(harness.Server):
    def __init__(self, path):
        self.path = str(path)
        super().__init__("unix_echo", "--listen", "--path", self.path, port=None)
        check_equal(self.endpoint, self.path, "where it listens")

    def listeners(self):
        accepts_connections = 0x10000
        count = 0
        # Bytes: the name of somebody else's socket may be no text.
        for line in pathlib.Path("/proc/net/unix").read_bytes().split(b"\n")[1:]:
            fields = line.split(maxsplit=7)
            count += fields[7:] == [os.fsencode(self.path)] and int(fields[3], 16) & accepts_connections != 0
        return count

    def connect(self, receive_buffer=None):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(harness.time_left())
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.connect(self.path)
        return peer


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


def client(path, *words):
    return Program(harness.example("unix_echo"), "--path", path, *words)


@case
def command_line():
    harness.check_command_line("unix_echo", "--listen", "--path", arguments=True)


@case
def client_and_server():
    with directory() as place:
        server = Server(place / "socket")
        for words in (["hello"], ["hello", "", "world", "x" * 100_000], []):
            talk = client(server.path, *words)
            check_equal(talk.finish(), "".join(word + "\n" for word in words).encode(), f"echo of {len(words)} words")
            check_equal(talk.errors, "closed: clean\n", "the client's report")
        server.stop()


@case
def netcat_and_socat_half_close():
    with directory() as place:
        server = Server(place / "socket")
        for data in (b"hello", b"", BIG):
            check_equal(harness.run_tool("nc", "-N", "-U", server.path, data=data), data, "echo to nc")
            check_equal(harness.run_tool("socat", "-t100", "-", f"UNIX-CONNECT:{server.path}", data=data), data, "socat")
        server.stop()


@case
def slow_reader_loses_nothing():
    with directory() as place:
        server = Server(place / "socket")
        with server.connect(receive_buffer=65536) as peer:
            check_equal(harness.exchange_reluctantly(peer, BIG), BIG, "echo of 8 MB")
        server.stop()


@case
def clients_that_break_off():
    with directory() as place:
        server = Server(place / "socket")
        for _ in range(20):
            server.connect().close()
            with server.connect() as peer:
                peer.sendall(b"x" * 100_000)  # and a close with the echo unread, which is a reset here
        harness.wait_until(lambda: server.sessions() == 0, "the end of the broken sessions")
        with server.connect() as peer:
            check_equal(harness.exchange(peer, b"still there"), b"still there", "echo after the breaks")
        server.stop()


@case
def many_clients_at_once():
    with directory() as place:
        server = Server(place / "socket")

        def converse(index):
            data = bytes([index]) * 100_000
            with server.connect() as peer:
                check_equal(harness.exchange_reluctantly(peer, data), data, f"echo to client {index}")

        harness.in_parallel(converse, 100)
        harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
        server.stop()


@case
def sigterm_lets_clients_finish():
    with directory() as place:
        server = Server(place / "socket")
        with server.connect() as peer:
            sent = harness.hold_back(server, peer, BIG)
            server.begin_drain()
            peer.shutdown(socket.SHUT_WR)  # at once: the server waits 200 ms for another request
            check_equal(harness.read_all(peer), BIG[:sent], "echo after SIGTERM")
        server.finish_drain(finished=1)


@case
def second_sigterm_ends_the_rest():
    with directory() as place:
        server = Server(place / "socket")
        with server.connect() as peer:
            peer.sendall(b"hello")
            check_equal(peer.recv(5, socket.MSG_WAITALL), b"hello", "echo")
            server.begin_drain()
            server.signal()
            check_equal(harness.read_all(peer), b"", "what follows")  # with no input unread, the kernel knows no reset
        server.finish_drain(finished=0, aborted=1)


@case
def the_file_comes_and_goes():
    with directory() as place:
        path = place / "socket"
        server = Server(path)
        check(path.is_socket(), "there is no socket while it listens")
        second = Program(harness.example("unix_echo"), "--listen", "--path", path)
        second.finish(1)
        said = f"unix_echo: bind unix:{path}: {os.strerror(errno.EADDRINUSE)}"
        check(second.errors.startswith(said), f"path in use: it said {second.errors!r}")
        check_equal(client(path, "hello").finish(), b"hello\n", "echo after a second server tried")
        server.stop()
        check(not path.exists(), "the socket is left after the end")

        server = Server(path)
        server.kill()  # leaves the file
        check(path.is_socket(), "there is nothing to take over")
        client(path, "hello").finish(1)
        server = Server(path)
        check_equal(client(path, "hello").finish(), b"hello\n", "echo of the server that took over")
        server.stop()

        path.write_text("precious", encoding="ascii")
        Program(harness.example("unix_echo"), "--listen", "--path", path).finish(1)
        check_equal(path.read_text(encoding="ascii"), "precious", "a file that is no socket")


@case
def clear_errors():
    with directory() as place:
        nobody = client(place / "nothing", "hello")
        nobody.finish(1)
        said = f"unix_echo: connect unix:{place}/nothing: {os.strerror(errno.ENOENT)}"
        check(nobody.errors.startswith(said), f"no server: it said {nobody.errors!r}")
        for words in (["--listen"], ["hello"]):
            long = client(place / ("x" * 200), *words)
            long.finish(1)
            check("unix_echo: " in long.errors and "too long" in long.errors, f"it said {long.errors!r}")


@case
def client_with_other_servers():
    with directory() as place, socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(harness.time_left())
        listener.bind(str(place / "socket"))
        listener.listen()
        talk = client(place / "socket", "hello")  # an echo in pieces
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"hello"], "what it said")
            for part in (b"hel", b"lo\n"):
                peer.sendall(part)
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(talk.finish(), b"hello\n", "what it printed")
        for part in (b"", b"hel"):  # ends too early
            talk = client(place / "socket", "hello")
            with listener.accept()[0] as peer:
                harness.read_lines(peer, 1)
                peer.sendall(part)
            check_equal(talk.finish(1), b"", "what it printed")
            check("unix_echo: " in talk.errors, f"it said {talk.errors!r}")


if __name__ == "__main__":
    harness.main()
