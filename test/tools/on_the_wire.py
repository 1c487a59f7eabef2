#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Pictures, traces and packets against an independent capture: tshark, in the same network namespace, sees the same segments, one for
one: direction, flags, payload, sequence and acknowledgement numbers.

Run as on_the_wire.py <directory of the built examples> <path of duet-trace> [<case>...]. Each scene has a network of its own.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import harness  # pylint: disable=wrong-import-position
from harness import Failure, Program, Skip, case, check, check_equal, tool, wait_until  # pylint: disable=wrong-import-position

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
FIELDS = ["udp.payload", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "tcp.flags", "tcp.len",
          "tcp.seq_raw", "tcp.ack_raw"]
MARKS = 9  # the UDP port that marks are sent to


def send_marks():
    """In a network namespace: bring the loopback interface up, and send each line of standard input over it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    marks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("up", flush=True)
    for line in sys.stdin:
        with contextlib.suppress(ConnectionRefusedError):  # of the mark before: nobody listens
            marks.sendto(line.strip().encode(), ("127.0.0.1", MARKS))
        print("sent", flush=True)


class Network:
    """A network namespace of its own, and tshark in it."""

    def __init__(self):
        self.marker = Program(tool("unshare"), "--net", sys.executable, "-B", __file__, "--marks")
        if self.marker.line() is None:
            raise Skip(f"a network namespace is refused: {self.marker.errors.strip()}")
        self.inside = [tool("nsenter"), f"--net=/proc/{self.marker.pid}/ns/net"]
        self.tshark = Program(*self.inside, tool("tshark"), "-i", "lo", "-n", "-l", "-f", f"tcp or udp port {MARKS}", *fields())
        self.seen = []
        self.marks = 0
        # It captures from some time on.
        wait_until(lambda: self.mark() and self.seen, "the beginning of tshark's capture")
        self.mark(wait=True)
        self.seen.clear()

    def mark(self, wait=False):
        """Send a mark, and read what tshark has printed by then; with `wait`, up to the mark."""
        self.marks += 1
        text = f"mark {self.marks}"
        self.marker.send(text.encode() + b"\n")
        self.marker.line()
        if self.tshark.process.poll() is not None:
            raise Skip(f"tshark does not capture: {self.tshark.errors.strip()}")
        while wait or self.tshark.says_something():
            line = self.tshark.line()
            if line is None:
                raise Skip(f"tshark does not capture: {self.tshark.errors.strip()}")
            packet = packet_of(line)
            self.seen.append(packet)
            if packet == text:
                break
        return text

    def packets(self):
        """What tshark has seen since the beginning, marks left out."""
        self.mark(wait=True)
        return [packet for packet in self.seen if not isinstance(packet, str)]


def fields():
    words = ["-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    for each in FIELDS:
        words += ["-e", each]
    return words


def packet_of(line):
    """(from, to, flags, payload, sequence, acknowledgement) of a line of tshark's; the text of a mark."""
    payload, source, source6, port, target, target6, to_port, flags, size, sequence, acknowledgement = line.rstrip("\n").split("|")
    if payload:
        return bytes.fromhex(payload.replace(":", "")).decode()
    flags = int(flags, 16) & 0xff
    return (ends(source or source6, port), ends(target or target6, to_port), flags, int(size), int(sequence),
            int(acknowledgement) if flags & FLAGS["ACK"] else 0)


def ends(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def trace_of(file):
    """The sessions by their numbers, and the events."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return ({line["number"]: line for line in lines if line["line"] == "session"},
            [line for line in lines if line["line"] == "event"])


def segments_of(file):
    """The segments of a trace as packet_of() tells packets."""
    sessions, events = trace_of(file)
    result = []
    for event in events:
        segment = event.get("segment")
        if segment is None:
            continue
        client, server = client_and_server(event, sessions)
        if not segment.get("from_client", True):
            client, server = server, client
        flags = sum(FLAGS[name] for name in segment.get("flags", []))
        result.append((client, server, flags, segment.get("bytes", 0), segment.get("sequence", 0),
                       segment.get("acknowledgement", 0)))
    return result


def client_and_server(event, sessions):
    one = sessions.get(event.get("session", 0))
    if one is None:
        between = event["text"].split(" > ")
        return between if event["segment"].get("from_client", True) else between[::-1]
    between = [one["local"], one["remote"]]
    return between if one.get("client", False) else between[::-1]


def packets_of(file):
    """The packets of a capture file as packet_of() tells them."""
    read = subprocess.run([tool("tshark"), "-n", "-r", file, *fields()], check=True, capture_output=True)
    return [packet_of(line) for line in read.stdout.decode().splitlines()]


def arrows_of(file, number):
    """Direction, flags and payload of each arrow in the picture of a session. A long payload is rounded."""
    drawn = subprocess.run([TOOL, "view", file, "--session", str(number), "--all", "--format", "mermaid"], check=True,
                           capture_output=True).stdout.decode()
    result = []
    for line in drawn.splitlines():
        arrow = re.match(r" *([CS])-+[>x)]+[CS]: ((?:[A-Z]{3}(?:, )?)+)(?: ([0-9.]+ (?:bytes?|kB|MB)))?", line)
        if arrow:
            flags = sum(FLAGS[name] for name in re.findall("[A-Z]{3}", arrow.group(2)))
            result.append((arrow.group(1) == "C", flags, arrow.group(3) or ""))
    return result


def payload_text(size):
    """As pictures tell it."""
    if size < 10_000:
        return {0: "", 1: "1 byte"}.get(size, f"{size} bytes")
    for scale, unit in ((1e6, "MB"), (1e3, "kB")):
        if size >= scale:
            value = size / scale
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            text = f"{value:.{digits}f}"
            return (text.rstrip("0").rstrip(".") if digits else text) + " " + unit
    raise AssertionError(size)


def check_pictures(file):
    """The picture of each connection has the segments of the trace, one for one, in their order."""
    sessions, events = trace_of(file)
    for number in sessions:
        wanted = [(segment.get("from_client", True), sum(FLAGS[name] for name in segment["flags"]),
                   payload_text(segment.get("bytes", 0)))
                  for segment in (event["segment"] for event in events
                                  if event.get("session") == number and event["kind"] == "segment")]
        if wanted:
            check_equal(sorted(arrows_of(file, number)), sorted(wanted), f"arrows of session {number}")
            for from_client in True, False:
                check_equal([arrow for arrow in arrows_of(file, number) if arrow[0] == from_client],
                            [arrow for arrow in wanted if arrow[0] == from_client], f"arrows of session {number}, one way")


def show(packet):
    return " ".join(str(word) for word in packet)


def check_same(got, wanted, what):
    """`got` is what tshark has seen; it may go on when `wanted` has ended, as TCP does when a program has ended."""
    for index, packet in enumerate(wanted):
        if index >= len(got) or got[index] != packet:
            lines = [f"  {'=' if a == b else '!'} {show(a) if a else '-'}    {show(b) if b else '-'}"
                     for a, b in zip(got + [None] * len(wanted), wanted)]
            raise Failure(f"{what}: tshark (left) and the trace differ at packet {index + 1}\n" + "\n".join(lines))


def play(scene, here):
    """A scene in the same network as tshark: what makes a network of its own is told that it has one."""
    network = Network()
    trace, packets = here / f"{scene}.jsonl", here / f"{scene}.pcapng"
    # A leak cannot be looked for in a program that is traced.
    sanitizer = "ASAN_OPTIONS=" + ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
    program = Program(*network.inside, "env", sanitizer, tool("strace"), "-f", "--seccomp-bpf", "-qq", "-e", "trace=unshare", "-e",
                      "inject=unshare:retval=0", "-o", os.devnull, harness.example("lifecycle"), "--scene", scene, "--tap",
                      "--trace", trace, "--pcap", packets)
    program.end_input()
    program.finish()
    seen = network.packets()
    wanted = segments_of(trace)
    check(wanted, f"{scene}: the trace has no segments")
    check_same(seen, wanted, scene)
    check_equal(packets_of(packets), wanted, f"{scene}: the packets in the file")
    check_pictures(trace)
    return len(wanted)


@contextlib.contextmanager
def http_server(network, here):
    """python -m http.server with a file of 300,000 bytes; its port."""
    (here / "file").write_bytes(bytes(range(250)) * 1200)
    server = Program(*network.inside, sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", here, "0")
    yield int(server.expect(r" port (\d+)").group(1))
    server.kill()


def through_proxy(network, here, *options):
    """Let curl talk with python -m http.server; returns the traces of the connection of curl, and of that to the server."""
    with http_server(network, here) as port:
        proxy = Program(*network.inside, TOOL, "proxy", "--listen", "0", "--connect", f"127.0.0.1:{port}", "--once", "--format",
                        "jsonl", *options)
        address = proxy.expect(r"^listening on (.*)$").group(1)
        curl = Program(*network.inside, tool("curl"), "--silent", "--show-error", f"http://{address}/file")
        curl.end_input()
        check_equal(curl.finish(), (here / "file").read_bytes(), "what curl has fetched")
        said = proxy.finish().decode()
    traces = []
    for number, text in enumerate(re.split(r"^(?={\"line\":\"duet_trace\")", said, flags=re.M)[1:]):
        traces.append(here / f"{number}.jsonl")
        traces[-1].write_text(text, encoding="utf-8")
    check_equal(len(traces), 2, "connections of the proxy")
    return traces


def between(packets, trace):
    """The packets between the ends of a trace's session."""
    sessions, _ = trace_of(trace)
    one = next(iter(sessions.values()))
    return [packet for packet in packets if {packet[0], packet[1]} == {one["local"], one["remote"]}]


@case
def a_captured_proxy_has_the_segments_that_tshark_sees():
    with tempfile.TemporaryDirectory() as name:
        network = Network()
        traces = through_proxy(network, pathlib.Path(name), "--tap")
        seen = network.packets()
        for trace in traces:
            wanted = segments_of(trace)
            check(len(wanted) > 10, f"{len(wanted)} segments")
            check_same(between(seen, trace), wanted, trace.name)
            check_pictures(trace)


def in_sum(packets):
    """For each direction, by who is first: SYN, bytes, FIN and RST in their order, however the bytes are cut."""
    result = [[], []]
    for packet in packets:
        way = result[packet[0] != packets[0][0]]
        for name in "SYN", "RST":
            if packet[2] & FLAGS[name]:
                way.append(name)
        if packet[3]:
            if way and isinstance(way[-1], int):
                way[-1] += packet[3]
            else:
                way.append(packet[3])
        if packet[2] & FLAGS["FIN"]:
            way.append("FIN")
    return result


@case
def an_inferred_proxy_has_in_sum_what_tshark_sees():
    with tempfile.TemporaryDirectory() as name:
        network, here = Network(), pathlib.Path(name)
        traces = through_proxy(network, here)
        seen = network.packets()
        for trace in traces:
            subprocess.run([TOOL, "view", trace, "--out", here / "made.pcapng"], check=True, capture_output=True)
            wanted = in_sum(between(seen, trace))
            if not next(iter(trace_of(trace)[0].values())).get("client", False):
                # The proxy's trace of it begins when it has been accepted.
                check_equal([way.pop(0) for way in wanted], ["SYN", "SYN"], "the handshake of curl")
            check_equal(in_sum(packets_of(here / "made.pcapng")), wanted, f"{trace.name}, in sum")


def scene_cases():
    """A case for each scene, of the same name."""
    listed = subprocess.run([harness.example("lifecycle"), "--scenes"], check=True, capture_output=True).stdout.decode()
    for scene in (line.split()[0] for line in listed.splitlines()):
        def play_it(scene=scene):
            with tempfile.TemporaryDirectory() as here:
                play(scene, pathlib.Path(here))
        play_it.__name__ = scene
        case(play_it)


if __name__ == "__main__":
    if sys.argv[1:] == ["--marks"]:
        send_marks()
        sys.exit()
    if os.geteuid() != 0:  # in a user namespace of one's own, one is
        refused = subprocess.run([tool("unshare"), "-Urn", "true"], capture_output=True, check=False)
        if refused.returncode != 0:
            print("SKIPPED: a user namespace is refused: " + refused.stderr.decode().strip())
            sys.exit(harness.SKIPPED)
        os.execvp("unshare", ["unshare", "-Urn", sys.executable, "-B", *sys.argv])
    TOOL = str(pathlib.Path(sys.argv.pop(2)).absolute())
    scene_cases()
    harness.main()
