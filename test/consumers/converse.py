#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Speaks with the echo server of README.md: converse.py <program>

Its port is fixed, so it is run where nobody else has the port: in a network namespace of its own.
"""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time

PORT = 7777
PATIENCE = 30  # seconds; a slow machine is no failure


def private_network():
    """The command that begins a private network namespace, or None where the system refuses it."""
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
                return command
        except FileNotFoundError:
            pass
    return None


def bring_loopback_up():
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags, = struct.unpack("16xh14x", fcntl.ioctl(any_socket, siocgifflags, request))
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sh14x", b"lo", flags | iff_up))


def connect(server):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("localhost", PORT), PATIENCE)
        except ConnectionRefusedError:
            # It has not begun to listen. There is nothing to wait for but the port itself.
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def converse(program):
    server = subprocess.Popen([program], stdin=subprocess.DEVNULL)
    try:
        # Short enough for the buffers on the way, so that nobody waits for the other one to read.
        message = bytes(range(250)) * 40
        with connect(server) as peer:
            peer.sendall(message)
            peer.shutdown(socket.SHUT_WR)
            with peer.makefile("rb") as stream:
                answer = stream.read()
        if answer != message:
            sys.exit(f"{len(message)} bytes were sent, and {len(answer)} came back, or others")
        server.send_signal(signal.SIGTERM)
        status = server.wait(PATIENCE)
        if status != 0:
            sys.exit(f"after SIGTERM the server ended with {status}")
    finally:
        server.kill()
        server.wait()
    print("the echo server answered, and ended when it was told to")


def main(program, inside=None):
    if inside:
        bring_loopback_up()
        converse(program)
        return
    network = private_network()
    if network:
        os.execvp(network[0], [*network, sys.executable, "-B", __file__, program, "inside"])
    print(f"built, but not run: this system refuses a network namespace, and port {PORT} may not be ours to take")


if __name__ == "__main__":
    main(*sys.argv[1:])
