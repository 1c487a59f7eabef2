# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The servers that are measured, and the load generator."""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CORES = sorted(os.sched_getaffinity(0))
ONE_CORE = {CORES[0]}

# name: (how it is shown, its program and arguments; {port} is put in)
ECHO = {
    "epoll": ("raw epoll, C", ["epoll", "{port}"]),
    "uring": ("liburing", ["uring", "{port}"]),
    "libuv": ("libuv", ["libuv", "{port}"]),
    "tokio": ("Tokio", ["tokio_echo", "{port}"]),
    "duet": ("duet", ["duet_echo", "{port}"]),
    "duet_deadlines": ("duet, every deadline", ["duet_echo", "{port}", "--deadlines"]),
    "asio_callbacks": ("Asio, callbacks", ["asio_callbacks", "{port}"]),
    "asio_awaitable": ("Asio, awaitable", ["asio_awaitable", "{port}"]),
    "go": ("Go", ["go_echo", "{port}"]),
    "libevent": ("libevent", ["libevent", "{port}"]),
    "node": ("Node", ["node", str(HERE / "peers" / "echo.js"), "{port}"]),
}
# Messages behind their size: with a frame_stream, and with the loop that does the same.
FRAMES = {
    "by_hand": ("duet, a loop by hand", ["duet_frames", "{port}", "--by-hand"]),
    "frames": ("duet, frame_stream", ["duet_frames", "{port}"]),
    "frames_buffered": ("duet, frame_stream, next_buffered()", ["duet_frames", "{port}", "--buffered"]),
}
# Requests, matched by an id: who answers them, and who asks. The echo server answers them too, and knows nothing of messages.
ANSWER = {
    "asio_requests": ("Asio, a loop by hand", ["asio_requests", "{port}"]),
    "duet_requests": ("duet, serve_requests", ["duet_requests", "{port}"]),
    "bytes": ("raw epoll, C, only an echo", ECHO["epoll"][1]),
}
ASK = {
    "asio_asking": ("Asio, a loop by hand", ["asio_asking"]),
    "duet_asking": ("duet, request_stream", ["duet_asking"]),
}
REQUEST_SIZE, REQUEST_HEAD = 64, 12  # bytes: of a body; of its size and its id
REQUEST_CONNECTIONS = 16
UNDER_WAY = (1, 16, 256)  # requests on each of them
IDLE = {
    **ECHO,
    "duet_patient": ("duet, no buffer held", ["duet_echo", "{port}", "--patient"]),
    "duet_patient_deadlines": ("duet, no buffer held, every deadline",
        ["duet_echo", "{port}", "--patient", "--deadlines"]),
}
# The cost of a trace: see trace_cost.py.
TRACED = {"none": ("no trace", ECHO["duet"][1]),
    **{what: (how, [*ECHO["duet"][1], "--trace", what]) for what, how in (
        ("unattached", "a trace that is not attached"), ("recorder", "flight recorder, 64 events"),
        ("memory", "in memory"), ("file", "to a file"))}}
TWO_THREADS = {name: (ECHO[name][0], [*ECHO[name][1], *more]) for name, more in (
    ("epoll", ["2"]), ("tokio", ["2"]), ("duet", ["--threads", "2"]), ("duet_deadlines", ["--threads", "2"]),
    ("asio_awaitable", ["2"]), ("go", []))}
# The same, with each thread kept on a core of its own, where it takes the connections whose packets that handles.
PINNED = {f"{name}_pinned": (f"{ECHO[name][0]}, threads pinned", [*ECHO[name][1], *more]) for name, more in (
    ("epoll", ["2", "4096", "pin"]), ("duet", ["--threads", "2", "--pin"]),
    ("duet_deadlines", ["--threads", "2", "--pin"]))}
# What the machine's cores can do when nothing is shared: a process on each, with clients of its own on the same core.
APART = {"epoll_apart": ("raw epoll, C, a process for each core", ECHO["epoll"][1])}
BULK = {
    "posix": ("blocking calls, C", ["posix_bulk", "{port}"]),
    "duet": ("duet", ["duet_bulk", "{port}"]),
    "asio_awaitable": ("Asio, awaitable", ["asio_bulk", "{port}"]),
}
RELAY = {
    "haproxy": ("HAProxy", ["haproxy", "-db", "-f", str(HERE / "peers" / "haproxy.cfg")]),
    "duet": ("duet", ["duet_relay", "{port}", "{target}"]),
    "asio_relay": ("Asio, awaitable", ["asio_relay", "{port}", "{target}"]),
    "buffers": ("raw epoll, C, 64 KiB buffers", ["raw_relay", "{port}", "{target}"]),
    "splice": ("raw epoll, C, splice(2)", ["raw_relay", "{port}", "{target}", "splice"]),
}
# Those that connect to a server, ask, and close. All are started as ../load is.
CLIENT = {
    "epoll_client": ("raw epoll, C++", ["epoll_client"]),
    "duet_client": ("duet", ["duet_client"]),
    "asio_client": ("Asio, awaitable", ["asio_client"]),
}
# Servers with TLS: {certificate} is a file with a certificate and its key. HAProxy ends TLS in front of another server.
TLS = {
    "tls_asio": ("asio::ssl::stream", ["tls_asio", "{port}", "{certificate}"]),
    "tls_duet": ("duet, tls_session", ["tls_duet", "{port}", "{certificate}"]),
    "tls_haproxy": ("HAProxy, in front of a server in C", ["haproxy", "-db", "-f",
        str(HERE / "peers" / "haproxy_tls.cfg")]),
}


class Failed(Exception):
    pass


class Ended(Failed):
    """A server has ended before it listened."""


class Programs:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()

    def find(self, name):
        path = self.directory / name
        return str(path) if path.exists() else shutil.which(name) if name in ("node", "haproxy") else None

    def certificate(self):
        """A certificate of P-256 that signs itself, and its key, in one file."""
        path = self.directory / "certificate.pem"
        if not path.exists():
            made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-noenc", "-subj", "/CN=localhost", "-days", "3650", "-keyout", "-"], check=True, capture_output=True)
            path.write_bytes(made.stdout)
        return path

    def those_there(self, table):
        return [name for name, (_, command) in table.items() if self.find(command[0])]

    def missing(self, table):
        return [name for name, (_, command) in table.items() if not self.find(command[0])]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pin(cores):
    def prepare():
        os.sched_setaffinity(0, cores)
    return prepare if cores else None


def start(command, cores=None, **options):
    """A child that leads a process group, which kill_group() ends whole; on `cores`. It dies if we do."""
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return subprocess.Popen([*guard, *command], start_new_session=True, preexec_fn=pin(cores), **options)


def kill_group(process):
    """Ends a child of start() and what that has started, and takes leave of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def output(process, timeout, name):
    """What a child of start() prints, when it has ended well; in any case it has ended then."""
    return both_outputs(process, timeout, name)[0]


def both_outputs(process, timeout, name):
    """The same, and what it has said on its standard error."""
    try:
        out, wrong = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{name} does not end") from expired
    finally:
        kill_group(process)
    if process.returncode != 0:
        said = (wrong or out or "").strip().split("\n")
        raise Failed("; ".join(said[-3:]) if said[0] else f"{name} ended with {process.returncode}")
    return out, wrong


def listeners(port):
    """The sockets of anybody that listen on this port, as inodes."""
    socket_of = re.compile(rf"^\s*\d+: \w+:{port:04X} \w+:0000 0A \S+ \S+ \S+\s+\d+\s+\d+\s+(\d+)", re.M)
    tables = (pathlib.Path("/proc/net", name) for name in ("tcp", "tcp6"))
    return {inode for table in tables if table.exists() for inode in socket_of.findall(table.read_text())}


def children(pid):
    """Its child processes; none, if it has just ended."""
    found = []
    for file in pathlib.Path("/proc", str(pid), "task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += file.read_text().split()
    return found


def sockets(pid):
    """Those of a process and of its children, as inodes."""
    found = set()
    for file in pathlib.Path("/proc", str(pid), "fd").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(file)))
    return found.union(*(sockets(child) for child in children(pid)))


class Server:
    """A server while it runs: with Server(...) as s: s.port, s.pid"""

    TRIES = 5  # somebody else may take a port between our look and the server's
    PATIENCE = 30  # seconds that it may take to end

    def __init__(self, programs, command, cores=None, target=0, before=(), environment=None):
        needs_certificate = "{certificate}" in command or any("haproxy_tls" in word for word in command)
        self.certificate = str(programs.certificate()) if needs_certificate else ""
        self.name, self.command, self.cores, self.target = command[0], command, cores, target
        self.before, self.environment = before, environment or {}
        self.program = programs.find(self.name)
        if self.program is None:
            raise Failed(f"{self.name} is not there")
        self.told = b""

    def __enter__(self):
        for attempt in range(self.TRIES):
            self.begin(free_port())
            try:
                self.wait_until_it_listens()
                return self
            except BaseException as problem:
                self.stop()
                if not isinstance(problem, Ended) or attempt + 1 == self.TRIES:
                    raise

    def begin(self, port):
        self.port, self.stopped = port, False
        self.process = start([*self.before, self.program, *self.words()], self.cores, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "PORT": str(port),
                "TARGET": str(self.target), "CERTIFICATE": self.certificate, **self.environment})
        self.pid = self.process.pid

    def words(self):
        return [word.format(port=self.port, target=self.target, certificate=self.certificate) for word in self.command[1:]]

    def wait_until_it_listens(self):
        for _ in range(3000):
            if self.process.poll() is not None:
                raise Ended(f"{self.name} ended: {self.process.stderr.read().decode(errors='replace').strip()}")
            if listeners(self.port) & sockets(self.pid):
                return
            time.sleep(0.02)
        raise Failed(f"{self.name} does not listen")

    def __exit__(self, *_):
        self.stop()

    def own_pid(self):
        """The server itself, where it was started by strace."""
        found = children(self.pid)
        return int(found[0]) if found else self.pid

    def stop(self, pid=None):
        """Asks it, or the process `pid` of it, to end; and sees to it that nothing of it is left."""
        if self.stopped:
            return
        try:
            if self.process.returncode is None:
                os.kill(pid or self.pid, signal.SIGTERM)
                self.told = self.process.communicate(timeout=self.PATIENCE)[1]
        except (subprocess.TimeoutExpired, ProcessLookupError):
            pass
        finally:
            self.stopped = True
            kill_group(self.process)

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Load:
    """The load generator while it runs."""

    def __init__(self, programs, mode, server, cores=None, program="load", **options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        pid = [] if server.pid is None else ["--server", str(server.pid)]
        self.process = start([programs.find(program), mode, "--port", str(server.port), *pid, *words], cores,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, timeout=120):
        return json.loads(output(self.process, timeout, "the load generator").strip().split("\n")[-1])

    def wait_ready(self, timeout=120):
        """For idle: every connection is there."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise Failed("the connections are not there in time")
        if self.process.stdout.readline() != "ready\n":
            raise Failed(self.process.stderr.read().strip())


def end_on_sigterm():
    """As by Ctrl-C: whatever was started is ended first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def run_load(programs, mode, server, cores=None, **options):
    return Load(programs, mode, server, cores, **options).result()
