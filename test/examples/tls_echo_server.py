#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""tls_echo_server: with clients of OpenSSL, GnuTLS, Python, HAProxy and stunnel; who is refused and learns why; drains."""

import shutil
import signal
import ssl
import tempfile

import harness
import tls_files
from harness import Program, Server, case, check, check_equal

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server(files, *options):
    return Server("tls_echo_server", *files.options(), *options)


def shake_hands(serving, context):
    return context.wrap_socket(serving.connect(), server_hostname="localhost")


def ask(peer, question=b"question"):
    peer.sendall(question)
    answer = b""
    while len(answer) < len(question):
        part = peer.recv(65536)
        check(part, f"the server ended after {answer!r}")
        answer += part
    check_equal(answer, question, "the answer")


@case
def command_line():
    harness.check_command_line("tls_echo_server", "--port", "--plain-port", "--certificate", "--key", "--clients")
    run = Program(harness.example("tls_echo_server"), "--certificate", "/none.pem")
    run.finish(1)
    check("/none.pem" in run.errors, f"it said {run.errors!r}")


@case
def openssl_s_client():
    with tls_files.files() as files:
        serving = server(files)
        for version in VERSIONS:
            client = Program(
                harness.tool("openssl"), "s_client", "-quiet", "-no_ign_eof", f"-tls{version.replace('.', '_')}",
                "-verify_return_error", "-CAfile", files.authority[0], "-connect", f"localhost:{serving.port}")
            client.send(b"over TLS\n")
            check_equal(client.line(), "over TLS\n", f"the answer over {version}")
            client.end_input()
            client.finish()
        serving.stop()


@case
def gnutls_cli():
    tool = harness.tool("gnutls-cli")
    with tls_files.files() as files:
        serving = server(files)
        for version in VERSIONS:
            client = Program(tool, "--x509cafile", files.authority[0], "--priority",
                             f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--port", serving.port, "localhost")
            client.expect("Handshake was completed")
            client.send(b"from GnuTLS\n")
            client.expect("^from GnuTLS$")
            client.end_input()
            client.finish()
        serving.stop()


@case
def python_ends_with_close_notify_and_goes_on_in_the_clear():
    with tls_files.files() as files:
        serving = server(files)
        for name, version in VERSIONS.items():
            peer = shake_hands(serving, files.client(version))
            check_equal(peer.version(), f"TLSv{name}", "the version")
            ask(peer)
            below = peer.unwrap()  # sends close_notify, and waits for the server's
            check_equal(below.recv(1), b"", "what follows the server's close_notify")
            below.close()
        serving.stop()
        check_equal(serving.errors.count("\n"), 1, f"lines besides the report: {serving.errors!r}")


@case
def a_connection_that_is_cut_is_no_end():
    with tls_files.files() as files:
        serving = server(files)
        peer = shake_hands(serving, files.client())
        ask(peer)
        peer.detach()  # leaves it open ...
        peer = shake_hands(serving, files.client())
        ask(peer)
        peer.close()  # FIN without close_notify
        serving.expect_error("read_some .*without close_notify")
        serving.kill()


@case
def in_the_clear_with_the_same_handler():
    with tls_files.files() as files:
        serving = server(files)
        port = serving.expect(r"^in the clear on .*:(\d+)").group(1)
        with harness.connect(port) as peer:
            check_equal(harness.exchange(peer, b"hello"), b"hello", "the answer in the clear")
        serving.stop()


@case
def a_client_that_says_nothing_stops_nobody():
    with tls_files.files() as files:
        serving = server(files)
        silent = [serving.connect() for _ in range(20)]
        ask(shake_hands(serving, files.client()))
        for peer in silent:
            peer.close()
        serving.expect_error("handshake")
        serving.kill()


@case
def everybody_who_is_refused_learns_why():
    with tls_files.files() as files:
        serving = server(files, "--clients", files.authority[0])
        for number in range(50):
            context = files.client(VERSIONS["1.3" if number % 2 else "1.2"])
            reason = ""
            try:
                peer = shake_hands(serving, context)
                peer.recv(1)  # in TLS 1.3 the client is ready before the server has judged it
            except OSError as error:
                reason = str(error)
            check("alert" in reason.lower(), f"client {number} was told {reason!r}")
        context = files.client()
        context.load_cert_chain(*map(str, files.issue("somebody", "DNS:somebody.test")))
        peer = shake_hands(serving, context)
        ask(peer)
        peer.unwrap().close()
        serving.stop()
        check_equal(serving.errors.count("peer did not return a certificate"), 50, "refusals on its standard error")


@case
def certificates_are_replaced_by_a_signal():
    with tls_files.files() as files:
        serving = server(files)
        first = shake_hands(serving, files.client())
        ask(first)
        following = files.issue("following", "DNS:localhost")
        for source, target in zip(following, files.server):
            shutil.copy(source, target)
        serving.signal(signal.SIGHUP)
        serving.expect_error("has read its certificate again")
        second = shake_hands(serving, files.client())
        ask(second)
        ask(first)
        for peer, name in ((first, "server"), (second, "following")):
            check_equal(peer.getpeercert()["subject"], ((("commonName", name),),), "who has answered")
        files.server[0].write_text("no certificate", encoding="ascii")
        serving.signal(signal.SIGHUP)
        serving.expect_error("keeps its certificate: .*server.pem")
        third = shake_hands(serving, files.client())
        ask(third)
        for peer in (first, second, third):
            peer.unwrap().close()
        serving.stop()


@case
def a_drain_says_close_notify_to_idle_clients():
    with tls_files.files() as files:
        for version in VERSIONS.values():
            serving = server(files)
            peer = shake_hands(serving, files.client(version))
            ask(peer)
            serving.begin_drain()
            check_equal(peer.recv(1), b"", "what the client reads at the drain")
            peer.unwrap().close()
            serving.finish_drain(finished=1)


@case
def haproxy_speaks_TLS_for_its_clients():
    tool = harness.tool("haproxy")
    with tls_files.files() as files, tempfile.NamedTemporaryFile("w", suffix=".cfg") as configuration, \
            harness.reserved_port() as port:
        serving = server(files)
        configuration.write(f"""
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend plain
    bind 127.0.0.1:{port}
    default_backend echo
backend echo
    server one localhost:{serving.port} ssl verify required ca-file {files.authority[0]} verifyhost localhost
""")
        configuration.flush()
        proxy = Program(tool, "-db", "-f", configuration.name)
        harness.wait_until(lambda: harness.tcp_listeners(port), "HAProxy's listener")
        with harness.connect(port) as peer:
            ask(peer, b"through HAProxy" * 1000)
        proxy.kill()
        serving.signal()
        serving.process.wait()


@case
def stunnel_speaks_TLS_for_its_clients():
    with tls_files.files() as files:
        serving = server(files)
        with tls_files.stunnel(serving.port, client="yes", CAfile=files.authority[0], verifyChain="yes",
                               checkHost="localhost") as port:
            for _ in range(5):
                with harness.connect(port) as peer:
                    ask(peer, b"through stunnel" * 1000)
        serving.signal()
        serving.process.wait()


harness.main()
