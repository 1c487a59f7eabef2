# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What is measured by the clock. Each scenario is a list of runs in rounds A B A B ..., so that a machine that slows
down slows them all; a ratio is to the first of its own round."""

import contextlib

import processes

ONE_CORE = processes.ONE_CORE
TWO_CORES = processes.CORES[:2]
# A time slice of somebody else's: such a round is done again.
STOLEN_US = 8000
TRIES = 3


class Scenario:
    def __init__(self, key, title, names, run, unit, retry=False, note="",
            measured="server"):
        self.key, self.title, self.names, self.run, self.unit = key, title, names, run, unit
        self.retry, self.note, self.measured = retry, note, measured

    def measure(self, rounds, say):
        table = {name: [] for name in self.names}
        failed, again = {}, 0
        for number in range(rounds):
            for name in self.names:
                if name in failed:
                    continue
                say(f"{self.title}: round {number + 1} of {rounds}: {name}")
                try:
                    for attempt in range(TRIES):
                        row = self.run(name)
                        if not (self.retry and row["p99_us"] > STOLEN_US and attempt + 1 < TRIES):
                            break
                        again += 1
                    table[name].append(row)
                except processes.Failed as problem:
                    failed[name] = str(problem)
        return {"title": self.title, "unit": self.unit, "rows": {n: r for n, r in table.items() if n not in failed},
            "failed": failed, "repeated": again, "note": self.note, "measured": self.measured}


def row_of(result):
    requests = max(result["requests"], 1)
    return {
        "value": result["requests_per_second"],
        "cpu_ns": result["server_cpu_ns"] / requests,
        "p50_us": result["latency_us"]["p50"],
        "p99_us": result["latency_us"]["p99"],
        "load_share": result["own_cpu_share"],
        "resets": result["ends"]["reset"],
        "faults": result["faults"],
    }


def row_of_client(result):
    """Of a program that makes the load itself: the time is its own."""
    row = row_of(result)
    del row["load_share"]
    spent = result["own_cpu_share"] * result["seconds"] * 1e9
    return {**row, "cpu_ns": spent / max(result["requests"], 1)}


def load_scenarios(programs, quick):
    names = programs.those_there(processes.ECHO)

    def echo(key, title, mode="echo", retry=True, note="", **options):
        def run(name):
            with processes.Server(programs, processes.ECHO[name][1], ONE_CORE) as server:
                return row_of(processes.run_load(programs, mode, server, ONE_CORE, **{**times, **options}))
        return Scenario(key, title, names, run, "requests/s", retry, note)

    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}
    every = [
        echo("echo_1", "Echo, 64 bytes, 1 connection", connections=1),
        echo("echo_64", "Echo, 64 bytes, 64 connections", connections=64),
        echo("echo_1000", "Echo, 64 bytes, 1,000 connections", connections=1000, retry=False),
        echo("echo_10000", "Echo, 64 bytes, 10,000 connections", connections=10000, retry=False),
        echo("pipelined", "Echo, 64 bytes, 64 connections, 16 messages under way on each", connections=64, depth=16),
        echo("large", "Echo, 16 KiB, 16 connections", connections=16, size=16384, retry=False),
        echo("connect", "Connect, one message, half-close, end: 64 at once", "connect", connections=64, retry=False),
        echo("faults", "Echo while 10 % of the clients reset and 10 % do not read", "faults",
            connections=100, retry=False, note="100 connections; counted are the 80 good ones; the others reset after "
            "16 echoes, or after 0.5 s of not reading"),
    ]
    short = ("echo_64", "pipelined", "connect", "faults")
    return [s for s in every if not quick or s.key in short]


def bulk_scenarios(programs, quick):
    size = (256 if quick else 1024) << 20

    def bulk(key, title):
        def run(name):
            with processes.Server(programs, processes.BULK[name][1], ONE_CORE) as server:
                result = processes.run_load(programs, key, server, ONE_CORE, bytes=size)
                return {**row_of(result), "value": result["bytes_per_second"] / (1 << 30),
                    "cpu_ns": result["server_cpu_ns"] / (size >> 10)}
        return Scenario("bulk_" + key, title, programs.those_there(processes.BULK), run, "GiB/s",
            note="server time is per KiB")
    return [bulk("up", "Bulk, client to server, 64 KiB buffers"),
        bulk("down", "Bulk, server to client, 64 KiB buffers")]


def frame_scenarios(programs, quick):
    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}
    names = programs.those_there(processes.FRAMES)

    def frames(key, title, **options):
        def run(name):
            with processes.Server(programs, processes.FRAMES[name][1], ONE_CORE) as server:
                return row_of(processes.run_load(programs, "echo", server, ONE_CORE, framed=1, **options, **times))
        return Scenario(key, title, names, run, "frames/s", retry=True)
    return [
        frames("frames", "Frames of 64 bytes, 64 connections", connections=64),
        frames("frames_together", "Frames of 64 bytes, 64 connections, 16 under way on each", connections=64, depth=16),
        frames("frames_large", "Frames of 16 KiB, 16 connections", connections=16, size=16384),
    ]


def relay_scenarios(programs, quick):
    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}
    size = (256 if quick else 1024) << 20
    names = programs.those_there(processes.RELAY)

    def relayed(name, target, measure):
        with processes.Server(programs, target, ONE_CORE) as behind:
            command = processes.RELAY[name][1]
            with processes.Server(programs, command, ONE_CORE, target=behind.port) as relay:
                return measure(relay)

    def echo(name):
        return relayed(name, processes.ECHO["epoll"][1], lambda relay: row_of(
            processes.run_load(programs, "echo", relay, ONE_CORE, connections=64, size=64, **times)))

    def messages(kibibytes):
        target = [*processes.ECHO["epoll"][1], "1", str(kibibytes << 10)]

        def run(name):
            return relayed(name, target, lambda relay: row_of(processes.run_load(
                programs, "echo", relay, ONE_CORE, connections=8, size=kibibytes << 10, **times)))
        return Scenario(f"relay_{kibibytes}", f"Relay to a raw epoll echo server, {kibibytes} KiB, 8 connections", names,
            run, "requests/s", note="load, relay and target share one core")

    def bulk(name):
        def measure(relay):
            result = processes.run_load(programs, "down", relay, ONE_CORE, bytes=size)
            return {**row_of(result), "value": result["bytes_per_second"] / (1 << 30),
                "cpu_ns": result["server_cpu_ns"] / (size >> 10)}
        return relayed(name, processes.BULK["posix"][1], measure)

    def short(name):
        return relayed(name, processes.ECHO["epoll"][1], lambda relay: row_of(
            processes.run_load(programs, "connect", relay, ONE_CORE, connections=64, size=64, **times)))

    return [
        Scenario("relay_short", "Short connections through a relay: connect, one message, half-close, end; 64 at once", names,
            short, "connections/s", note="load, relay and target share one core"),
        Scenario("relay", "Relay to a raw epoll echo server, 64 bytes, 64 connections", names, echo, "requests/s",
            retry=True, note="load, relay and target share one core"),
        *(messages(kibibytes) for kibibytes in (16, 64, 256)),
        Scenario("relay_bulk", "Relay of a bulk transfer", names, bulk, "GiB/s",
            note="server time is the relay's, per KiB"),
    ]


def client_scenarios(programs, quick):
    """The programs that are measured are the clients, so the time is theirs."""
    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}

    def run(name):
        with processes.Server(programs, processes.ECHO["epoll"][1], ONE_CORE) as server:
            result = processes.run_load(programs, "ask", server, ONE_CORE, program=processes.CLIENT[name][1][0],
                connections=64, size=64, **times)
        return row_of_client(result)
    return [Scenario("client", "A client: connect, ask, read the answer, close; 64 at once",
        programs.those_there(processes.CLIENT), run, "connections/s", measured="client",
        note="client and raw epoll echo server share one core")]


def request_scenarios(programs, quick):
    """Who answers requests is asked by the load generator; who asks them has the bytes sent back by the raw epoll server."""
    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}
    connections = processes.REQUEST_CONNECTIONS

    def answered(depth):
        def run(name):
            with processes.Server(programs, processes.ANSWER[name][1], ONE_CORE) as server:
                return row_of(processes.run_load(programs, "echo", server, ONE_CORE, framed=1, connections=connections,
                    size=processes.REQUEST_SIZE + processes.REQUEST_HEAD, depth=depth, **times))
        return Scenario(f"requests_answered_{depth}", f"Requests answered, 64 bytes, {connections} connections, "
            f"{depth} under way on each", programs.those_there(processes.ANSWER), run, "requests/s", retry=True)

    def asked(depth):
        def run(name):
            with processes.Server(programs, processes.ECHO["epoll"][1], ONE_CORE) as server:
                result = processes.run_load(programs, "ask", server, ONE_CORE, program=processes.ASK[name][1][0],
                    connections=connections, size=processes.REQUEST_SIZE, depth=depth, **times)
            return row_of_client(result)
        return Scenario(f"requests_asked_{depth}", f"Requests asked, 64 bytes, {connections} connections, {depth} under way "
            "on each", programs.those_there(processes.ASK), run, "requests/s", measured="client",
            note="client and raw epoll echo server share one core")
    return [scenario(depth) for scenario in (answered, asked) for depth in processes.UNDER_WAY]


def tls_scenarios(programs, quick):
    times = {"seconds": 0.4, "warmup": 0.1} if quick else {"seconds": 2, "warmup": 0.3}
    size = (128 if quick else 512) << 20

    @contextlib.contextmanager
    def served(name, bulk):
        command = processes.TLS[name][1]
        if name == "tls_haproxy":
            behind = processes.BULK["posix"][1] if bulk else processes.ECHO["epoll"][1]
            with processes.Server(programs, behind, ONE_CORE) as target, \
                    processes.Server(programs, command, ONE_CORE, target=target.port) as server:
                yield server
        else:
            with processes.Server(programs, [*command, "bulk"] if bulk else command, ONE_CORE) as server:
                yield server

    def load(name, mode, bulk=False, **options):
        with served(name, bulk) as server:
            return processes.run_load(programs, mode, server, ONE_CORE, program="tls_load", **options)

    def timed(key, title, mode, unit, **options):
        return Scenario(key, title, names, lambda name: row_of(load(name, mode, **options, **times)), unit,
            note="TLS 1.3; HAProxy's server time is without that of the server behind it")

    def bulk(key, title):
        def run(name):
            result = load(name, key, bulk=True, bytes=size)
            return {**row_of(result), "value": result["bytes_per_second"] / (1 << 30),
                "cpu_ns": result["server_cpu_ns"] / (size >> 10)}
        return Scenario(f"tls_{key}", title, names, run, "GiB/s", note="server time is per KiB")

    names = programs.those_there(processes.TLS) if programs.find("tls_load") else []
    return [
        timed("tls_connect", "TLS: handshake, one message, end, one after another", "connect", "handshakes/s"),
        timed("tls_echo", "TLS: echo, 64 bytes, 64 connections", "echo", "requests/s", connections=64),
        timed("tls_large", "TLS: echo, 16 KiB, 16 connections", "echo", "requests/s", connections=16, size=16384),
        bulk("up", "TLS: bulk, client to server, 64 KiB buffers"),
        bulk("down", "TLS: bulk, server to client, 64 KiB buffers"),
    ]


def two_core_scenario(programs, quick):
    """Two threads on two cores, a load generator on each, next to the same server with one of each on one core."""
    seconds = 0.4 if quick else 2
    every = {**processes.TWO_THREADS, **processes.PINNED, **processes.APART}

    def on(command, cores, apart):
        with contextlib.ExitStack() as there:
            servers = [there.enter_context(processes.Server(programs, command, places))
                for places in ([{core} for core in cores] if apart else [set(cores)])]
            loads = [processes.Load(programs, "echo", servers[number % len(servers)], {core}, connections=32, size=64,
                seconds=seconds) for number, core in enumerate(cores)]
            results = [load.result() for load in loads]
        requests = sum(result["requests"] for result in results)
        # Each load was told of all that its server took.
        cpu = sum(result["server_cpu_ns"] for result in results) * len(servers) / len(results)
        return {**row_of(results[0]), "value": sum(result["requests_per_second"] for result in results),
            "cpu_ns": cpu / max(requests, 1)}

    def run(name):
        apart = name in processes.APART
        alone = every[name][1] if apart else processes.ECHO[name.removesuffix("_pinned")][1]
        one, two = on(alone, TWO_CORES[:1], apart), on(every[name][1], TWO_CORES, apart)
        return {**two, "more": two["cpu_ns"] / one["cpu_ns"] - 1}
    if len(TWO_CORES) < 2:
        return []
    return [Scenario("two_cores", "Two threads on two cores, 64 bytes, 64 connections", programs.those_there(every), run,
        "requests/s", note="the last column is the server's time per request next to that of the same server on one core, "
        "with 32 connections, just before")]
