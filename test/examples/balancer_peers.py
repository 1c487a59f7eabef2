# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The example balancer with its page, and backends for it."""

import contextlib
import re
import signal
import socket
import struct
import threading

import harness
from harness import Server, check

NEVER = "1000000"  # units: not during a test


def name_with_all(conn, name):
    """Read to the FIN, answer with the name and all of it: a client has to half-close."""
    data = harness.read_all(conn)
    if data:
        conn.sendall(name + b":" + data)


class Backend:
    """Runs `serve(connection, name)` for each connection, in a thread of its own; checks of the port are connections, too."""

    def __init__(self, name=b"", serve=name_with_all, port=0, accepts=True):
        self.name, self.serve = name, serve
        self.accepted = 0
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(("127.0.0.1", port))
        self.port = self.listening.getsockname()[1]
        self.at = f"127.0.0.1:{self.port}"
        self.listening.listen(100)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        if accepts:
            self.accept()

    def accept(self):
        self.thread.start()

    def queued(self):
        """How many have connected that were not accepted."""
        return struct.unpack_from("I", self.listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]

    def _accept(self):
        while True:
            try:
                conn, _ = self.listening.accept()
            except OSError:
                return
            self.accepted += 1
            conn.settimeout(harness.time_left())
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn, contextlib.suppress(OSError):
            self.serve(conn, self.name)

    def stop(self):
        """Whoever connects from now on is refused."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.thread.join(harness.time_left())
        self.listening.close()


class Balancer(Server):
    """With a page of statistics; unless told otherwise, nothing but clients finds out about backends after the first check."""

    def __init__(self, *arguments, interval=NEVER):
        super().__init__("balancer", "--stats-port", "0", "--interval", interval, *arguments)
        self.page_port = int(re.search(rb"^statistics on 127\.0\.0\.1:(\d+)$", b"".join(self.said), re.M).group(1))

    def page(self):
        head, _, body = ask_page(self.page_port, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").partition(b"\r\n\r\n")
        check(head.startswith(b"HTTP/1.1 200 OK\r\n"), f"the page began with {head!r}")
        return body.decode()

    def clients(self):
        line = re.match(r"clients: (\d+) active, (\d+) accepted, (\d+) shed, (\d+) without a backend\n\n", self.page())
        return dict(zip(("active", "accepted", "shed", "without"), map(int, line.groups())))

    def backends(self):
        """{name: {column: value}}"""
        columns, *rows = [line.split() for line in self.page().splitlines()[2:]]
        return {row[0]: {column: int(value) if value.isdigit() else value for column, value in zip(columns, row)} for row in rows}

    def column(self, backend, name):
        return self.backends().get(backend.at, {}).get(name)

    def wait_for(self, backend, name, value):
        harness.wait_until(lambda: self.column(backend, name) == value, f"{name} {value} of {backend.name}")

    def ask(self, data=b"x"):
        with self.connect() as peer:
            return harness.exchange(peer, data)

    def reload(self):
        count = len(self.complained)
        self.signal(signal.SIGHUP)
        harness.wait_until(lambda: any(re.match(rb"(not )?reloaded|nothing to reload", line) for line in self.complained[count:]),
                           "the end of the reload")


def ask_page(port, data):
    with socket.create_connection(("127.0.0.1", port), harness.time_left()) as peer:
        peer.sendall(data)
        return harness.read_all(peer)


@contextlib.contextmanager
def balanced(*names, serve=name_with_all, options=(), **more):
    """(balancer, its backends), when each backend was checked once."""
    backends = [Backend(name, serve) for name in names]
    server = Balancer(*options, *(each.at for each in backends), **more)
    for each in backends:
        harness.wait_until(lambda each=each: each.accepted, "the first check")
    yield server, backends
    for each in backends:
        each.stop()


def fill_queue(listening):
    """Take all places of the accept queue: the kernel drops further SYNs. Returns what has to be kept."""
    held = []
    while True:
        peer = socket.socket()
        peer.settimeout(0.2)
        held.append(peer)
        try:
            peer.connect(listening.getsockname())
        except socket.timeout:
            return held
