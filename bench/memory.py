# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Bytes of the server per idle session: the difference between few and many connections, each of which had one echo."""

import processes

FEW = 100


def held(programs, server, connections):
    load = processes.Load(programs, "idle", server, connections=connections)
    try:
        load.wait_ready()
        return server.resident(), load
    except processes.Failed:
        load.process.kill()
        load.process.communicate()
        raise


def per_session(programs, name, connections):
    with processes.Server(programs, processes.IDLE[name][1]) as server:
        before, few = held(programs, server, FEW)
        after, many = held(programs, server, connections)
        ends = [load.result()["ends"] for load in (few, many)]
    return {"bytes": (after - before) / connections, "resets": sum(end["reset"] for end in ends)}
