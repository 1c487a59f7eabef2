#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""metrics: promtool and a real Prometheus read what it tells, and the example dashboard asks for what is there."""

import json
import os
import pathlib
import re
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import Program, Server, case, check, check_equal, wait_until

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "metrics"


class MetricsServer(Server):
    def __init__(self):
        super().__init__("metrics", "--metrics-port", 0)
        endpoint = self.expect(r"^metrics on (.*)$").group(1)
        self.metrics_port = int(endpoint.rpartition(":")[2])

    def listeners(self):
        return super().listeners() + harness.tcp_listeners(self.metrics_port)

    def ask(self, path, method="GET"):
        """(status, headers, body)"""
        request = urllib.request.Request(f"http://127.0.0.1:{self.metrics_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=harness.time_left()) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def page(self):
        status, headers, body = self.ask("/metrics")
        check_equal(status, 200, "status")
        check_equal(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8", "type")
        return body

    def value(self, sample):
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.page(), re.M)
        check(found, f"{sample} is not on the page")
        return float(found.group(1))

    def wait_for(self, sample, value):
        wait_until(lambda: self.value(sample) == value, f"{sample} {value}")

    def exchange(self, data):
        with self.connect() as peer:
            return harness.exchange(peer, data)


class Prometheus(Program):
    """A real one, which scrapes a server."""

    def __init__(self, server, folder):
        config = pathlib.Path(folder, "prometheus.yml")
        text = (FOLDER / "prometheus.yml").read_text(encoding="ascii")
        config.write_text(text.replace("localhost:7778", f"127.0.0.1:{server.metrics_port}").replace("5s", "1s"), encoding="ascii")
        super().__init__(harness.tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0", "--log.level=warn")
        ports = []
        wait_until(lambda: self.process.poll() is not None or ports.extend(self._listens()) or ports, "its listener")
        check(ports, "Prometheus has ended")
        self.url = f"http://127.0.0.1:{ports[0]}"

    def _listens(self):
        """Ports; it does not say which one the system chose."""
        inodes = set()
        for link in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                pass  # closed meanwhile
        with open("/proc/net/tcp", encoding="ascii") as lines:
            fields = [line.split() for line in lines][1:]
        return [int(row[1].rpartition(":")[2], 16) for row in fields if row[3] == "0A" and row[9] in inodes]

    def query(self, expression):
        """The values, by their labels; nothing while it does not answer yet."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression}),
                    timeout=harness.time_left()) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 503:
                    return {}  # it is starting
                raise harness.Failure(f"{expression}: {error.read().decode()}") from error
        check_equal(answer["status"], "success", expression)
        return {frozenset(row["metric"].items()): float(row["value"][1]) for row in answer["data"]["result"]}


def dashboard_expressions():
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@case
def command_line():
    harness.check_command_line("metrics", "--port", "--metrics-port")
    harness.check_port_in_use("metrics")


@case
def it_counts_what_its_clients_did():
    server = MetricsServer()
    check_equal(server.exchange(b"one\n\nthree\n"), b"3\n0\n5\n", "answer")
    server.wait_for('duet_sessions_ended_total{server="lines",reason="clean"}', 1)
    with server.connect() as peer:
        peer.sendall(b"four\n")
        check_equal(harness.read_lines(peer, 1), [b"4"], "answer")
        check_equal(server.value('duet_sessions_active{server="lines"}'), 1, "sessions")
        harness.reset(peer)
    server.wait_for('duet_sessions_ended_total{server="lines",reason="peer_reset"}', 1)
    for sample, value in (
            ('duet_sessions_accepted_total{server="lines"}', 2),
            ('duet_received_bytes_total{server="lines"}', 16),
            ('duet_sent_bytes_total{server="lines"}', 8),
            ('duet_session_duration_seconds_count{server="lines"}', 2),
            ('duet_session_received_bytes_bucket{server="lines",le="64"}', 2),
            ('duet_session_round_trip_seconds_bucket{server="lines",le="+Inf"}', 2),
            ('duet_accept_queue_limit{server="lines"}', min(4096, int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text("ascii")))),
            ("lines_answered_total", 4)):
        check_equal(server.value(sample), value, sample)
    server.stop()


@case
def promtool_finds_nothing():
    server = MetricsServer()
    server.exchange(b"one\n")
    check_equal(harness.run_tool(harness.tool("promtool"), "check", "metrics", data=server.page().encode()), b"", "what promtool says")
    server.stop()


@case
def a_real_prometheus_reads_it():
    server = MetricsServer()
    server.exchange(b"one\n")
    with tempfile.TemporaryDirectory() as folder:
        prometheus = Prometheus(server, folder)
        name = 'duet_sessions_ended_total{server="lines",reason="clean"}'
        wait_until(lambda: list(prometheus.query(name).values()) == [1], name)
        check_equal(list(prometheus.query("up").values()), [1], "up")
        check_equal(list(prometheus.query('duet_session_sent_bytes_bucket{le="64"}').values()), [1], "a bucket")
        for expression in dashboard_expressions():
            prometheus.query(expression.replace("$__rate_interval", "1m"))  # it must be understood
        prometheus.kill()
    server.stop()


@case
def the_dashboard_asks_for_what_is_there():
    server = MetricsServer()
    names = set(re.findall(r"^([a-z_]+)[ {]", server.page(), re.M))
    for expression in dashboard_expressions():
        asked = re.findall(r"duet_[a-z_]+", expression)
        check(asked, f"{expression} asks for nothing of duet's")
        check_equal(set(asked) - names, set(), expression)
    server.stop()


@case
def what_is_no_request_is_answered_and_ended():
    server = MetricsServer()
    for request, status in ((b"GET /nothing HTTP/1.1\r\n\r\n", b"404"), (b"PUT /metrics HTTP/1.1\r\n\r\n", b"405"),
            (b"GET /ready?x=y HTTP/1.0\r\n\r\n", b"200"), (b"nonsense\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"400"), (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000, b"400")):
        with harness.connect(server.metrics_port) as peer:
            check_equal(harness.exchange(peer, request).split(b" ")[1], status, f"status of {request[:40]!r}")
    with harness.connect(server.metrics_port) as peer:  # two requests that come together, then HEAD
        answer = harness.exchange(peer, 2 * b"GET /ready HTTP/1.1\r\n\r\n" + b"HEAD /ready HTTP/1.1\r\n\r\n")
        check_equal(answer.count(b"HTTP/1.1 200 OK"), 3, "answers")
        check_equal(answer.count(b"yes\n"), 2, "bodies")
    server.stop()


@case
def it_is_not_ready_any_more_once_it_drains():
    server = MetricsServer()
    check_equal(server.ask("/ready")[::2], (200, "yes\n"), "answer")
    with harness.connect(server.metrics_port) as observer, server.connect() as client:
        client.sendall(b"one\ntw")
        check_equal(harness.read_lines(client, 1), [b"3"], "answer")
        observer.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
        check(b"yes\n" in observer.recv(4096), "it is ready")
        observer.sendall(b"GET /rea")
        server.begin_drain()
        observer.sendall(b"dy HTTP/1.1\r\n\r\n")
        answer = harness.read_all(observer)
        check(b" 503 " in answer and b"Connection: close" in answer, f"it answers {answer!r}")
        client.sendall(b"o\n")
        check_equal(harness.read_all(client), b"3\n", "answer to the request that had begun")
    server.finish_drain(2)


@case
def chaos_hurts_nobody():
    server = MetricsServer()
    silent = [harness.connect(port) for port in (server.port, server.metrics_port) for _ in range(8)]
    for number, peer in enumerate(silent):
        peer.sendall(b"GET /metr"[:number])

    def misbehave(number):
        # Ten on the page, and the eight that are silent: with the honest one they are fewer than its limit, 20.
        port = server.metrics_port if number % 6 == 1 else server.port
        with harness.connect(port) as peer:
            peer.sendall(os.urandom(200) + b"\n" if number % 3 else b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
            if number % 5 < 2:
                harness.reset(peer)
            elif number % 5 == 2:
                peer.shutdown(socket.SHUT_WR)

    def honest():
        check_equal(server.exchange(b"one\n"), b"3\n", "answer to an honest client")
        server.page()

    harness.in_parallel(misbehave, 60, honest)
    honest()
    for peer in silent:
        peer.close()
    wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


if __name__ == "__main__":
    harness.main()
