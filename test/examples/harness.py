# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What the tests of the examples share: programs with a guard against hanging, and clients that misbehave on demand.

A test is a script with cases, run as <script> <directory of the built examples>. It exits with 0, with 1 if a case
failed, or with 77 if one could not be run here. Nothing sleeps to wait for something: it is read, or polled for. The
only time limit, PATIENCE, guards against hanging; no check depends on how fast the machine is.
"""

import array
import contextlib
import errno
import faulthandler
import fcntl
import os
import pathlib
import queue
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback

PATIENCE = 60  # seconds, for a case
SKIPPED = 77

_deadline = time.monotonic() + PATIENCE
_cases = []
_running = []


class Failure(Exception):
    """A check that failed."""


class Skip(Exception):
    """A case that cannot be run here, and why."""


def case(function):
    """Decorator: `function` is a case of this test."""
    _cases.append(function)
    return function


def main():
    """Run all cases, in their order; or, to look at one, those that are named after the directory."""
    global _deadline  # pylint: disable=global-statement
    sys.stdout.reconfigure(errors="backslashreplace")  # what a program said may have more than the locale
    failed, skipped = [], []
    for function in _cases:
        if sys.argv[2:] and function.__name__ not in sys.argv[2:]:
            continue
        _deadline = time.monotonic() + PATIENCE
        faulthandler.dump_traceback_later(PATIENCE + 30, exit=True)  # should one of the waits below have no limit
        try:
            function()
        except Skip as reason:
            skipped.append(function.__name__)
            print(f"skipped  {function.__name__}: {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed.append(function.__name__)
            print(f"FAILED   {function.__name__}\n{traceback.format_exc()}", flush=True)
            for program in _running:
                print(program.history(), flush=True)
        else:
            print(f"passed   {function.__name__}", flush=True)
        finally:
            for program in _running:
                program.kill()
            _running.clear()
    if failed:
        print("failed: " + ", ".join(failed))
    sys.exit(1 if failed else SKIPPED if skipped else 0)


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: got {shorten(got)}, not {shorten(wanted)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}... ({len(value)} long)"


def time_left():
    return max(0.1, _deadline - time.monotonic())


def wait_until(condition, what):
    """Poll for what cannot be waited for."""
    while not condition():
        if time_left() <= 0.1:
            raise Failure(f"never came: {what}")
        time.sleep(0.005)


def example(name):
    path = pathlib.Path(sys.argv[1], name).absolute()
    check(path.exists(), f"{path} is not there")
    return str(path)


def tool(name):
    """A program that we did not write."""
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


class Program:
    """A running program; what it prints is collected line by line. `errors`: a descriptor for its standard error, instead."""

    def __init__(self, *command, errors=subprocess.PIPE):
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.said, self.complained = [], []
        self._may_read = threading.Event()
        self._may_read.set()
        self._lines = queue.SimpleQueue()
        self._readers = [threading.Thread(target=self._collect, args=args, daemon=True) for args in (
            (self.process.stdout, self.said, self._lines), (self.process.stderr, self.complained, None)) if args[0]]
        for reader in self._readers:
            reader.start()
        _running.append(self)

    def _collect(self, stream, into, announce):
        with stream:
            for line in stream:
                into.append(line)
                if announce:
                    announce.put(line)
                    self._may_read.wait()
        if announce:
            announce.put(None)

    @property
    def pid(self):
        return self.process.pid

    def status(self, field):
        """A field of proc_pid_status(5)."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return re.search(rf"^{field}:\s*(.*)$", status, re.M).group(1)

    def state(self):
        """R: it runs, S: it sleeps, T: it was stopped."""
        return self.status("State")[0]

    @property
    def errors(self):
        """Its standard error so far; all of it, once finish() has returned."""
        return b"".join(self.complained).decode()

    def line(self):
        """Its next line on standard output; None at the end."""
        try:
            line = self._lines.get(timeout=time_left())
        except queue.Empty:
            raise Failure(f"{self.command} said nothing more in time") from None
        return line.decode() if line is not None else None

    def says_something(self):
        """True if line() has something to return at once."""
        return not self._lines.empty()

    def expect(self, pattern):
        """Skip lines up to one that matches; returns the match."""
        while (line := self.line()) is not None:
            match = re.search(pattern, line)
            if match:
                return match
        raise Failure(f"{self.command} never said '{pattern}'")

    def expect_error(self, pattern):
        """Wait for something on standard error; returns the match."""
        wait_until(lambda: re.search(pattern, self.errors), f"'{pattern}' from {self.command}")
        return re.search(pattern, self.errors)

    def hold_back(self, on=True):
        """Read nothing more of its standard output, or go on with that."""
        (self._may_read.clear if on else self._may_read.set)()

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def finish(self, status=0):
        """Wait for its end; it must exit with `status`. Returns its standard output."""
        try:
            self.process.wait(time_left())
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.command} did not end in time") from None
        for reader in self._readers:
            reader.join(time_left())
        check_equal(self.process.returncode, status, f"exit status of {self.command}")
        return b"".join(self.said)

    def kill(self):
        self.end_input()
        self.process.kill()
        self.process.wait()

    def history(self):
        return f"  {self.command}, status {self.process.poll()}, said:\n" + "".join(
            f"    {stream}: {line.decode(errors='backslashreplace').rstrip()[:200]}\n"
            for stream, lines in (("out", self.said[-40:]), ("err", self.complained[-40:])) for line in lines)


class Server(Program):
    """An example that listens, ready for clients and for signals."""

    def __init__(self, name, *arguments, port=0, errors=subprocess.PIPE):
        super().__init__(example(name), *arguments, *([] if port is None else ["--port", port]), errors=errors)
        self.endpoint = self.expect(r"^listening on (.*)$").group(1)
        if port is not None:
            self.port = int(re.fullmatch(r"(?:\[::\]|0\.0\.0\.0|127\.0\.0\.1):(\d+)", self.endpoint).group(1))
        wait_until(lambda: self.process.poll() is not None or self._waits_for(signal.SIGTERM), "a wait for SIGTERM")

    def _waits_for(self, number):
        # Asleep, too: ThreadSanitizer loses a signal that comes while sigaction(2) has yet to return.
        return int(self.status("SigCgt"), 16) & 1 << number - 1 != 0 and self.state() == "S"

    def connect(self, receive_buffer=None):
        return connect(self.port, receive_buffer)

    def sessions(self):
        """Connections that it holds."""
        count = 0
        for link in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(link).startswith("socket:")
        return count - self.listeners()

    def listeners(self):
        return tcp_listeners(self.port)

    def begin_drain(self):
        """SIGTERM; returns when it has been seen, and the listener is closed."""
        self.signal()
        wait_until(lambda: not self.listeners(), "the end of the listener")

    def finish_drain(self, finished=None, aborted=0):
        """Wait for its end and check the report: `finished` is known where the sessions were open at the drain."""
        self.finish(1 if aborted else 0)
        report = rf"^duet: drained: {r'[0-9]+' if finished is None else finished} finished, {aborted} aborted$"
        check(re.search(report, self.errors, re.M), f"its report is {self.errors!r}, not {report!r}")

    def stop(self):
        """SIGTERM, with nobody left to abort."""
        self.signal()
        self.finish_drain()


def tcp_listeners(port):
    """How many sockets listen on `port`."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                # All listeners come first. What follows, what other tests left in TIME_WAIT above all, may be long.
                if fields[3] != "0A":
                    break
                count += int(fields[1].rpartition(":")[2], 16) == port
    return count


# Clients --------------------------------------------------------------------------------------------------------------


def connect(port, receive_buffer=None):
    """A client; a small receive buffer makes a slow reader of it."""
    for address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
        peer = socket.socket(address[0])
        peer.settimeout(time_left())
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            peer.connect(address[4])
            return peer
        except ConnectionRefusedError as error:
            peer.close()
            refused = error
    raise refused


def read_all(peer):
    """What comes up to the server's FIN."""
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_lines(peer, count):
    with_ends = b""
    while with_ends.count(b"\n") < count:
        part = peer.recv(1 << 16)
        check(part, f"the server ended after {with_ends!r}")
        with_ends += part
    return with_ends.splitlines()


def exchange(peer, data):
    """Send all, half-close, and read to the end."""
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    return read_all(peer)


def hold_back(server, peer, data):
    """Send what the server takes while it cannot answer: it waits in a write then. Returns how much that is."""
    sent = 0

    def is_held_back():
        nonlocal sent
        before, asleep = sent, server.state() == "S"
        while sent < len(data) and select.select([], [peer], [], 0)[1]:
            sent += peer.send(data[sent:sent + 65536], socket.MSG_DONTWAIT)
        check(sent < len(data), "the server is not held back")
        return asleep and sent == before

    wait_until(is_held_back, "a write that waits")
    return sent


def exchange_reluctantly(peer, data, step=16384, sent=0):
    """As exchange, but read only what must be read for the sending to go on: the server is always held back."""
    parts = []
    while sent < len(data):
        readable, writable, _ = select.select([peer], [peer], [], time_left())
        if writable:
            sent += peer.send(data[sent:sent + step], socket.MSG_DONTWAIT)
        elif readable:
            parts.append(peer.recv(step))
            check(parts[-1], "the server ended early")
        else:
            raise Failure("neither readable nor writable in time")
    peer.shutdown(socket.SHUT_WR)
    while part := peer.recv(step):
        parts.append(part)
    return b"".join(parts)


def wait_delivered(peer):
    """Until the server's kernel has all that was sent."""
    outstanding = array.array("i", [0])

    def delivered():
        fcntl.ioctl(peer, termios.TIOCOUTQ, outstanding)
        return outstanding[0] == 0

    wait_until(delivered, "the acknowledgement of what was sent")


def reset(peer):
    """Close with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def check_reset(peer, what):
    try:
        rest = read_all(peer)
    except ConnectionResetError:
        return
    raise Failure(f"{what}: no reset, but the end after {shorten(rest)}")


def check_refused(connect_to, what, data=b""):
    """Whoever connects is reset: perhaps before connect() has returned, or before the data is sent."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError), connect_to() as peer:
        peer.sendall(data)
        check_reset(peer, what)


def in_parallel(function, count, meanwhile=lambda: None):
    """function(0), function(1), ... each in a thread of its own; returns their results, or raises what one raised."""
    results, errors = [None] * count, []

    def call(index):
        try:
            results[index] = function(index)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join(time_left())
        check(not thread.is_alive(), "a client did not end in time")
    if errors:
        raise errors[0]
    return results


def run_tool(*command, data=b"", status=0):
    """A program that we did not write, with `data` as its input; returns its output."""
    try:
        done = subprocess.run([tool(command[0]), *map(str, command[1:])], input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=time_left(), check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"{command} did not end in time") from None
    check(done.returncode == status, f"{command} ended with {done.returncode}: {done.stderr!r}")
    return done.stdout


def ask_with_curl(port, questions_and_answers):
    """curl's telnet, which has no half-close and stays until the server has ended: it is returned, still connected.

    Its input ends with the questions: before that it blocks in reading it, and an answer that takes 100 ms is not seen.
    """
    curl = Program(tool("curl"), "--silent", "--show-error", "--no-buffer", f"telnet://localhost:{port}")
    for question, _ in questions_and_answers:
        curl.send(question)
    curl.end_input()
    for _, answer in questions_and_answers:
        check_equal(curl.line(), answer.decode(), "answer to curl")
    return curl


# What every example owes ----------------------------------------------------------------------------------------------


def check_command_line(name, *known, arguments=False):
    """--help names every option; what is not known, or has a bad value, is refused."""
    program = example(name)
    shown = Program(program, "--help").finish().decode()
    check("usage: " + name in shown, f"--help says {shown!r}")
    for option in (*known, "--help"):
        check(option in shown, f"--help of {name} does not name {option}")
    refused = [["--no-such-option"], ["--no-such-option=1"]]
    if not arguments:
        refused += [["argument"]]
    if "--port" in known:
        refused += [["--port"], ["--port", ""], ["--port="], ["--port", "x"], ["--port", "-1"], ["--port", "65536"],
                    ["--port", "80 "], ["--port=7777x"], ["--port", "99999999999999999999"]]
    for words in refused:
        run = Program(program, *words)
        run.finish(2)
        check(run.errors.startswith(name + ": ") and "--help" in run.errors, f"{words}: it said {run.errors!r}")
        check(not run.said, f"{words}: it printed {run.said}")


@contextlib.contextmanager
def listener():
    """A server of our own: (socket, port)."""
    with socket.socket(socket.AF_INET6) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.settimeout(time_left())
        listening.bind(("::", 0))
        listening.listen()
        yield listening, listening.getsockname()[1]


@contextlib.contextmanager
def reset_all(listening):
    """Meanwhile, whoever connects to `listening` is reset."""
    ended = threading.Event()

    def accept():
        while not ended.is_set():
            if select.select([listening], [], [], 0.05)[0]:
                reset(listening.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(time_left())


@contextlib.contextmanager
def reserved_port():
    """A port that nobody else gets. Connections are refused, until a server with SO_REUSEADDR listens on it."""
    with socket.socket(socket.AF_INET6) as holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("::", 0))
        yield holder.getsockname()[1]


def check_port_in_use(name, *arguments):
    with listener() as (_, port):
        run = Program(example(name), *arguments, "--port", port)
        run.finish(1)
    said = f"{name}: bind [::]:{port}: {os.strerror(errno.EADDRINUSE)}"
    check(run.errors.startswith(said), f"port in use: it said {run.errors!r}")
