#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""lifecycle: what it shows, in one program and in two, with other peers, on terminals and in pipes."""

import fcntl
import os
import re
import select
import signal
import socket
import struct
import subprocess
import termios

import harness
from harness import Program, Server, case, check, check_equal

TO_SERVER, TO_CLIENT = r"\((?:\S+ )*%s(?: \S+)* ?>\)", r"\(< ?(?:\S+ )*%s(?: \S+)*\)"  # inferred segments
LEGEND = ("Observed: each call", "[receive/send KERNEL]", "Inferred: (")


class Row:
    """A line of a table: time, and the lanes of client, wire and server."""

    def __init__(self, cells):
        self.time, self.client, self.wire, self.server = (cell.strip() for cell in cells)
        self.continued = [name for name, cell in zip(("time", "client", "wire", "server"), cells)
                          if name != "wire" and not self.time and cell.startswith("   ") and cell.strip()]

    def move_to(self, row):
        """Lines that a lane is broken into are one text."""
        for name in self.continued:
            setattr(row, name, getattr(row, name) + " " + getattr(self, name))
            setattr(self, name, "")
        return self.client or self.wire or self.server


class Shown:
    """What one run has printed, without colours; every line is checked for its place and width."""

    def __init__(self, text, width=120):
        bar = "│" if "│" in text else "|"
        self.text = text
        self.rows, self.compared = [], {}
        bars = None
        for line in text.splitlines():
            check(len(line) <= width, f"wider than {width}: {line!r}")
            found = [at for at, char in enumerate(line) if char == bar]
            if not found:
                continue
            bars = bars or found
            check_equal(found, bars, f"where the bars are in {line!r}")
            row = Row((line[:7], line[7:bars[0]], line[bars[0] + 1:bars[1]], line[bars[1] + 1:]))
            if re.fullmatch(r"[a-z() FIN]+", row.wire) and row.wire != "(wire)":
                self.compared[row.wire] = (row.client, row.server)
            elif row.time != "ms" and (not row.continued or row.move_to(self.rows[-1])):
                self.rows.append(row)
                check(re.fullmatch(r"(\([^()]+\))?", row.wire), f"not marked as inferred: {row.wire!r}")
        times = [float(row.time) for row in self.rows if row.time]
        check_equal(times, sorted(times), "the times")
        check(times, f"there is no table in {text!r}")

    def find(self, lane, pattern, after=-1):
        """The index of the first row behind `after` that has `pattern` in `lane`."""
        for index, row in enumerate(self.rows):
            if index > after and re.search(pattern, getattr(row, lane)):
                return index
        raise harness.Failure(f"{pattern!r} is not in the lane {lane} behind row {after} of\n{self.text}")

    def order(self, *steps):
        """The steps, (lane, pattern), are in rows one behind the other; in one row, if it is not the same lane."""
        at, before = 0, None
        for lane, pattern in steps:
            at, before = self.find(lane, pattern, at if lane == before else at - 1), lane

    def same_row(self, lane, pattern, other_lane, other_pattern):
        beside = getattr(self.rows[self.find(lane, pattern)], other_lane)
        check(re.search(other_pattern, beside), f"{pattern!r} has {beside!r} beside it")

    def never(self, lane, pattern):
        check(not any(re.search(pattern, getattr(row, lane)) for row in self.rows), f"{pattern!r} is in\n{self.text}")


def finished(program, status=0):
    """What a program has printed into a pipe: plain text."""
    text = program.finish(status).decode("ascii")
    check("\033" not in text, "colours in a pipe")
    return text


def connect(port):
    return Program(harness.example("lifecycle"), "--connect", "--port", port)


def listen():
    return Server("lifecycle", "--listen")


def stop(server):
    server.stop()
    return Shown(b"".join(server.said).decode("ascii"))


def on_terminal(columns, **environment):
    """Run it in a terminal; returns what it printed, with and without colours."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM", "LC_ALL")}
    with subprocess.Popen([harness.example("lifecycle")], stdin=its, stdout=its, stderr=its,
                          env={**known, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}) as process:
        os.close(its)
        printed = b""
        try:
            while select.select([ours], [], [], harness.time_left())[0]:
                printed += os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            check_equal(process.wait(harness.time_left()), 0, "exit status")
        finally:
            process.kill()
            os.close(ours)
    text = printed.decode().replace("\r\n", "\n")
    return text, re.sub(r"\033\[[0-9;]*m", "", text)


def check_client(shown):
    """A client's lane, from the connection to its end; and what must have been on the wire.

    A call that takes its time has a row of its own, and the one where it returns is without the arguments.
    """
    port = re.search(r"a session from \S+:(\d+)", " ".join(row.client for row in shown.rows)).group(1)
    shown.order(("client", r'^connect\("localhost", "\d+"\)'), ("client", r"^resolve\("), ("wire", TO_SERVER % "SYN"),
                ("wire", TO_CLIENT % r"SYN\+ACK"), ("wire", TO_SERVER % "ACK"), ("client", r"^connect\(\) ->"),
                ("client", r"\[open/open ESTABLISHED\]"), ("client", r'^write\(("who\?\\n")?\) -> 5$'),
                ("client", r'^read_until\(.*\) -> 9: "re: who\?\\n"$'), ("client", r'^write\(("why\?\\n")?\) -> 5$'),
                ("client", r'^read_until\(.*\) -> 9: "re: why\?\\n"$'), ("client", r"^shutdown_send\(\) ->"),
                ("client", r"\[open/finished (FIN_WAIT[12]|CLOSE)\]"),
                ("client", r'^read_all\(\) -> "last words\\n" and FIN$'),
                ("client", r"\[ended/finished CLOSE\]"), ("client", r"^close\(\) -> clean$"),
                ("client", r"\[ended/finished no socket\]"))
    shown.same_row("client", r"^write\(.*\) -> 5$", "wire", TO_SERVER % "5 bytes")
    shown.same_row("client", r"^shutdown_send\(\)", "wire", TO_SERVER % "FIN")
    for what, value in (("close()", "clean"), ("bytes sent", "10"), ("received", "29"), ("thrown away", "0"),
                        ("unacknowledged", "0"), ("its FIN", "before it read the peer's")):
        check_equal(shown.compared[what][0], value, f"the client's '{what}'")
    check(re.fullmatch(r"TIME_WAIT in /proc/net/tcp6?", shown.compared["kernel now"][0]), "the client is to wait")
    return port


def check_server(shown):
    """A server's lane, as far as no other client is in it."""
    shown.order(("server", r"^duet::server\(\) -> listens on"), ("wire", TO_SERVER % "SYN"),
                ("server", r"^accept\(\) -> a session with"), ("server", r"\[open/open ESTABLISHED\]"),
                ("server", r'^read_until\(.*\) -> 5: "who\?\\n"$'), ("server", r'^write\(("re: who\?\\n")?\) -> 9$'),
                ("server", r'^read_until\(.*\) -> 5: "why\?\\n"$'), ("server", r'^write\(("re: why\?\\n")?\) -> 9$'),
                ("wire", TO_SERVER % "FIN"), ("server", r"\[ended/open CLOSE_WAIT\]"),
                ("server", r'^write\(("last words\\n")?\) -> 11$'), ("server", r"^close\(\) -> clean$"),
                ("server", r"\[ended/finished no socket\]"))
    shown.same_row("server", r"^write\(.*\) -> 11$", "wire", TO_CLIENT % "11 bytes")
    shown.order(("wire", TO_SERVER % "FIN"), ("wire", TO_CLIENT % "11 bytes"), ("wire", TO_CLIENT % "FIN"),
                ("wire", TO_SERVER % "ACK of FIN"))
    for what, value in (("close()", "clean"), ("bytes sent", "29"), ("received", "10"), ("thrown away", "0"),
                        ("unacknowledged", "0"), ("its FIN", "after it read the peer's"),
                        ("kernel now", "nothing left of it")):
        check_equal(shown.compared[what][1], value, f"the server's '{what}'")


@case
def command_line():
    harness.check_command_line("lifecycle", "--listen", "--connect", "--host", "--port")
    harness.check_port_in_use("lifecycle", "--listen")


@case
def both_in_one_program():
    for arguments in ([], ["--listen", "--connect"], ["--port", "0"]):
        program = Program(harness.example("lifecycle"), *arguments)
        shown = Shown(finished(program))
        check_equal(program.errors, "", "what it complained about")
        check(re.match(r"listening on \[::\]:[1-9]\d*\n", shown.text), f"it began with {shown.text[:50]!r}")
        for word in LEGEND:
            check(word in shown.text, f"'{word}' is not explained")
        check_client(shown)
        check_server(shown)
        # the half-close: what the server says after it arrives, and the end is graceful on both sides
        shown.order(("client", r"^shutdown_send"), ("server", r"-> 0: the peer's FIN$"), ("server", r"^write\(.*last"),
                    ("wire", TO_CLIENT % "FIN"), ("client", r"^read_all\(\) ->"), ("client", r"^close\(\) -> clean$"))
        shown.order(("client", r"^shutdown_send"), ("wire", TO_CLIENT % "ACK of FIN"))
        shown.never("wire", "RST")


@case
def two_programs():
    server = listen()
    clients = [connect(server.port) for _ in range(3)]
    ports = [check_client(Shown(finished(client))) for client in clients]
    shown = stop(server)
    for port in ports:
        rows = [row for row in shown.rows if row.client in ("", ":" + port)]
        check(any(row.client and "close() -> clean" in row.server for row in rows), f"{port} did not end")
    check_equal(shown.text.count("has ended:"), 3, "connections that have ended")
    check("\nThe connection 127.0.0.1:" in shown.text or "\nThe connection [::1]:" in shown.text, "who has ended")

    server = listen()
    shown = Shown(finished(connect(server.port)))
    shown.never("server", ".")
    check_client(shown)
    shown = stop(server)
    shown.never("client", "[^:0-9]")
    check_server(shown)


@case
def client_of_another_server():
    with harness.listener() as (listener, port):
        client = connect(port)
        with listener.accept()[0] as peer:
            for question, parts in ((b"who?", (b"me\n",)), (b"why?", (b"be", b"cause\n"))):
                check_equal(harness.read_lines(peer, 1), [question], "question")
                for part in parts:
                    peer.sendall(part)
            check_equal(harness.read_all(peer), b"", "what comes before the client's FIN")
            peer.sendall(b"good\033[31mbye\xff")
            peer.shutdown(socket.SHUT_WR)
        shown = Shown(finished(client))
    shown.order(("client", r'-> 3: "me\\n"$'), ("client", r'-> 8: "because\\n"$'), ("wire", TO_SERVER % "FIN"),
                ("wire", TO_CLIENT % "13 bytes"), ("wire", TO_CLIENT % "FIN"), ("client", r"^close\(\) -> clean$"))
    shown.find("client", r'-> "good\\x1b\[31mbye\\xff" and FIN$')  # and nothing for the terminal to obey
    check_equal(shown.compared["close()"], ("clean", ""), "the ends")
    check_equal(shown.compared["received"], ("24", ""), "bytes received")


@case
def client_without_a_server():
    with harness.reserved_port() as port:
        client = connect(port)
        shown = Shown(finished(client, 1))
    shown.find("client", r"^connect\(\) -> throws: Connection refused$")
    check(client.errors.startswith(f"lifecycle: connect localhost:{port}: "), f"it said {client.errors!r}")
    check("refused" in client.errors and client.errors.count("\n") == 1, f"it said {client.errors!r}")

    client = Program(harness.example("lifecycle"), "--connect", "--host", "no-such-host.invalid")
    Shown(finished(client, 1)).find("client", r"^resolve\(.*\) -> throws: ")
    check("connect no-such-host.invalid:7777: " in client.errors, f"it said {client.errors!r}")


@case
def client_of_a_server_that_resets():
    with harness.listener() as (listener, port):
        client = connect(port)
        peer = listener.accept()[0]
        harness.read_lines(peer, 1)
        harness.reset(peer)
        shown = Shown(finished(client, 1))
    shown.same_row("client", r"^read_until\(.*\) -> throws: Connection reset by peer$", "wire", TO_CLIENT % "RST")
    shown.find("client", r"\[failed/failed CLOSE\]")
    shown.never("wire", "FIN")
    check("reset by peer" in client.errors, f"it said {client.errors!r}")


@case
def server_of_netcat():
    server = listen()
    answer = harness.run_tool("nc", "-N", "localhost", server.port, data=b"one\n\ntwo\n")
    check_equal(answer, b"re: one\nre: \nre: two\nlast words\n", "answer to nc -N")
    shown = stop(server)
    shown.order(("wire", TO_SERVER % "9 bytes"), ("wire", TO_SERVER % "FIN"), ("server", r"-> 0: the peer's FIN$"),
                ("wire", TO_CLIENT % "11 bytes"), ("wire", TO_CLIENT % "FIN"), ("server", r"^close\(\) -> clean$"))


@case
def server_of_other_clients():
    server = listen()
    with server.connect() as peer:
        peer.sendall(b"one\ntw")
        check_equal(harness.read_lines(peer, 1), [b"re: one"], "answer")
        peer.sendall(b"o\n")
        check_equal(harness.read_lines(peer, 1), [b"re: two"], "answer")
        check_equal(harness.exchange(peer, b"three\n"), b"re: three\nlast words\n", "the last answers")
    for rest in (b"half a question", b"x" * 1001):
        with server.connect() as peer:
            peer.sendall(rest)
            if len(rest) < 1000:  # else it is too long, whatever follows
                peer.shutdown(socket.SHUT_WR)
            harness.check_reset(peer, f"{len(rest)} bytes without an end")
    harness.reset(server.connect())
    harness.wait_until(lambda: server.sessions() == 0, "the end of the broken sessions")
    shown = stop(server)
    shown.order(("server", r"^close\(\) -> clean"), ("server", "-> throws: the peer finished in the middle"),
                ("server", r"^serve\(\) -> threw, so the session is aborted"),
                ("server", "-> throws: more bytes than the limit"),
                ("server", r"^serve\(\) -> threw, so the session is aborted"))
    shown.same_row("server", r"^serve\(\) -> threw", "wire", TO_CLIENT % "RST")


@case
def server_that_comes_late():
    # What its client has sent is there when it accepts, the FIN as well; and the client has gone when it answers.
    for question, told in ((b"one\n", r"^write\(.*\) -> throws: "), (b"", r"^close\(\) -> peer_reset$")):
        server = listen()
        server.signal(signal.SIGSTOP)
        with server.connect() as peer:
            peer.sendall(question)
            peer.shutdown(socket.SHUT_WR)
            harness.wait_delivered(peer)
        server.signal(signal.SIGCONT)
        harness.wait_until(lambda: b"has ended:" in b"".join(server.said), "the end of the connection")
        shown = stop(server)
        shown.order(("server", r"^accept\(\) ->"), ("server", r"\[open/open CLOSE_WAIT\]"))
        shown.order(*[("wire", TO_SERVER % "4 bytes")] * bool(question), ("wire", TO_SERVER % "FIN"),
                    ("wire", TO_SERVER % "RST"))
        check_equal(shown.text.count(" RST "), 1, "resets")
        shown.same_row("server", told, "wire", TO_SERVER % "RST")
        check_equal(shown.compared["close()"], ("", "peer_reset"), "the ends")


@case
def terminals():
    for columns in (60, 80, 100, 140, 300):
        coloured, plain = on_terminal(columns)
        check("\033[" in coloured and "│" in plain and "→" in plain, f"plain text on a terminal of {columns} columns")
        if columns >= 80:  # the legend needs them
            shown = Shown(plain, columns)
            joined = " ".join(f"{row.client} {row.server}" for row in shown.rows)
            check_equal(joined.count("close() → clean"), 2, "graceful ends")
        # only what is inferred looks inferred: segments, the title of their lane, and their sample in the legend
        for inferred in re.findall("\033\\[2;3;35m(.*?)\033\\[0m", coloured):
            check(re.fullmatch(r"\(.*\)", inferred), f"{inferred!r} looks inferred")
        for line in coloured.splitlines():
            check("FIN ·" not in line or "\033[2;3;35m" in line, f"looks observed: {line!r}")
    for environment, escapes, unicode in (
            ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False), ({"LC_ALL": "C"}, True, False)):
        coloured, plain = on_terminal(80, **environment)
        Shown(plain, 80)
        check_equal(("\033" in coloured, not plain.isascii()), (escapes, unicode), f"colours and arrows, {environment}")


@case
def nobody_reads_it():
    # Its clients are served, however long the pipe has been full.
    with subprocess.Popen([harness.example("lifecycle"), "--listen", "--port", "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, bufsize=0) as process:
        try:
            port = int(process.stdout.readline().rpartition(b":")[2])
            for index in range(20):
                with harness.connect(port) as peer:
                    check_equal(harness.exchange(peer, b"?\n" * 100).count(b"\n"), 101, f"answers to client {index}")
            process.send_signal(signal.SIGTERM)
            shown = process.communicate(timeout=harness.time_left())[0]
        finally:
            process.kill()
    check_equal(process.returncode, 0, "exit status")
    check(len(shown) > 1 << 17, f"it printed {len(shown)} bytes, which may fit into the pipe")
    check_equal(Shown(shown.decode("ascii")).text.count("has ended:"), 20, "connections that have ended")


@case
def sigterm_lets_clients_finish():
    listen().stop()
    server = listen()
    with server.connect() as peer:
        peer.sendall(b"before\naf")  # the next question has begun
        check_equal(harness.read_lines(peer, 1), [b"re: before"], "answer")
        server.begin_drain()
        check_equal(harness.exchange(peer, b"ter\n"), b"re: after\nlast words\n", "answers after SIGTERM")
    server.finish_drain(finished=1)


@case
def second_sigterm_resets_the_rest():
    server = listen()
    with server.connect() as peer:
        peer.sendall(b"before\naf")
        harness.read_lines(peer, 1)
        server.begin_drain()
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)


if __name__ == "__main__":
    harness.main()
