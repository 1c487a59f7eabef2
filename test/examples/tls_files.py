# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Certificates for the tests of the TLS examples, made by openssl when a test runs, so that none expires one day."""

import contextlib
import pathlib
import ssl
import tempfile

import harness

CONFIGURATION = "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n"


class Files:
    """An authority, and what it has issued, as files in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._file("openssl.cnf").write_text(CONFIGURATION, encoding="ascii")
        self.authority = self._make("authority", "basicConstraints=critical,CA:TRUE", "-addext",
                                    "keyUsage=critical,keyCertSign")  # without it Python 3.13 does not trust it
        self.server = self.issue("server", "DNS:localhost,IP:127.0.0.1,IP:::1")

    def issue(self, name, alternatives):
        """Returns the paths of a certificate and its key."""
        return self._make(name, "basicConstraints=CA:FALSE", "-addext", f"subjectAltName={alternatives}",
                          "-CA", self.authority[0], "-CAkey", self.authority[1])

    def _file(self, name):
        return self.folder / name

    def _make(self, name, extension, *more):
        certificate, key = self._file(f"{name}.pem"), self._file(f"{name}.key")
        harness.run_tool(
            "openssl", "req", "-x509", "-config", self._file("openssl.cnf"), "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", extension, *more,
            "-keyout", key, "-out", certificate)
        return certificate, key

    def both(self, name="server"):
        """The certificate and the key in one file, as HAProxy wants it."""
        path = self._file(f"{name}.both")
        path.write_bytes(b"".join(part.read_bytes() for part in (self._file(f"{name}.pem"), self._file(f"{name}.key"))))
        return path

    def options(self):
        return "--certificate", self.server[0], "--key", self.server[1]

    def client(self, version=None):
        """A context of Python's that trusts the authority."""
        context = ssl.create_default_context(cafile=str(self.authority[0]))
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def acceptor(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.server))
        return context


@contextlib.contextmanager
def stunnel(target, **options):
    """stunnel before a port of localhost, with these options of its service; the port on which it listens."""
    tool = harness.tool("stunnel")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as configuration, harness.reserved_port() as port:
        service = {"accept": f"127.0.0.1:{port}", "connect": f"localhost:{target}", **options}
        lines = ["foreground = yes", "pid =", "syslog = no", "[service]"]
        configuration.write("\n".join([*lines, *(f"{name} = {value}" for name, value in service.items()), ""]))
        configuration.flush()
        program = harness.Program(tool, configuration.name)
        harness.wait_until(lambda: harness.tcp_listeners(port), "stunnel's listener")
        yield port
        program.kill()


@contextlib.contextmanager
def files():
    with tempfile.TemporaryDirectory() as folder:
        yield Files(folder)
