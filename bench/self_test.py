#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Tests what ./dev bench stands on: that it reads what others print, leaves out what is not there, and leaves nothing running."""

import contextlib
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import unittest.mock

import counts
import guard
import processes
import real

PATIENCE = 60  # seconds: no check depends on less

AB = """
Failed requests:        0
Complete requests:      5526
Requests per second:    5525.12 [#/sec] (mean)
Percentage of the requests served within a certain time (ms)
  50%      8
  99%     16
 100%     20 (longest request)
"""
WRK = """
  Latency Distribution
     50%    0.98ms
     99%    2.50ms
  42772 requests in 2.00s, 35.20MB read
Requests/sec:  21386.50
"""
REDIS = '''"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET","28463.03","1.603","0.400","1.439","2.919","6.047","9.999"
'''
STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.10    0.004000           4       800       200 recvfrom
 30.00    0.002000           5       400           epoll_ctl
------ ----------- ----------- --------- --------- ----------------
100.00    0.006000           5      1200       200 total
"""
# Listens on the port that is its first word, and has a child, whose number it writes to the file that is its second.
STUBBORN = """\
    #!{python}
    import signal, socket, subprocess, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "1000"])
    with open(sys.argv[2], "w") as file:
        file.write(str(child.pid))
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    signal.pause()
"""
LISTENS = """\
    #!{python}
    import os, signal, socket, sys
    listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    signal.pause()
"""
# Ends before it listens, but for the third time.
LATE = """\
    #!{python}
    import os, signal, socket, sys
    tries = os.open(sys.argv[2], os.O_CREAT | os.O_APPEND | os.O_RDWR)
    os.write(tries, b"x")
    if os.fstat(tries).st_size < 3:
        sys.exit(1)
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    signal.pause()
"""
HANGS = """\
    #!{python}
    import subprocess, sys
    child = subprocess.Popen(["sleep", "1000"])
    with open(sys.argv[1], "w") as file:
        file.write(str(child.pid))
    child.wait()
"""


def says(text, status=0):
    return f"    #!{{python}}\n    import sys\n    print({text!r})\n    sys.exit({status})\n"


class Programs(real.Programs):
    """Those that a test has made, and no others."""

    def add(self, name, text):
        path = self.directory / name
        path.write_text(textwrap.dedent(text).format(python=sys.executable) if "{python}" in text else text)
        path.chmod(0o700)

    def find(self, name):
        path = self.directory / name
        return str(path) if path.exists() else None


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Case(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)
        self.programs = Programs(self.place)

    def wait_until(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, f"never came: {what}")
            time.sleep(0.005)

    def number_in(self, file):
        self.wait_until(lambda: file.exists() and file.read_text(), f"{file}")
        return int(file.read_text())


class Reading(unittest.TestCase):
    def test_ab(self):
        self.assertEqual(real.read_ab(AB), {"value": 5525.12, "count": 5526, "p99_us": 16000})

    def test_ab_with_failures_is_no_result(self):
        for bad in (AB.replace("requests:        0", "requests:        3"), AB + "Non-2xx responses:      7\n", "", "apr_socket_recv"):
            with self.assertRaises(processes.Failed):
                real.read_ab(bad)

    def test_wrk(self):
        self.assertEqual(real.read_wrk(WRK), {"value": 21386.5, "count": 42772, "p99_us": 2500})
        self.assertEqual(real.read_wrk(WRK.replace("2.50ms", "870.00us"))["p99_us"], 870)
        self.assertEqual(real.read_wrk(WRK.replace("2.50ms", "1.20s"))["p99_us"], 1_200_000)

    def test_wrk_with_errors_is_no_result(self):
        for more in ("  Socket errors: connect 0, read 2, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 5\n"):
            with self.assertRaises(processes.Failed):
                real.read_wrk(WRK + more)
        self.assertEqual(real.read_wrk(WRK + "  Socket errors: connect 0, read 0, write 0, timeout 0\n")["count"], 42772)

    def test_redis_benchmark(self):
        self.assertEqual(real.read_redis(30000)(REDIS), {"value": 28463.03, "count": 30000, "p99_us": 6047})
        with self.assertRaises(processes.Failed):
            real.read_redis(1)("Could not connect to Redis")

    def test_iperf3(self):
        text = json.dumps({"end": {"sum_received": {"bits_per_second": 8 * 2**30, "bytes": 2**20}}})
        self.assertEqual(real.read_iperf3(text), {"value": 1, "count": 1024})

    def test_strace(self):
        self.assertEqual(counts.by_name(STRACE), {"total": 1200, "recvfrom": 800, "epoll_ctl": 400})
        self.assertEqual(counts.by_name(""), {"total": 0})


class Running(Case):
    def test_a_server_that_ignores_its_signal_is_killed_with_its_children(self):
        self.programs.add("stubborn", STUBBORN)
        file = self.place / "child"

        class Impatient(processes.Server):
            PATIENCE = 0.1

        with Impatient(self.programs, ["stubborn", "{port}", str(file)]) as server:
            child = self.number_in(file)
            self.assertTrue(runs(child))
        self.assertFalse(runs(server.pid))
        self.wait_until(lambda: not runs(child), "the end of the server's child")

    def test_a_server_is_killed_when_what_uses_it_fails(self):
        self.programs.add("listens", LISTENS)
        with self.assertRaises(ZeroDivisionError):
            with processes.Server(self.programs, ["listens"]) as server:
                raise ZeroDivisionError
        self.assertFalse(runs(server.pid))

    def test_a_server_whose_port_was_taken_gets_another(self):
        self.programs.add("late", LATE)
        with processes.Server(self.programs, ["late", "{port}", str(self.place / "tries")]):
            self.assertEqual((self.place / "tries").read_text(), "xxx")

    def test_the_listener_of_another_program_is_not_taken_for_the_servers(self):
        self.programs.add("listens", LISTENS)
        with socket.create_server(("127.0.0.1", 0)) as other:
            ports = iter([other.getsockname()[1]])
            with unittest.mock.patch.object(processes, "free_port", lambda free=processes.free_port: next(ports, None) or free()):
                with processes.Server(self.programs, ["listens"]) as server:
                    self.assertNotEqual(server.port, other.getsockname()[1])
                    self.assertTrue(processes.listeners(server.port))

    def test_a_server_that_never_listens_says_why(self):
        self.programs.add("broken", "#!/bin/sh\necho no such luck >&2\nexit 3\n")
        with self.assertRaisesRegex(processes.Failed, "broken ended: no such luck"):
            with processes.Server(self.programs, ["broken"]):
                pass

    def test_a_client_that_hangs_is_killed_with_its_children(self):
        self.programs.add("hangs", HANGS)
        file = self.place / "child"
        process = processes.start([self.programs.find("hangs"), str(file)], stdout=subprocess.PIPE, text=True)
        child = self.number_in(file)
        with self.assertRaisesRegex(processes.Failed, "hangs does not end"):
            processes.output(process, 0.1, "hangs")
        self.assertFalse(runs(process.pid))
        self.wait_until(lambda: not runs(child), "the end of the client's child")

    def test_a_client_that_fails_is_no_result(self):
        process = processes.start(["sh", "-c", "echo apr_socket_recv: reset >&2; exit 104"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        with self.assertRaisesRegex(processes.Failed, "apr_socket_recv: reset"):
            processes.output(process, PATIENCE, "ab")

    def test_a_bench_that_is_ended_ends_its_servers(self):
        self.programs.add("listens", LISTENS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                file = self.place / f"server{number}"
                code = textwrap.dedent(f"""
                    import pathlib, sys, time
                    sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
                    import processes
                    processes.end_on_sigterm()
                    with processes.Server(processes.Programs({str(self.place)!r}), ["listens"]) as server:
                        pathlib.Path({str(file)!r}).write_text(str(server.pid))
                        time.sleep(1000)
                    """)
                bench = subprocess.Popen([sys.executable, "-B", "-c", code])
                server = self.number_in(file)
                bench.send_signal(number)
                bench.wait(PATIENCE)
                self.wait_until(lambda: not runs(server), "the end of the server")

    def test_the_time_of_children_that_have_ended_counts(self):
        burn = "import time\nwhile time.process_time() < 0.1: pass"
        code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(flush=True)\nsys.stdin.read()"
        parent = processes.start([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            parent.stdout.readline()
            self.assertGreaterEqual(real.time_at_rest(parent.pid), 90_000_000)
        finally:
            processes.kill_group(parent)


class Measuring(Case):
    def setUp(self):
        super().setUp()
        for name in ("haproxy", "socat", "iperf3"):
            self.programs.add(name, LISTENS)
        self.programs.add("ab", says(AB))
        self.work = real.Workload("ab_short", "ab", "iperf3", ["ab", "{port}"], real.read_ab)

    def bench(self, **options):
        return real.Bench(self.programs, self.place, set(processes.CORES), set(processes.CORES), **options)

    def measured(self, rounds=2):
        bench = self.bench()
        return {"scenarios": {"ab_short": bench.measure(self.work, rounds)}, "calls": {}, "left_out": bench.left_out([self.work])}

    def test_one_table_with_what_is_there(self):
        result = self.measured()
        rows = result["scenarios"]["ab_short"]["rows"]
        self.assertEqual(list(rows), ["haproxy", "socat", "direct"])
        self.assertEqual([len(row) for row in rows.values()], [2, 2, 2])
        self.assertIn("cpu_ns", rows["socat"][0])
        self.assertNotIn("cpu_ns", rows["direct"][0])
        text = real.text_of(result)
        self.assertEqual(text.count("| --- |"), 1)
        self.assertIn("| HAProxy | 5,525 / 5,525 / 5,525 requests/s | 1.00 / 1.00 / 1.00 |", text)
        self.assertIn("| socat, fork | 5,525", text)

    def test_what_is_missing_is_left_out_and_said(self):
        text = real.text_of(self.measured(1))
        self.assertIn("- Left out: duet, port_forwarder: port_forwarder is not there.", text)
        self.assertIn("- Left out: nginx, stream: nginx is not there.", text)
        self.assertNotIn("| nginx", text)
        (self.place / "ab").unlink()
        self.assertEqual(self.bench().left_out([self.work])["ab"], "ab")

    def test_what_fails_is_left_out_and_said(self):
        self.programs.add("socat", "#!/bin/sh\necho no such luck >&2\nexit 3\n")
        result = self.measured()
        self.assertEqual(list(result["scenarios"]["ab_short"]["rows"]), ["haproxy", "direct"])
        self.assertIn("- ab: socat, fork failed: socat ended: no such luck.", real.text_of(result))

    def test_nothing_is_measured_without_the_server_behind(self):
        self.programs.add("iperf3", "#!/bin/sh\nexit 3\n")
        result = self.measured()
        self.assertEqual(result["scenarios"]["ab_short"]["rows"], {})
        self.assertIn("- ab: HAProxy failed: iperf3 ended", real.text_of(result))

    def test_a_client_that_hangs_fails_and_the_next_is_measured(self):
        self.programs.add("hangs", "#!/bin/sh\nexec sleep 1000\n")

        class FirstHangs(real.Bench):
            asked = 0

            def client(self, command, port):
                self.asked += 1
                self.patience = 0.1 if self.asked == 1 else PATIENCE
                return super().client(["hangs"] if self.asked == 1 else command, port)

        result = FirstHangs(self.programs, self.place, None, None).measure(self.work, 1)
        self.assertEqual(result["failed"], {"haproxy": "hangs does not end"})
        self.assertEqual(list(result["rows"]), ["socat", "direct"])

    def test_ratios_are_of_the_same_round(self):
        rows = {"haproxy": [{"value": 2}, {"value": 4}], "duet": [{"value": 3}, {"value": 2}], "direct": []}
        self.assertEqual(real.ratios(rows, "value"), {"haproxy": [1, 1], "duet": [1.5, 0.5], "direct": []})
        self.assertEqual(real.ratios({"duet": [{"value": 3}]}, "value"), {"duet": []})

    def test_pictures(self):
        pictures = dict(real.pictures({"scenarios": {"ab_short": {"title": "ab, of all", "rows": {
            "haproxy": [{"value": 2, "cpu_ns": 10}], "duet": [{"value": 3, "cpu_ns": 5}]}}}}))
        self.assertEqual(list(pictures), ["rate", "cpu"])
        self.assertIn("ab, of all: duet", pictures["rate"])
        self.assertIn(">1.50<", pictures["rate"])
        self.assertIn(">0.50<", pictures["cpu"])

    def test_nginx_is_configured_in_a_directory_of_its_own(self):
        self.programs.add("nginx", "#!/bin/sh\n")
        servers = [real.Server(self.programs, real.BEHIND["http"], self.place, target=4711) for _ in range(2)]
        self.assertNotEqual(*(server.directory for server in servers))
        for port, server in enumerate(servers, 2000):
            server.port = port
            words = server.words()
            self.assertEqual(words[-1], f"{server.directory}/nginx_http.conf")
            for file in server.directory.glob("*.conf"):
                self.assertNotIn("@", file.read_text().replace("between two @", ""))
                self.assertIn(f"listen 127.0.0.1:{port} ", file.read_text())
            self.assertIn("proxy_pass 127.0.0.1:4711;", (server.directory / "nginx_stream.conf").read_text())
            self.assertEqual((server.directory / "big").stat().st_size, 2 << 20)


class Guard(Case):
    def compared(self, value):
        return list(guard.compare({"syscalls per echo": 2.0, "instructions per echo": 100.0}, value))

    def test_what_costs_more_fails(self):
        self.assertEqual(self.compared({"syscalls per echo": 2.5}),
            [("syscalls per echo: 2.500, recorded 2.000: TOO MUCH", True)])
        self.assertEqual([bad for _, bad in self.compared({"syscalls per echo": 2.3, "instructions per echo": 106.0})],
            [False, True])
        self.assertIn("better: record it", self.compared({"instructions per echo": 90.0})[0][0])

    def test_what_is_not_recorded_fails(self):
        self.assertEqual(self.compared({"syscalls per session": 8.0}), [("syscalls per session: 8.000: NOT RECORDED", True)])

    def test_echo_session_relayed_clients_connection_and_request_are_counted_and_recorded(self):
        names = [f"{key} per {what}" for what in ("echo", "session", "relayed connection", "client's connection")
            for key in ("instructions", "syscalls", "allocations")]
        names.insert(names.index("instructions per client's connection"), "instructions per relayed message")
        names += [f"{key} per request {what}" for what in ("answered", "asked") for key in ("instructions", "allocations")]
        self.assertEqual(list(guard.MEASURES), names)
        self.assertEqual(list(json.loads(guard.RECORD.read_text())), ["compiler", *names])

    def test_a_part_is_recorded_anew(self):
        record = self.place / "record.json"
        names = list(guard.MEASURES)
        for words, same in ((["relayed"], 13), (["echo", "client"], 11), ([], 0)):
            with self.subTest(words=words):
                record.write_text(json.dumps({"compiler": "1.0", **dict.fromkeys(names, 1.0)}))
                measures = {name: lambda programs: 2.0 for name in names}
                with unittest.mock.patch.multiple(guard, RECORD=record, MEASURES=measures, compiler=lambda: "1.0"), \
                        unittest.mock.patch.object(counts, "missing_tools", lambda: []), \
                        contextlib.redirect_stdout(io.StringIO()):
                    self.assertEqual(guard.main(self.place, "--record", *words), 0)
                found = json.loads(record.read_text())
                self.assertEqual(list(found), ["compiler", *names])
                self.assertEqual(list(found.values()).count(1.0), same)
                self.assertTrue(all(found[name] == 2.0 for name in names if any(word in name for word in words)))


class Counting(Case):
    def test_a_client_is_counted_by_the_difference_of_two_runs(self):
        self.programs.add("epoll", LISTENS)
        self.programs.add("client", """\
            #!{python}
            import sys
            number = int(sys.argv[sys.argv.index("--echoes") + 1])
            print("Collected :", 1000 + 7 * number, file=sys.stderr)
            """)
        with unittest.mock.patch.object(counts, "CALLGRIND", []):
            self.assertEqual(counts.of_client(self.programs, ["client"], "instructions"), 7)


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    unittest.main()
