#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What a client sees through balancer, HAProxy (mode tcp) and nginx (stream) when a backend is stopped, broken off, black-holed
or half-closes, and when the list is read again: a table in Markdown. By hand, not in the tests:

    python3 examples/balancer/compare.py build/examples
"""

import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "examples"))
import harness  # pylint: disable=wrong-import-position

CONNECT = 1  # seconds, the time of all three for an attempt to connect
PATIENCE = 8  # seconds, after which a client has waited in vain
MUCH = 8 << 20

HAPROXY = """
global
    nbthread 1
    maxconn 100
defaults
    mode tcp
    timeout connect {connect}s
    timeout client 60s
    timeout server 60s
    option redispatch
listen tested
    bind 127.0.0.1:{port}
    balance roundrobin
{servers}
"""

NGINX = """
{load}
daemon off;
error_log stderr emerg;
pid {folder}/pid;
worker_processes 1;
events {{ worker_connections 100; }}
stream {{
    upstream tested {{
{servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        proxy_pass tested;
        proxy_connect_timeout {connect}s;
        proxy_timeout 60s;
        {more}
    }}
}}
"""


class Proxy:
    """One of the programs, in front of backends. `stop_signal` asks it to let its connections finish."""

    def __init__(self, folder, port, ports):
        self.folder, self.port = pathlib.Path(folder), port
        self.configure(ports)
        self.process = subprocess.Popen(list(map(str, self.command())), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(lambda: harness.tcp_listeners(port), f"the listener of {self.label}")

    def reload(self, ports):
        self.configure(ports)
        self.process.send_signal(self.reload_signal)

    def end(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
                return


class Balancer(Proxy):
    label = "balancer"
    reload_signal, stop_signal = signal.SIGHUP, signal.SIGTERM

    def configure(self, ports):
        (self.folder / "backends").write_text("".join(f"127.0.0.1:{port}\n" for port in ports), encoding="ascii")

    def command(self):
        return [harness.example("balancer"), "--quiet", "--address", "127.0.0.1", "--port", self.port, "--connect", CONNECT,
            "--interval", 3600, "--backends", self.folder / "backends"]


class Haproxy(Proxy):
    label = "HAProxy"
    reload_signal, stop_signal = signal.SIGUSR2, signal.SIGUSR1

    def configure(self, ports):
        servers = "\n".join(f"    server s{port} 127.0.0.1:{port}" for port in ports)
        (self.folder / "cfg").write_text(HAPROXY.format(connect=CONNECT, port=self.port, servers=servers), encoding="ascii")

    def command(self):
        return [harness.tool("haproxy"), "-W", "-db", "-f", self.folder / "cfg"]


class Nginx(Proxy):
    label = "nginx"
    more = ""
    reload_signal, stop_signal = signal.SIGHUP, signal.SIGQUIT

    def configure(self, ports):
        module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
        load = f"load_module {module};" if module.exists() else ""
        servers = "\n".join(f"        server 127.0.0.1:{port};" for port in ports)
        (self.folder / "cfg").write_text(NGINX.format(load=load, folder=self.folder, servers=servers, port=self.port,
            connect=CONNECT, more=self.more), encoding="ascii")

    def command(self):
        return [harness.tool("nginx"), "-e", "stderr", "-p", self.folder, "-c", self.folder / "cfg"]


class HalfClosingNginx(Nginx):
    label = "nginx, proxy_half_close on"
    more = "proxy_half_close on;"


class Backend:
    """Calls `serve(connection, name)` for each connection that says something."""

    def __init__(self, name, serve):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.name, self.serve, self.accepted = name, serve, 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listening.accept()
                self.accepted += 1
                conn.settimeout(PATIENCE)
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn, contextlib.suppress(OSError):
            if conn.recv(1, socket.MSG_PEEK):
                self.serve(conn, self.name)

    def stop(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


class Client:
    """Notes in words what a client sees."""

    def __init__(self, port):
        self.began = time.monotonic()
        self.peer = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def to_the_end(self):
        got = b""
        try:
            while part := self.peer.recv(1 << 16):
                got += part
            end = "FIN"
        except socket.timeout:
            end = f"nothing for {PATIENCE} s"
        except ConnectionResetError:
            end = "RST"
        return got, end

    def line(self):
        """'answer of B', and when."""
        try:
            got = self.peer.recv(100)
            what = f"answer of {got.decode()}" if got else "FIN, no answer"
        except socket.timeout:
            return f"nothing for {PATIENCE} s"
        except ConnectionResetError:
            what = "RST, no answer"
        waited = time.monotonic() - self.began
        return what + (" at once" if waited < CONNECT / 2 else f" after {waited:.0f} s")

    def close(self):
        self.peer.close()


def say_name(conn, name):
    """Answer each line, as long as the client sends some."""
    while conn.recv(1000):
        conn.sendall(name)


@contextlib.contextmanager
def setting(kind, *serve):
    """(proxy, its backends): one for each function."""
    backends = [Backend(name.encode(), function) for name, function in zip("AB", serve)]
    with tempfile.TemporaryDirectory() as folder, harness.reserved_port() as port:
        proxy = kind(folder, port, [each.port for each in backends])
        # Its first check is over, and there is no second one: clients alone find out what has become of a backend. The
        # others are configured to make none, and nginx cannot.
        if kind is Balancer:
            harness.wait_until(lambda: all(each.accepted for each in backends), "the first checks")
        yield proxy, backends
        proxy.end()
        for each in backends:
            each.stop()


def ask_all(port, count=4):
    """What clients see that come one after the other: all of it."""
    seen = []
    for _ in range(count):
        client = Client(port)
        with contextlib.suppress(OSError):
            client.peer.sendall(b"hello\n")
        seen.append(client.line())
        client.close()
    return "; ".join(f"{sum(each == one for each in seen)} of {count}: {one}" for one in sorted(set(seen)))


def stopped_before_connect(kind):
    """one of two backends is stopped (refuses)"""
    with setting(kind, say_name, say_name) as (proxy, (one, _)):
        one.stop()
        return ask_all(proxy.port)


def black_hole(kind):
    """one of two backends is a black hole (drops SYN)"""
    with setting(kind, say_name, say_name) as (proxy, (one, _)):
        # A full accept queue drops SYNs: this one gets a listener that nobody accepts from.
        one.stop()
        with socket.socket() as hole:
            hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            hole.bind(("127.0.0.1", one.port))
            hole.listen(0)
            held = []
            with contextlib.suppress(socket.timeout):
                while True:
                    held.append(socket.socket())
                    held[-1].settimeout(0.3)
                    held[-1].connect(("127.0.0.1", one.port))
            result = ask_all(proxy.port)
            for each in held:
                each.close()
            return result


def all_stopped(kind):
    """all backends are stopped"""
    with setting(kind, say_name) as (proxy, (one,)):
        one.stop()
        return ask_all(proxy.port, 1)


def part_of_an_answer(end):
    def serve(conn, _):
        conn.recv(1000)
        conn.sendall(b"h" * 1000)
        time.sleep(0.3)  # so that it is passed on before the end comes
        end(conn)
    return serve


def first_and_rest(kind, serve):
    with setting(kind, serve) as (proxy, _):
        client = Client(proxy.port)
        client.peer.sendall(b"hello\n")
        got, end = client.to_the_end()
        return f"{len(got)} bytes, {end}"


def killed_in_an_answer(kind):
    """a backend is killed in the middle of an answer (RST)"""
    return first_and_rest(kind, part_of_an_answer(harness.reset))


def finished_in_an_answer(kind):
    """a backend ends in the middle of an answer (FIN)"""
    return first_and_rest(kind, part_of_an_answer(socket.socket.close))


def client_half_closes(kind):
    """the client half-closes, the answer comes 0.5 s later"""
    def serve(conn, _):
        size = len(harness.read_all(conn))
        time.sleep(0.5)
        conn.sendall(b"a" * MUCH)
        sizes.append(size)

    sizes = []
    with setting(kind, serve) as (proxy, _):
        client = Client(proxy.port)
        client.peer.sendall(b"q" * 100_000)
        client.peer.shutdown(socket.SHUT_WR)
        got, end = client.to_the_end()
        return f"{'whole answer' if len(got) == MUCH else f'{len(got)} bytes of the answer'}, {end}"


def backend_half_closes(kind):
    """the backend half-closes, the client sends 100 kB 0.5 s later"""
    def serve(conn, _):
        conn.recv(6)
        conn.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while part := conn.recv(1 << 16):
                received[0] += len(part)
        ended.set()

    received, ended = [0], threading.Event()
    with setting(kind, serve) as (proxy, _):
        client = Client(proxy.port)
        client.peer.sendall(b"hello\n")
        _, end = client.to_the_end()
        time.sleep(0.5)
        with contextlib.suppress(OSError):
            client.peer.sendall(b"q" * 100_000)
            client.peer.shutdown(socket.SHUT_WR)
        ended.wait(PATIENCE)
        return f"{end}; the backend gets {'all' if received[0] == 100_000 else f'{received[0]} bytes'}"


def client_resets(kind):
    """the client resets: what the backend sees"""
    def serve(conn, _):
        conn.recv(6)
        try:
            seen.append("FIN" if not conn.recv(1) else "data")
        except ConnectionResetError:
            seen.append("RST")
        except socket.timeout:
            seen.append("nothing")

    seen = []
    with setting(kind, serve) as (proxy, _):
        client = Client(proxy.port)
        client.peer.sendall(b"hello\n")
        time.sleep(0.3)
        harness.reset(client.peer)
        harness.wait_until(lambda: seen, "what the backend sees")
        return seen[0]


def across(kind, act):
    """A connection that talks before and after `act(proxy, other backend)`."""
    with setting(kind, say_name, say_name) as (proxy, backends):
        client = Client(proxy.port)
        client.peer.sendall(b"hello\n")
        first = client.peer.recv(100)
        one, other = backends if first == b"A" else backends[::-1]
        result = act(proxy, one, other)
        time.sleep(0.5)
        client.began = time.monotonic()
        try:
            client.peer.sendall(b"hello again\n")
            seen = client.line()
        except OSError:
            seen = "RST"
        return f"old connection: {seen.replace(one.name.decode(), 'the same', 1) if 'answer of' in seen else seen}{result}"


def reload_without_it(kind):
    """the list is read again, without the backend of a connection that goes on"""
    def act(proxy, _, other):
        proxy.reload([other.port])
        until = time.monotonic() + PATIENCE
        wanted = f"4 of 4: answer of {other.name.decode()} at once"
        while (seen := ask_all(proxy.port)) != wanted and time.monotonic() < until:
            pass
        return "; new ones: the other" if seen == wanted else f"; new ones: {seen}"
    return across(kind, act)


def gentle_stop(kind):
    """it is asked to stop gently while a connection goes on"""
    def act(proxy, _one, _other):
        proxy.process.send_signal(proxy.stop_signal)
        harness.wait_until(lambda: not harness.tcp_listeners(proxy.port), "the end of the listener")
        return ""
    return across(kind, act)


def versions():
    haproxy = subprocess.run([harness.tool("haproxy"), "-v"], stdout=subprocess.PIPE, check=True).stdout.decode()
    nginx = subprocess.run([harness.tool("nginx"), "-v"], stderr=subprocess.PIPE, check=True).stderr.decode()
    return f"HAProxy {re.search('version ([^ ]+)', haproxy).group(1)}, nginx {re.search('nginx/([^ ]+)', nginx).group(1).strip()}"


CASES = (stopped_before_connect, black_hole, all_stopped, killed_in_an_answer, finished_in_an_answer, client_half_closes,
    backend_half_closes, client_resets, reload_without_it, gentle_stop)


def main():
    kinds = (Balancer, Haproxy, Nginx, HalfClosingNginx)
    print(versions())
    print("| |" + "|".join(f" {kind.label} " for kind in kinds) + "|")
    print("|---" * (len(kinds) + 1) + "|")
    for function in CASES:
        if sys.argv[2:] and function.__name__ not in sys.argv[2:]:
            continue
        cells = []
        for kind in kinds:
            harness._deadline = time.monotonic() + harness.PATIENCE  # pylint: disable=protected-access
            try:
                cells.append(function(kind))
            except (harness.Failure, OSError) as error:
                cells.append(f"FAILED: {error!r}")
        print(f"| {function.__doc__} | " + " | ".join(cells) + " |", flush=True)


main()
