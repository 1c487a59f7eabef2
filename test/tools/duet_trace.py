#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""duet-trace: it attaches to a program, passes a conversation on, and draws both in each of its formats.

Run as duet_trace.py <directory of the built examples> <path of duet-trace> [<case>...].
"""

import contextlib
import http.server
import json
import pathlib
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import harness  # pylint: disable=wrong-import-position
from harness import Program, Server, case, check, check_equal  # pylint: disable=wrong-import-position

TOOL = str(pathlib.Path(sys.argv.pop(2)).absolute())
BODY = bytes(range(256)) * 100

# What echo_server does for a client that says a line, reads its echo, and then half-closes.
ECHO_OF_A_LINE = [
    ("begin", "accept", 0),
    ("call", "read_some", 4096), ("transfer", "receive", 6), ("result", "read_some", 6),
    ("call", "write", 6), ("transfer", "send", 6), ("result", "write", 6),
    ("call", "read_some", 4096), ("transfer", "peer_fin", 0), ("result", "read_some", 0),
    ("call", "close", 0), ("transfer", "fin", 0), ("transfer", "close", 0), ("end", "", 0), ("result", "close", 0),
]


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


def run(*words, status=0, data=None):
    """Run the tool to its end; returns (standard output, standard error)."""
    program = Program(TOOL, *words)
    if data is not None:
        program.send(data)
    program.end_input()
    said = program.finish(status).decode()
    return said, program.errors


def picture(*words, data=None):
    """What the tool draws, which has no complaint."""
    said, errors = run(*words, data=data)
    check_equal(errors, "", f"errors of {words}")
    return said


def say_a_line(port):
    with harness.connect(port) as peer:
        peer.sendall(b"hello\n")
        check_equal(harness.read_lines(peer, 1), [b"hello"], "echo")
        peer.shutdown(socket.SHUT_WR)
        check_equal(harness.read_all(peer), b"", "the end")


def trace_echo(path, clients=1):
    """The trace of an echo server, whose clients come one after another."""
    server = Server(TOOL, "attach", "--out", path, harness.example("echo_server"))
    for _ in range(clients):
        say_a_line(server.port)
        harness.wait_until(lambda: server.sessions() == 0, "the end of the session")
    server.stop()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def session_of(lines, number=1):
    return next(line for line in lines if line["line"] == "session" and line["number"] == number)


def check_echo(lines, what):
    check_equal(lines[0]["line"], "duet_trace", f"first line of {what}")
    check_equal(lines[0]["program"], "echo_server", f"program in {what}")
    events = [line for line in lines if line["line"] == "event" and line["kind"] != "state"]
    check_equal([(event["kind"], event.get("name", ""), event.get("bytes", 0)) for event in events], ECHO_OF_A_LINE, what)
    end = next(event for event in events if event["kind"] == "end")
    check(end["text"].startswith("clean, by the peer"), f"{what} ends with {end['text']!r}")


# attach ---------------------------------------------------------------------------------------------------------------


@case
def attach_records_a_program_that_knows_nothing_of_it():
    with folder() as here:
        check_echo(trace_echo(here / "echo.jsonl"), "the trace of attach")


@case
def the_variable_is_the_same_as_attach():
    with folder() as here:
        file = here / "echo.jsonl"
        server = Server(shutil.which("env"), f"DUET_TRACE={file}", harness.example("echo_server"))
        say_a_line(server.port)
        server.stop()
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        check_echo(lines, "the trace of DUET_TRACE")


@case
def attach_leaves_status_and_arguments_to_the_program():
    with folder() as here:
        file = here / "none.jsonl"
        for words in (["sh"], ["--", "sh"]):
            said, _ = run("attach", "--out", file, *words, "-c", 'echo "$DUET_TRACE" "$@"; exit 7', "sh", "--out", "x", status=7)
            check_equal(said, f"{file} --out x\n", "what the program was given")


@case
def a_trace_that_cannot_be_written_stops_nobody():
    with folder() as here:
        server = Server(TOOL, "attach", "--out", here / "none" / "echo.jsonl", harness.example("echo_server"))
        say_a_line(server.port)
        server.stop()
        said = f"duet: DUET_TRACE: trace {here}/none/echo.jsonl: No such file or directory"
        check(server.errors.startswith(said), f"it said {server.errors!r}")


# view -----------------------------------------------------------------------------------------------------------------


@case
def a_connection_is_drawn_as_text():
    with folder() as here:
        file = here / "echo.jsonl"
        one = session_of(trace_echo(file))
        lines = picture("view", file, "--format", "text", "--width", "80").splitlines()
        check_equal(lines[0], f"{one['remote']} to {one['local']}", "title")
        check_equal(lines[1], "both ends finished, the client first", "end in the title")
        for line in lines:
            check(len(line) <= 80 and line.isascii(), f"too wide, or not ASCII: {line!r}")
        whole = "\n".join(lines)
        for pattern in (r"client \(not traced\) +server\n", r"- SYN -+>\|", r"<-+ SYN, ACK -+\|", r"> *\| accept\n",
                        r"<-+ PSH, ACK 6 bytes -+\| write 6 bytes\n", r"<-+ FIN, ACK -+[|:] close\n",
                        # What an arrow told stands below it if the program was not told at once.
                        r"- PSH, ACK 6 bytes -+>(?s:.*)\| read_some: 6 bytes\n",
                        r"- FIN, ACK -+>(?s:.*)\| read_some: end\n"):
            check(re.search(pattern, whole), f"no '{pattern}' in\n{whole}")

        drawn = picture("view", file)
        check("│" in drawn and "\x1b" not in drawn, f"for what is no terminal, it draws\n{drawn}")
        check_equal(max(map(len, picture("view", file, "--width", "60", "--format=text").splitlines())) <= 60, True, "60 wide")
        check_equal(picture("view", "--list", file).split("  ")[:2], ["1", f"server {one['local']} - {one['remote']}"], "--list")


@case
def each_format_is_written_to_a_file():
    with folder() as here:
        file = here / "echo.jsonl"
        trace_echo(file)

        def written(ending):
            out = here / ("out." + ending)
            check_equal(picture("view", file, "--out", out), "", f"standard output with --out {out.name}")
            return out.read_bytes()

        image = xml.etree.ElementTree.fromstring(written("svg"))
        check_equal(image.tag, "{http://www.w3.org/2000/svg}svg", "root of the image")
        check("PSH, ACK" in "".join(image.itertext()), "the image has no PSH")
        page = written("html").decode()
        check(page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>"), f"the page begins with {page[:40]!r}")
        check_equal(set(re.findall(r"https?://[^\"' <>)]*", page)) - {"http://www.w3.org/2000/svg"}, set(), "references")
        check(not re.search(r"(?:src|href)=[\"'](?!#)", page), "the page refers to something outside")
        check(written("mmd").startswith(b"sequenceDiagram\n"), "the Mermaid picture is none")
        table = written("md").decode()
        check(table.startswith("| call | segments | states |"), f"the table begins with {table[:40]!r}")
        check_equal(table, picture("view", file, "--format", "markdown"), "the table on standard output")
        check_equal(written("pcapng")[:4], b"\x0a\x0d\x0d\x0a", "first block of the capture")
        check_equal(written("txt").decode(), picture("view", file, "--format", "text"), "text, in a file")

        again = written("jsonl")
        for words in (["--list"], ["--format", "text"]):
            check_equal(picture("view", "-", *words, data=again), picture("view", file, *words), f"{words} of what was written")


@case
def each_connection_of_a_trace_is_drawn():
    with folder() as here:
        file = here / "echo.jsonl"
        lines = trace_echo(file, clients=2)
        titles = [f"{session_of(lines, n)['remote']} to {session_of(lines, n)['local']}\n" for n in (1, 2)]
        both = picture("view", file, "--format", "text")
        for title in titles:
            check_equal(both.count(title), 1, f"pictures of {title!r}")
        check_equal(len(picture("view", file, "--list").splitlines()), 2, "listed sessions")
        second = picture("view", file, "--format", "text", "--session", "2")
        check(second.startswith(titles[1]) and titles[0] not in second, f"the second connection is\n{second}")
        out = here / "first.txt"
        _, errors = run("view", file, "--out", out)
        check_equal(errors, "duet-trace: this is the first of 2 connections; --list names them, --session chooses\n", "hint")
        check(out.read_text(encoding="ascii").startswith(titles[0]), "not the first connection was written")


@case
def a_trace_that_is_cut_off_is_drawn_up_to_there():
    with folder() as here:
        file = here / "echo.jsonl"
        trace_echo(file)
        file.write_bytes(file.read_bytes()[:-5])
        said, errors = run("view", file, "--format", "text")
        check_equal(errors, f"duet-trace: {file} ends in the middle of a line; what is before is shown\n", "hint")
        check("PSH, ACK 6 bytes" in said, f"it drew\n{said}")


# proxy ----------------------------------------------------------------------------------------------------------------


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def web_server():
    """The port of one that answers each request with BODY."""
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(harness.time_left())


def ask(port):
    with socket.create_connection(("127.0.0.1", port), harness.time_left()) as peer:
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return harness.read_all(peer)


def proxy(*words):
    """(the program, the port where it listens)"""
    program = Program(TOOL, "proxy", "--listen", "0", *words)
    return program, int(program.expect(r"^listening on 127\.0\.0\.1:(\d+)$").group(1))


@contextlib.contextmanager
def echo_server():
    """The port of one that gives back what each client says, and ends when the client does."""
    class Echo(socketserver.StreamRequestHandler):
        def handle(self):
            with contextlib.suppress(ConnectionResetError):
                while data := self.request.recv(65536):
                    self.request.sendall(data)

    class Echoes(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Echoes(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(harness.time_left())


def say(peer, text):
    peer.sendall(text)
    check_equal(harness.read_lines(peer, 1), [text.rstrip(b"\n")], "echo through the proxy")


def say_and_end(port, text=b"hello\n"):
    with harness.connect(port) as peer:
        say(peer, text)
        check_equal(harness.exchange(peer, b""), b"", "the end")


def row_of(number, left, wire, right):
    """A pattern for a line of conversation `number`: what is left of the wire, on it, and right of it."""
    return rf"^ {number} [^│┊]* {left} *[│┊]{wire}[│┊] *{right}$"


# What is on the wire: nothing, or an arrow. It begins and ends at │, or at ┊ where an end has nothing more to send.
NOTHING = " +"


def to_right(segment):
    return f"╌+ {segment} ╌+▶"


def to_left(segment):
    return f"◀╌+ {segment} ╌+"


def expect_from_client(program, number, segment, told, client="client"):
    """An arrow from the client, and what it told the proxy: beside it, or below if that took the proxy some time.

    Then the kernel's state may stand beside it.
    """
    arrow = program.expect(row_of(number, client, to_right(segment), rf"(?:{told}|\[[A-Z_]+\])?"))
    if not arrow.group().endswith(told):
        program.expect(row_of(number, "client", NOTHING, told))


def expect_from_server(program, number, segment, told):
    arrow = program.expect(row_of(number, f"(?:{told})?", to_left(segment), "server"))
    if not re.search(rf" {told} *[│┊]", arrow.group()):
        program.expect(row_of(number, told, NOTHING, "server"))


def expect_to_client(program, number, segment, call):
    """What the proxy called, and the arrow to the client that came of it: beside it, or below if a line came between."""
    row = program.expect(row_of(number, "client", f"(?:{NOTHING}|{to_left(segment)})", call))
    if "◀" not in row.group():
        program.expect(row_of(number, "client", to_left(segment), ""))


def expect_to_server(program, number, segment, call):
    row = program.expect(row_of(number, call, f"(?:{NOTHING}|{to_right(segment)})", "server"))
    if "▶" not in row.group():
        program.expect(row_of(number, "", to_right(segment), "server"))


def expect_round(program, number, size):
    """Something that the client said, and that the server gave back: four arrows, and what the proxy knew of each."""
    segment, told, call = f"PSH, ACK {size} bytes", f"read_some: {size} bytes", f"write {size} bytes"
    expect_from_client(program, number, segment, told)
    expect_to_server(program, number, segment, call)
    expect_from_server(program, number, segment, told)
    expect_to_client(program, number, segment, call)


@case
def proxy_shows_each_line_while_the_conversation_goes_on():
    with echo_server() as server:
        program, port = proxy("--connect", f"127.0.0.1:{server}", "--once")
        with harness.connect(port) as peer:
            title = program.expect(r"^ 1 (client 127\.0\.0\.1:\d+ to proxy)$").group(1)
            program.expect(rf"^ 1 proxy to server 127\.0\.0\.1:{server}$")
            program.expect(row_of(1, "connect", to_right("SYN"), "server .*"))
            for text in (b"hello\n", b"and again\n"):
                say(peer, text)
                expect_round(program, 1, len(text))
            peer.shutdown(socket.SHUT_WR)
            expect_from_client(program, 1, "FIN, ACK", "read_some: end", r"client \(FIN_WAIT1\)")
            expect_to_server(program, 1, "FIN, ACK", "shutdown_send")
            check_equal(harness.read_all(peer), b"", "the end")
        for each in (title, f"proxy to server 127.0.0.1:{server}"):
            program.expect(rf"^ 1 {each}: both ends finished, the client first$")
        said = program.finish().decode()
    check("\x1b" not in said, f"colours, in a pipe:\n{said}")
    for line in said.splitlines():
        check(len(line) <= 100, f"too wide: {line!r}")
    check_equal(said.count("PSH, ACK 6 bytes"), 4, f"lines of what was said, in\n{said}\n")


@case
def proxy_tells_conversations_apart():
    with echo_server() as server:
        program, port = proxy("--connect", f"127.0.0.1:{server}")
        with harness.connect(port) as first:
            program.expect(r"^ 1 client")
            with harness.connect(port) as second:
                program.expect(r"^ 2 client")
                for number, peer, text in ((1, first, b"a\n"), (2, second, b"bcd\n"), (1, first, b"efghi\n")):
                    say(peer, text)
                    expect_round(program, number, len(text))
                harness.reset(second)
                program.expect(r"^ 2 .* client \(CLOSED\) │╌+ RST, ACK ╌+▶│")
                program.expect(r"^ 2 client 127\.0\.0\.1:\d+ to proxy: reset by the client$")
            say(first, b"still\n")
            expect_round(program, 1, 6)
        program.expect(r"^ 1 client 127\.0\.0\.1:\d+ to proxy: both ends finished, the client first$")
        program.signal()
        program.finish()


@case
def proxy_is_quiet_if_it_is_told_to_be():
    with echo_server() as server, folder() as here:
        program, port = proxy("--connect", f"127.0.0.1:{server}", "--once", "--quiet", "--out", here / "talk.txt")
        say_and_end(port)
        said = program.finish().decode().splitlines()
        check_equal(said[1:], [f"{here}/talk.txt"], "what it said")
        check("PSH, ACK 6 bytes" in (here / "talk.txt").read_text(encoding="ascii"), "no picture in the file")

        program, port = proxy("--connect", f"127.0.0.1:{server}", "--once", "--quiet")
        say_and_end(port)
        said = program.finish().decode()
        check(re.search(r"^client 127\.0\.0\.1:\d+ to proxy$", said, re.M), f"no picture of the client in\n{said}")
        check(re.search(rf"^proxy to server 127\.0\.0\.1:{server}$", said, re.M), f"no picture of the server in\n{said}")
        check(not re.search(r"^ 1 ", said, re.M), f"live lines in\n{said}")


@case
def proxy_goes_on_if_nobody_reads_what_it_shows():
    count = 100
    with echo_server() as server:
        program, port = proxy("--connect", f"127.0.0.1:{server}")
        program.hold_back()
        for _ in range(count):
            say_and_end(port)
        program.hold_back(False)
        # The last lines of each conversation are never left out.
        for number in range(1, count + 1):
            program.expect(rf"^ ?{number} client 127\.0\.0\.1:\d+ to proxy: both ends finished, the client first$")
        program.signal()
        said = program.finish().decode()
    check(re.search(r"^\.\.\. \d+ lines left out: they came faster than they are read$", said, re.M), f"it said\n{said}")


@case
def proxy_goes_on_if_its_output_is_closed():
    with echo_server() as server:
        process = subprocess.Popen([TOOL, "proxy", "--listen", "0", "--connect", f"127.0.0.1:{server}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            port = int(process.stdout.readline().rpartition(b":")[2])
            with harness.connect(port) as peer:
                say(peer, b"hello\n")
                process.stdout.close()
                say(peer, b"hello\n")
                line = process.stderr.readline().decode()
                check_equal(line, "duet-trace: standard output: Broken pipe; nothing more is shown there\n", "what it said")
                say(peer, b"hello\n")
                check_equal(harness.exchange(peer, b""), b"", "the end")
            say_and_end(port)
            process.terminate()
            check_equal(process.wait(harness.time_left()), 1, "status")


@case
def proxy_passes_an_answer_on_and_draws_both_connections():
    with web_server() as server:
        wanted = ask(server)
        check(wanted.endswith(b"\r\n\r\n" + BODY), "the server does not answer")
        program, port = proxy("--connect", f"127.0.0.1:{server}", "--once", "--format", "text", "--width", "100")
        check_equal(ask(port), wanted, "answer through the proxy")
        said = program.finish().decode()
    first, title, second = said.partition(f"proxy to server 127.0.0.1:{server}\n")
    check(re.search(r"^client 127\.0\.0\.1:\d+ to proxy$", first, re.M), f"no picture of the client in\n{said}")
    check(title, f"no picture of the server in\n{said}")
    for drawn in (first, second):
        check("PSH, ACK 18 bytes" in drawn, f"no request in\n{drawn}")
        check("FIN, ACK" in drawn and "RST" not in drawn, f"no clean end in\n{drawn}")


@case
def proxy_writes_a_file_for_each_conversation():
    with folder() as here, web_server() as server:
        program, port = proxy("--connect", f"127.0.0.1:{server}", "--out", here / "talk.svg")
        for name in ("talk.svg", "talk-2.svg"):
            ask(port)
            program.expect(rf"^{here / name}$")
            image = xml.etree.ElementTree.parse(here / name).getroot()
            check(f"proxy to server 127.0.0.1:{server}" in "".join(image.itertext()), f"title of {name}")
        program.signal()
        program.finish()


@case
def proxy_draws_an_attempt_that_was_refused():
    with harness.reserved_port() as nobody:
        program, port = proxy("--connect", f"127.0.0.1:{nobody}", "--once", "--format", "text")
        try:
            with socket.create_connection(("127.0.0.1", port), harness.time_left()) as peer:
                rest = harness.read_all(peer)
        except ConnectionResetError:  # perhaps before connect() has returned
            rest = None
        check(rest is None, f"no reset, but the end after {rest!r}")
        said = program.finish().decode()
        check(re.search(rf"^duet-trace: 127\.0\.0\.1:\d+: .*127\.0\.0\.1:{nobody}: Connection refused", program.errors),
              f"it said {program.errors!r}")
    second = said.partition(f"proxy to server 127.0.0.1:{nobody}\n")[2]
    check("SYN" in second and "RST" in second, f"no refusal in\n{said}")


# Mistakes -------------------------------------------------------------------------------------------------------------


@case
def help_names_every_command():
    said = picture("--help")
    for word in ("view", "proxy", "attach", "--session", "--format", "--out", "--list", "--all", "--width", "--once", "--quiet",
                 "DUET_TRACE"):
        check(word in said, f"--help does not name {word}")
    said, errors = run(status=2)
    check_equal((said, errors.startswith("duet-trace view FILE")), ("", True), "without a command")


@case
def what_is_not_understood_is_refused():
    for words, why in (
            (["draw"], "no command 'draw'"),
            (["view"], "one file"),
            (["view", "a", "b"], "one file"),
            (["view", "a", "--no-such-option"], "--no-such-option"),
            (["view", "a", "--list=1"], "--list"),
            (["view", "a", "--out"], "--out needs a value"),
            (["view", "a", "--out", "a.jpeg"], "a.jpeg"),
            (["view", "a", "--format", "jpeg"], "'jpeg'"),
            (["view", "a", "--width", "47"], "--width"),
            (["view", "a", "--width", "80x"], "--width"),
            (["view", "a", "--session", "0"], "--session"),
            (["proxy"], "--listen"),
            (["proxy", "--listen", "0"], "--connect"),
            (["proxy", "--listen", "65536", "--connect", "1"], "65536"),
            (["proxy", "--listen", "::1:0", "--connect", "1"], "::1:0"),
            (["proxy", "--listen", "0", "--connect", "localhost:"], "localhost:"),
            (["attach", "true"], "--out"),
            (["attach", "--out", "a.jsonl"], "a program"),
            (["attach", "--no-such-option", "x", "true"], "--no-such-option")):
        said, errors = run(*words, status=2)
        check(errors.startswith("duet-trace: ") and why in errors and "--help" in errors, f"{words}: it said {errors!r}")
        check_equal(said, "", f"standard output of {words}")


@case
def what_fails_is_told():
    with folder() as here:
        file, no_trace, broken, full = here / "echo.jsonl", here / "no.jsonl", here / "broken.jsonl", here / "full.svg"
        trace_echo(file)
        no_trace.write_text("This is no trace.\n", encoding="ascii")
        head = file.read_bytes().split(b"\n")[0]
        broken.write_bytes(head + b'\n{"line":"event","kind":}\n')
        full.symlink_to("/dev/full")
        for words, wanted in (
                (["view", here / "none.jsonl"], rf"{here}/none\.jsonl: No such file or directory"),
                (["view", here], rf"{here}: Is a directory"),
                (["view", no_trace], rf"{no_trace}: line 1, column 1: .+"),
                (["view", broken], rf"{broken}: line 2, column 24: .+"),
                (["view", file, "--out", here / "none" / "x.svg"], rf"{here}/none/x\.svg: No such file or directory"),
                (["view", file, "--out", full], rf"{full}: .+"),
                (["view", file, "--session", "2"], r"the trace has no session 2"),
                (["attach", "--out", here / "x.jsonl", here / "none"], rf"{here}/none: No such file or directory")):
            said, errors = run(*words, status=1)
            check(re.fullmatch(f"duet-trace: {wanted}\n", errors), f"{words}: it said {errors!r}")
            check_equal(said, "", f"standard output of {words}")
        with harness.listener() as (_, port):
            _, errors = run("proxy", "--listen", port, "--connect", "1", status=1)
            check(errors.startswith(f"duet-trace: bind 127.0.0.1:{port}: "), f"port in use: it said {errors!r}")


if __name__ == "__main__":
    harness.main()
