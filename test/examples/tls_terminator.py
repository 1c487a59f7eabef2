#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""tls_terminator: curl and a web server that speaks no TLS; half-close in either order; nobody there."""

import pathlib
import random
import ssl
import tempfile

import harness
import tls_files
from harness import Program, Server, case, check, check_equal

BIG = random.Random(6).randbytes(4 << 20)


def terminator(files, target):
    return Server("tls_terminator", *files.options(), "--to-port", target)


@case
def command_line():
    harness.check_command_line("tls_terminator", "--port", "--to-host", "--to-port", "--idle", "--certificate", "--key")


@case
def curl_and_pythons_http_server():
    with tls_files.files() as files, tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "big").write_bytes(BIG)
        site = Program(harness.tool("python3"), "-u", "-m", "http.server", "--directory", folder, 0)
        port = site.expect(r"^Serving HTTP on .* port ([0-9]+)").group(1)
        server = terminator(files, port)
        url = f"https://localhost:{server.port}/"
        for version in ("1.2", "1.3"):
            curl = ("curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", files.authority[0],
                    f"--tlsv{version}", "--tls-max", version)
            check_equal(harness.run_tool(*curl, url + "big"), BIG, f"what curl has fetched over {version}")
            check_equal(harness.run_tool(*curl, "--output", "/dev/null", "--write-out", "%{http_code}", url + "none"),
                        b"404", "the status that curl has got")
        server.stop()
        site.kill()


@case
def a_half_close_goes_through():
    with tls_files.files() as files, harness.listener() as (listening, port):
        server = terminator(files, port)
        context = files.client(ssl.TLSVersion.TLSv1_3)
        # Python's unwrap() wants no more data behind its close_notify, so OpenSSL is asked for each step.
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(into, out, server_hostname="localhost")
        with server.connect() as below:
            def step(function):
                while True:
                    try:
                        return function()
                    except ssl.SSLWantReadError:
                        below.sendall(out.read())
                        part = below.recv(65536)
                        into.write(part) if part else into.write_eof()
                    finally:
                        below.sendall(out.read())

            step(tls.do_handshake)
            target, _ = listening.accept()
            step(lambda: tls.write(b"the question"))
            try:
                tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            below.sendall(out.read())  # close_notify, and the TCP connection stays open
            check_equal(harness.read_all(target), b"the question", "what the target has read to the FIN")
            target.sendall(b"the answer")
            target.close()
            check_equal(step(lambda: tls.read(100)), b"the answer", "what came after the half-close")
            try:
                check(False, f"more than the answer: {step(lambda: tls.read(100))!r}")
            except ssl.SSLZeroReturnError:
                pass  # close_notify
        server.expect_error(r"12 bytes there, 10 back; client clean, target clean")
        server.stop()


@case
def nobody_is_there():
    with tls_files.files() as files, harness.reserved_port() as port:
        server = terminator(files, port)
        peer = files.client().wrap_socket(server.connect(), server_hostname="localhost", suppress_ragged_eofs=False)
        try:
            rest = peer.recv(1)
            check(False, f"no failure, but {rest!r}")
        except OSError:
            pass  # it was reset: Python calls that an end in violation of protocol, or a reset
        server.expect_error(r"connect localhost:\d+: .*Connection refused")
        server.stop()


harness.main()
