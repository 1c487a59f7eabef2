# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What it costs to compile the README's echo server, next to the same program in plain Asio, and what a Unix-domain
server beside it adds."""

import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMPILE = ["g++", "-std=c++20", "-O2", "-DNDEBUG", f"-I{ROOT / 'include'}", "-c"]
ASIO_SEPARATE = ["-DBOOST_ASIO_SEPARATE_COMPILATION"]
DUET_SEPARATE = [*ASIO_SEPARATE, "-DDUET_SEPARATE_COMPILATION"]


def with_unix_server(program):
    """The same program with a second kind of stream."""
    for old, new in (("asio::awaitable<void> echo(duet::session peer)", "template <class Session>\nasio::awaitable<void> echo(Session peer)"),
                     ("echo};", "echo<duet::session>};\n    duet::unix_acceptor listener{context, asio::local::stream_protocol::endpoint{\"echo.socket\"}};\n"
                      "    duet::unix_server other{context, std::move(listener), {}, echo<duet::unix_session>};")):
        if program.count(old) != 1:
            raise RuntimeError(f"README's echo server has no {old!r}")
        program = program.replace(old, new)
    return program


def variants(directory):
    readme = (ROOT / "README.md").read_text()
    program = re.search(r"<!-- echo_server:begin -->\n```cpp\n(.*?)```", readme, re.S).group(1)
    ours = directory / "readme.cpp"
    ours.write_text(program)
    both = directory / "both.cpp"
    both.write_text(with_unix_server(program))
    asio = ROOT / "bench" / "peers" / "asio_awaitable.cpp"
    return {
        "duet, header-only": (ours, []),
        "Asio, header-only": (asio, []),
        "duet, header-only, TCP and Unix-domain": (both, []),
        "duet, compiled": (ours, DUET_SEPARATE),
        "duet, compiled, TCP and Unix-domain": (both, DUET_SEPARATE),
        "Asio, separate compilation": (asio, ASIO_SEPARATE),
        "once: duet::compiled itself": (ROOT / "src" / "duet.cpp", DUET_SEPARATE),
    }


def compile_once(source, definitions, target):
    process = subprocess.Popen([*COMPILE, *definitions, str(source), "-o", str(target)],
        env={**os.environ, "CCACHE_DISABLE": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{source} does not compile")
    sizes = subprocess.run(["size", str(target)], capture_output=True, text=True, check=True).stdout.split("\n")[1]
    return {"seconds": usage.ru_utime + usage.ru_stime, "memory_mib": usage.ru_maxrss / 1024,
        "object_kib": int(sizes.split()[3]) / 1024}


def measure(rounds, say):
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        table = {name: [] for name in variants(directory)}
        for number in range(rounds):
            for name, (source, definitions) in variants(directory).items():
                say(f"compiling: round {number + 1} of {rounds}: {name}")
                table[name].append(compile_once(source, definitions, directory / "object.o"))
        return table
