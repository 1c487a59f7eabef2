#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""tls_client: with servers of OpenSSL, GnuTLS, Python and stunnel; half-close; whom it believes and whom it does not."""

import contextlib
import ssl
import threading

import harness
import tls_files
from harness import Program, case, check, check_equal


def client(port, *options, authority=None):
    trust = ("--authorities", authority) if authority else ()
    return Program(harness.example("tls_client"), "--port", port, *trust, *options)


@contextlib.contextmanager
def openssl_server(files, *options, pair=None):
    """openssl s_server that reverses each line; its port."""
    with harness.reserved_port() as port:
        certificate, key = pair or files.server
        program = Program(harness.tool("openssl"), "s_server", "-rev", "-accept", port, "-cert", certificate, "-key", key,
                          *options)
        harness.wait_until(lambda: harness.tcp_listeners(port), "s_server's listener")
        yield port
        program.kill()


@case
def command_line():
    harness.check_command_line("tls_client", "--host", "--port", "--authorities", "--no-half-close", "--no-verify")


@case
def openssl_s_server():
    with tls_files.files() as files:
        for version in ("1.2", "1.3"):
            with openssl_server(files, f"-tls{version.replace('.', '_')}") as port:
                run = client(port, authority=files.authority[0])
                run.send(b"hello\n")
                run.end_input()
                check_equal(run.finish(), b"olleh\n", f"the answer over {version}")
                check(f"TLSv{version}" in run.errors and "CN=server, verified" in run.errors, f"it said {run.errors!r}")


@case
def gnutls_serv():
    tool = harness.tool("gnutls-serv")
    with tls_files.files() as files, harness.reserved_port() as port:
        serving = Program(tool, "--echo", "--port", port, "--x509certfile", files.server[0], "--x509keyfile",
                          files.server[1])
        harness.wait_until(lambda: harness.tcp_listeners(port), "gnutls-serv's listener")
        run = client(port, authority=files.authority[0])
        run.send(b"to GnuTLS\n")
        run.end_input()
        check_equal(run.finish(), b"to GnuTLS\n", "the answer")
        serving.kill()


@case
def stunnel_in_front_of_a_server_without_TLS():
    with tls_files.files() as files, harness.listener() as (listening, target):
        for version in ("1.2", "1.3"):
            with tls_files.stunnel(target, cert=files.server[0], key=files.server[1],
                                   sslVersion=f"TLSv{version}") as port:
                run = client(port, authority=files.authority[0])
                run.send(b"to stunnel\n")
                run.end_input()
                peer, _ = listening.accept()
                with peer:
                    check_equal(harness.read_all(peer), b"to stunnel\n", f"what arrives over {version}")
                    peer.sendall(b"from the server\n")
                check_equal(run.finish(), b"from the server\n", f"the answer over {version}")


@case
def pythons_server_answers_after_the_half_close():
    with tls_files.files() as files, harness.listener() as (listening, port):
        def serve():
            connection, _ = listening.accept()
            with files.acceptor().wrap_socket(connection, server_side=True) as peer:
                heard = harness.read_all(peer)  # to the client's close_notify
                peer.sendall(b"heard " + heard)
                with contextlib.suppress(OSError):
                    peer.unwrap()

        thread = threading.Thread(target=serve)
        thread.start()
        run = client(port, authority=files.authority[0])
        run.send(b"all of it")
        run.end_input()
        check_equal(run.finish(), b"heard all of it", "the answer")
        thread.join()


@case
def an_answer_that_is_cut_is_an_error():
    with tls_files.files() as files, harness.listener() as (listening, port):
        def serve():
            connection, _ = listening.accept()
            peer = files.acceptor().wrap_socket(connection, server_side=True)
            harness.read_all(peer)
            peer.sendall(b"half of the ")
            peer.close()  # FIN without close_notify

        thread = threading.Thread(target=serve)
        thread.start()
        run = client(port, authority=files.authority[0])
        run.end_input()
        check_equal(run.finish(1), b"half of the ", "what has come")
        check("without close_notify" in run.errors, f"it said {run.errors!r}")
        thread.join()


@case
def whom_it_does_not_believe():
    with tls_files.files() as files:
        other = files.issue("other", "DNS:other.test")
        for pair, authority, reason in ((files.server, None, "certificate"),
                                        (other, files.authority[0], "hostname mismatch")):
            with openssl_server(files, pair=pair) as port:
                run = client(port, authority=authority)
                run.end_input()
                run.finish(1)
                check(run.errors.startswith(f"tls_client: connect localhost:{port}: ") and reason in run.errors,
                      f"it said {run.errors!r}")
                lenient = client(port, "--no-verify")
                lenient.send(b"anybody\n")
                lenient.end_input()
                check_equal(lenient.finish(), b"ydobyna\n", "the answer of anybody")


@case
def a_server_that_speaks_no_TLS():
    with harness.listener() as (listening, port):
        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP ready\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        run = client(port)
        run.end_input()
        run.finish(1)
        check("wrong version number" in run.errors, f"it said {run.errors!r}")
        thread.join()


harness.main()
