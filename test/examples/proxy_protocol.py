#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""port_forwarder between programs that speak the PROXY protocol: HAProxy in front and behind, curl in front."""

import contextlib
import pathlib
import tempfile

import harness
from harness import Program, Server, case, check_equal

CLIENT = "127.0.0.77"  # an address of its own, on the loopback interface
CURL = ("curl", "--silent", "--show-error", "--noproxy", "*")

# It answers each request with who has asked for it, and where, as far as it knows.
BEHIND = """
    mode http
    http-request return status 200 content-type text/plain lf-string "%[src] to %[dst]:%[dst_port]"
"""


@contextlib.contextmanager
def haproxy(listen, text):
    """HAProxy with one section; `listen` are the words of its bind line. Its port."""
    program = harness.tool("haproxy")
    with tempfile.TemporaryDirectory() as folder, harness.reserved_port() as port:
        file = pathlib.Path(folder, "haproxy.cfg")
        file.write_text("global\n    nbthread 1\n    maxconn 100\ndefaults\n    timeout connect 50s\n    timeout client 50s\n"
                        f"    timeout server 50s\nlisten tested\n    bind :::{port} v4v6 {listen}\n{text}\n", encoding="ascii")
        running = Program(program, "-db", "-f", file)
        harness.wait_until(lambda: harness.tcp_listeners(port) or running.process.poll() is not None, "HAProxy's listener")
        check_equal(running.process.poll(), None, f"the status of HAProxy, which said {running.errors!r}")
        yield port
        running.kill()


def in_front_of(port, words):
    return haproxy("", f"    mode tcp\n    server tested 127.0.0.1:{port} {words}")


def forwarder(port, *arguments):
    return Server("port_forwarder", "--to-host", "127.0.0.1", "--to-port", port, *arguments)


def ask(port, *words, host="127.0.0.1"):
    return harness.run_tool(*CURL, *words, f"http://{host}:{port}/").decode()


@case
def command_line():
    wrong = Program(harness.example("port_forwarder"), "--send-proxy", "v3")
    wrong.finish(1)
    check_equal(wrong.errors, "port_forwarder: --send-proxy cannot be 'v3'\n", "what it said")
    wrong = Program(harness.example("port_forwarder"), "--accept-proxy", "10.0.0.1/8")
    wrong.finish(1)
    check_equal(wrong.errors, "port_forwarder: proxy_networks 10.0.0.1/8: Invalid argument\n", "what it said")


@case
def haproxy_behind_is_told_of_the_client():
    with haproxy("accept-proxy", BEHIND) as behind:
        for version in ("v1", "v2"):
            server = forwarder(behind, "--send-proxy", version)
            check_equal(ask(server.port, "--interface", CLIENT), f"{CLIENT} to 127.0.0.1:{server.port}", version)
            if pathlib.Path("/proc/net/if_inet6").exists():
                check_equal(ask(server.port, host="[::1]"), f"::1 to ::1:{server.port}", version + " for IPv6")
            server.stop()


@case
def haproxy_in_front_tells_of_the_client():
    options = ("send-proxy", "send-proxy-v2",
               "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority", "send-proxy-v2-ssl-cn")
    with haproxy("accept-proxy", BEHIND) as behind:
        for number, words in enumerate(options):
            server = forwarder(behind, "--accept-proxy", "127.0.0.0/8", "--send-proxy", "v1" if number % 2 else "v2")
            with in_front_of(server.port, words) as front:
                check_equal(ask(front, "--interface", CLIENT), f"{CLIENT} to 127.0.0.1:{front}", words)
                server.expect_error(rf"^{CLIENT}:[0-9]+: [0-9]+ bytes there")
            server.stop()


@case
def haproxy_checks_the_port():
    with harness.listener() as (listening, behind):
        for words in ("send-proxy", "send-proxy-v2"):
            server = forwarder(behind, "--accept-proxy", "127.0.0.0/8")
            with in_front_of(server.port, words + " check check-send-proxy inter 50ms fall 1 rise 1"):
                for _ in range(3):
                    one, _ = listening.accept()
                    one.close()
            server.stop()


@case
def curl_tells_of_itself():
    with haproxy("accept-proxy", BEHIND) as behind:
        server = forwarder(behind, "--accept-proxy", "127.0.0.0/8", "--send-proxy", "v2")
        check_equal(ask(server.port, "--haproxy-protocol", "--interface", CLIENT),
                    f"{CLIENT} to 127.0.0.1:{server.port}", "from curl")
        server.stop()


@case
def who_says_nothing_of_it_is_refused():
    with harness.reserved_port() as behind:
        server = forwarder(behind, "--accept-proxy", "127.0.0.0/8")
        with server.connect() as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            harness.check_reset(peer, "after a request without a header")
        server.stop()
        server = forwarder(behind, "--accept-proxy", "192.0.2.0/24")
        harness.check_refused(server.connect, "after a header of a stranger", b"PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\n")
        server.stop()


if __name__ == "__main__":
    harness.main()
