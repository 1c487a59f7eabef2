#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What docs/en/guide/tutorial.md says of its programs: tutorial.py <directory of the programs>

Their port is fixed, so they are run where nobody else has the port: in a network namespace of their own.
"""

import array
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "consumers"))
import converse  # noqa: E402  pylint: disable=wrong-import-position

SKIPPED = 77


def check_equal(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, not {wanted!r}")


def ask(programs, *questions):
    """What the client prints, and says of the end."""
    client = subprocess.run([programs / "ask", *questions], capture_output=True, text=True, timeout=converse.PATIENCE, check=False)
    return client.stdout, client.stderr


def wait_delivered(peer):
    """Until the server's kernel has all that was sent."""
    outstanding = array.array("i", [1])
    while outstanding[0]:
        fcntl.ioctl(peer, termios.TIOCOUTQ, outstanding)
        time.sleep(0.001)


def drain(server):
    """A silent client gets FIN, and a question that has arrived an answer."""
    with converse.connect(server) as silent, converse.connect(server) as asks:
        asks.sendall(b"carol\n")
        asks.shutdown(socket.SHUT_WR)
        wait_delivered(asks)
        server.send_signal(signal.SIGTERM)
        check_equal(silent.recv(1), b"", "what a silent client gets")
        silent.close()
        with asks.makefile("rb") as stream:
            check_equal(stream.read(), b"hello, carol\n", "what a client gets that has asked")


def run(programs):
    converse.converse(programs / "echo_server")
    answer, error = ask(programs, "you")
    check_equal((answer, error.startswith("ask: connect localhost:7777: "), error.endswith(": Connection refused\n")),
                ("", True, True), f"without a server: {error}")
    with subprocess.Popen([programs / "greeter"], stderr=subprocess.PIPE, text=True) as server:
        try:
            check_equal(server.stderr.readline(), "listening on [::]:7777\n", "the first line")
            check_equal(ask(programs, "you", "me"), ("hello, you\nhello, me\n", "closed: clean\n"), "the client")
            drain(server)
            lines = server.stderr.read().splitlines()
            check_equal(lines[-1], "duet: drained: 2 finished, 0 aborted", "the last line")
            check_equal([": clean, by the " in line for line in lines[:-1]], [True] * 3, "\n".join(lines))
            check_equal(server.wait(converse.PATIENCE), 0, "the status")
        finally:
            server.kill()


def main(programs, inside=None):
    if inside:
        converse.bring_loopback_up()
        run(pathlib.Path(programs))
        return
    network = converse.private_network()
    if not network:
        print("this system refuses a network namespace, and port 7777 may not be ours to take")
        sys.exit(SKIPPED)
    os.execvp(network[0], [*network, sys.executable, "-B", __file__, programs, "inside"])


if __name__ == "__main__":
    main(*sys.argv[1:])
