# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What an echo, a whole session, a relayed connection and a client's connection cost that does not depend on the clock: instructions, system calls, allocations.

Each is the difference of two runs with different numbers of them, so that beginning and ending cancel out.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import processes

ECHOES = (6400, 19200)
SESSIONS = (640, 1920)
SIZE = {"connections": 64, "size": 64}
ONE_CORE = processes.ONE_CORE
PATIENCE = 200  # seconds


def per_one(run, numbers=ECHOES):
    few, many = (run(number) for number in numbers)
    return (many - few) / (numbers[1] - numbers[0])


CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def collected(told):
    return int(re.search(r"Collected : (\d+)", told).group(1))


def instructions(programs, command, mode="echo", numbers=ECHOES, target=0, **options):
    """User instructions, by callgrind. `target`: the port of the server behind a relay, as below."""
    def run(echoes):
        with processes.Server(programs, command, before=CALLGRIND, target=target) as server:
            processes.run_load(programs, mode, server, **{**SIZE, **options}, lockstep=1, echoes=echoes)
        return collected(server.told.decode())
    return per_one(run, numbers)


def syscalls(programs, command, lockstep=1, mode="echo", numbers=ECHOES, target=0, **options):
    """Every system call, by strace. It slows the server down, so there may be fewer echoes to a wake-up, or more."""
    def run(echoes):
        with tempfile.NamedTemporaryFile() as summary:
            with processes.Server(programs, command, ONE_CORE, before=strace_to(summary), target=target) as server:
                processes.run_load(programs, mode, server, ONE_CORE, **{**SIZE, **options}, lockstep=lockstep,
                    echoes=echoes)
                server.stop(server.own_pid())
            return by_name(pathlib.Path(summary.name).read_text())["total"]
    return per_one(run, numbers)


def strace_to(file):
    return ["strace", "-f", "-c", "-o", file.name, "--"]


def by_name(summary):
    """What `strace -c` has counted: of each system call, and the `total`."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", summary, re.M)
    return {"total": 0, **{name: int(count) for count, name in rows}}


def counting(programs, file):
    """The environment of a program whose calls are counted into this file."""
    return {"LD_PRELOAD": str(programs.directory / "libcount_calls.so"), "BENCH_COUNT": file.name}


def calls(programs, command, lockstep=0, mode="echo", numbers=ECHOES, target=0, **options):
    """Allocations and system calls, by count_calls.c: the server runs as it does when it is timed."""
    with tempfile.NamedTemporaryFile() as count:
        environment = counting(programs, count)
        with processes.Server(programs, command, ONE_CORE, target=target, environment=environment) as server:
            def run(echoes):
                begin = read_counts(count.name)
                processes.run_load(programs, mode, server, ONE_CORE, **{**SIZE, **options}, lockstep=lockstep,
                    echoes=echoes)
                return [now - then for now, then in zip(read_counts(count.name), begin)]
            run(numbers[0])  # what is only allocated once
            few, many = (run(number) for number in numbers)
            return [(b - a) / (numbers[1] - numbers[0]) for a, b in zip(few, many)]


def read_counts(name):
    both = pathlib.Path(name).read_bytes()
    return [int.from_bytes(both[i:i + 8], "little") for i in (0, 8)]


def allocations(programs, command, **options):
    """Calls of malloc and its like; of no meaning for what brings an allocator of its own."""
    return calls(programs, command, lockstep=1, **options)[0]


MEASURES = {"instructions": instructions, "syscalls": syscalls, "allocations": allocations}
# Options of a measure that make it one of whole sessions: connect, one message, half-close, end; 64 at once.
SESSION = {"mode": "connect", "numbers": SESSIONS}


class OfClient:
    """The same of a client, to a raw epoll server: of each connection of those in bench/clients, 64 at once; of each request
    of those in bench/requests."""

    def __init__(self, programs, command, numbers=SESSIONS, connections=SIZE["connections"], depth=1):
        self.programs, self.command, self.numbers = programs, command, numbers
        self.options = {"connections": connections, "size": SIZE["size"], "depth": depth}

    def run(self, number, before=(), environment=None):
        """What it says on its standard error, when it has had so many connections."""
        with processes.Server(self.programs, processes.ECHO["epoll"][1], ONE_CORE) as server:
            words = ["ask", "--port", server.port, "--echoes", number]
            words += [word for name, value in self.options.items() for word in (f"--{name}", value)]
            process = processes.start([*before, self.programs.find(self.command[0]), *map(str, words)], ONE_CORE,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, **(environment or {})})
            return processes.both_outputs(process, PATIENCE, self.command[0])[1]

    def instructions(self):
        return per_one(lambda number: collected(self.run(number, CALLGRIND)), self.numbers)

    def syscalls(self):
        def count(number):
            with tempfile.NamedTemporaryFile() as summary:
                self.run(number, strace_to(summary))
                return by_name(pathlib.Path(summary.name).read_text())["total"]
        return per_one(count, self.numbers)

    def allocations(self):
        def count(number):
            with tempfile.NamedTemporaryFile() as file:
                self.run(number, environment=counting(self.programs, file))
                return read_counts(file.name)[0]
        return per_one(count, self.numbers)


def of_relay(programs, command, key, **options):
    """The measure `key` of a connection through a relay, as SESSION; or of what the options say."""
    with processes.Server(programs, processes.ECHO["epoll"][1], ONE_CORE) as behind:
        return MEASURES[key](programs, command, target=behind.port, **{**SESSION, **options})


def of_client(programs, command, key):
    return getattr(OfClient(programs, command), key)()


def requests(depth):
    """Two numbers of them: as many as are under way, and a multiple."""
    together = depth * processes.REQUEST_CONNECTIONS
    few = max(1, 4096 // together) * together
    return few, 3 * few


def of_answers(programs, command, key, depth):
    """The measure `key` of a request that is answered, with so many under way on each connection."""
    return MEASURES[key](programs, command, numbers=requests(depth), connections=processes.REQUEST_CONNECTIONS, framed=1,
        size=processes.REQUEST_SIZE + processes.REQUEST_HEAD, depth=depth)


def of_questions(programs, command, key, depth):
    """The same, of a request that is asked."""
    return getattr(OfClient(programs, command, requests(depth), processes.REQUEST_CONNECTIONS, depth), key)()


def missing_tools():
    """Those that are not there, or may not do their work here."""
    return [name for name, command in (("valgrind", ["valgrind", "-q", "true"]),
        ("strace", ["strace", "-o", os.devnull, "true"])) if not works(command)]


def works(command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0
