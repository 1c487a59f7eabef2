# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Bytes of the server per idle session: the difference between few and many connections, each of which had one echo.

Where a process may not have as many descriptors, several processes of the server have them together.
"""

import contextlib
import math

import processes

FEW = 100
OTHERS = 1000  # descriptors that are not the connections'


class Held:
    """Idle connections to one server, while they are there."""

    def __init__(self, programs, server, connections, program):
        self.load = processes.Load(programs, "idle", server, program=program, connections=connections)

    def __enter__(self):
        try:
            self.load.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.load.process.returncode is None:
            processes.kill_group(self.load.process)


def parts_for(connections, descriptors):
    """How many connections each process of the server has."""
    count = math.ceil(connections / (descriptors - OTHERS))
    return [connections // count + (number < connections % count) for number in range(count)]


def per_session(programs, name, connections, descriptors):
    parts = parts_for(connections, descriptors)
    command = {**processes.IDLE, **processes.TLS}[name][1]
    program = "tls_load" if name in processes.TLS else "load"
    with contextlib.ExitStack() as there:
        servers = [there.enter_context(processes.Server(programs, command)) for _ in parts]
        loads = [there.enter_context(Held(programs, server, FEW, program)).load for server in servers]
        before = sum(server.resident() for server in servers)
        for server, many in zip(servers, parts):
            loads.append(there.enter_context(Held(programs, server, many, program)).load)
        after = sum(server.resident() for server in servers)
        resets = sum(load.result()["ends"]["reset"] for load in loads)
    return {"bytes": (after - before) / connections, "resets": resets, "processes": len(parts)}
