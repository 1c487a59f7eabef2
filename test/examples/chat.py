#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""chat: rooms, names, who is there and what was said; members that vanish, read slowly, flood or talk garbage."""

import ctypes
import socket
import struct
import time

import harness
from harness import Program, Server, case, check, check_equal

FAST = ("--pace", "1000000")  # lines a second
SO_ATTACH_FILTER = 26


class Member:
    """A client in the lobby."""

    def __init__(self, server, name, receive_buffer=None):
        self.name = name
        self.socket = server.connect(receive_buffer)
        self._input = b""
        self.expect("* your name?")
        self.say(name)
        check(self.line().startswith("* in lobby:"), "a place in the lobby")

    def say(self, *lines):
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def line(self):
        while b"\n" not in self._input:
            part = self.socket.recv(1 << 16)
            check(part, f"{self.name} was let go, after {self._input!r}")
            self._input += part
        line, _, self._input = self._input.partition(b"\n")
        return line.decode()

    def expect(self, *lines):
        for line in lines:
            check_equal(self.line(), line, f"what {self.name} hears")

    def expect_nothing(self, where):
        """Nothing but what it asks for: an answer comes after all that was heard before."""
        self.say("/names")
        self.expect("* in " + where)

    def join(self, room, *others):
        self.say(f"/join {room}")
        self.expect(f"* in {room}: " + " ".join(sorted((self.name, *others))))

    def history(self):
        self.say("/history")
        lines = []
        while (line := self.line()) != "* end of the history":
            lines.append(line)
        return lines

    def end(self):
        """What comes up to the FIN."""
        rest = self._input + harness.read_all(self.socket)
        self.socket.close()
        return rest.decode()

    def quit(self):
        self.say("/quit")
        return self.end()


def enter(server, *names):
    """They all know that all are there."""
    members = []
    for name in names:
        members.append(Member(server, name))
        for one in members[:-1]:
            one.expect(f"* {name} is here")
    return members


def vanish(peer):
    """From now on nothing reaches `peer`, so its kernel answers nothing: as if its network were gone."""
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF_RET: keep 0 bytes
    peer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(nothing)))


@case
def command_line():
    harness.check_command_line("chat", "--port", "--threads", "--sessions", "--rooms", "--history", "--queue", "--pace",
                               "--unit")
    harness.check_port_in_use("chat")


@case
def nc_is_a_client():
    server = Server("chat")
    ada = Program(harness.tool("nc"), "-N", "localhost", server.port)
    ada.send(b"ada\n")
    ada.expect(r"^\* in lobby: ada$")
    said = harness.run_tool("nc", "-N", "localhost", server.port, data=b"bob\nhello\r\n/history\n/quit\n")
    check_equal(said, b"* your name?\n* in lobby: ada bob\nbob: hello\n* end of the history\n", "what bob sees")
    for line in ("* bob is here", "bob: hello", "* bob has left"):
        check_equal(ada.line(), line + "\n", "what ada sees")
    ada.send(b"good bye\n/history\n")
    ada.end_input()
    check_equal(ada.finish().decode().splitlines()[-3:], ["bob: hello", "ada: good bye", "* end of the history"],
                "the answer to what nc -N has sent before its FIN")
    server.stop()


@case
def a_name_is_checked_and_belongs_to_one():
    server = Server("chat")
    ada, = enter(server, "ada")
    rule = "* a name has up to 20 letters, digits, - and _\n"
    for wrong in (b"", b"* ada", b"a b", b"x" * 21, b"\xc3\xa4", b"ada\0"):
        with server.connect() as peer:
            check_equal(harness.exchange(peer, (wrong + b"\n") * 4).decode(), "* your name?\n" + 3 * rule, f"{wrong!r}")
    with server.connect() as peer:
        peer.sendall(b"ada\nx_X-" + b"9" * 16 + b"\n/quit\n")
        check_equal(harness.read_all(peer).decode(),
                    f"* your name?\n* somebody has this name\n* in lobby: ada x_X-{'9' * 16}\n", "another name")
    ada.expect(f"* x_X-{'9' * 16} is here", f"* x_X-{'9' * 16} has left")
    ada.quit()
    enter(server, "ada")[0].quit()
    server.stop()


@case
def who_gives_no_name_is_let_go():
    server = Server("chat", "--unit", "10")
    with server.connect() as silent, server.connect() as slow:
        slow.sendall(b"*\n* a")
        harness.check_reset(silent, "no name")
        harness.check_reset(slow, "no second name")
    server.stop()


@case
def rooms_are_apart():
    server = Server("chat", *FAST)
    ada, bob, eve = enter(server, "ada", "bob", "eve")
    bob.join("den")
    for one in (ada, eve):
        one.expect("* bob has gone to den")
    ada.join("den", "bob")
    eve.expect("* ada has gone to den")
    bob.expect("* ada is here")
    bob.say("psst")
    ada.expect("bob: psst")
    eve.say("hello?")
    eve.expect_nothing("lobby: eve")
    ada.expect_nothing("den: ada bob")
    check_equal((eve.history(), ada.history()), (["eve: hello?"], ["bob: psst"]), "what is remembered")
    ada.say("/join den", "/join", "/join a b", "/jion x")
    ada.expect("* in den: ada bob", "* /join ROOM, /names, /history, /quit", "* a room has a name as members have",
               "* /join ROOM, /names, /history, /quit")
    bob.expect_nothing("den: ada bob")
    for one in (ada, bob, eve):
        one.quit()
    server.stop()


@case
def of_rooms_the_one_that_is_empty_longest_is_forgotten():
    server = Server("chat", "--rooms", "3", *FAST)
    ada, bob = enter(server, "ada", "bob")
    for room in ("one", "two", "lobby"):  # "one" is empty for longer than "two"
        ada.say(f"/join {room}", f"in {room}")
        ada.expect(f"* in {room}: ada" + " bob" * (room == "lobby"))
    bob.expect("* ada has gone to one", "* ada is here", "ada: in lobby")
    ada.join("three")
    bob.expect("* ada has gone to three")
    bob.join("two")
    check_equal(bob.history(), ["ada: in two"], "the room that is remembered")
    ada.join("lobby")
    ada.join("one")
    check_equal(ada.history(), [], "the room that was forgotten, as \"three\" is now")
    bob.say("/join four")
    bob.expect("* there are too many rooms")  # the lobby is empty, and stays
    bob.join("lobby")
    check_equal(bob.history(), ["ada: in lobby"], "the lobby")
    for one in (ada, bob):
        one.quit()
    server.stop()


@case
def a_room_remembers_its_last_messages():
    server = Server("chat", "--history", "5", *FAST)
    ada, = enter(server, "ada")
    ada.say(*(str(number) for number in range(20)))
    check_equal(ada.history(), [f"ada: {number}" for number in range(15, 20)], "history")
    ada.quit()
    bob, = enter(server, "bob")
    check_equal(len(bob.history()), 5, "what is remembered when nobody is left")
    bob.quit()
    server.stop()


@case
def all_hear_the_same_in_the_same_order():
    count, lines = 12, 40
    server = Server("chat", "--threads", "2", "--history", "10000", *FAST)
    members = enter(server, *(f"m{number}" for number in range(count)))

    def talk(number):
        members[number].say(*(f"line {line}" for line in range(lines)))
        return [members[number].line() for _ in range((count - 1) * lines)]

    heard = harness.in_parallel(talk, count)
    said = members[0].history()
    for number in range(count):
        own = f"m{number}: "
        check_equal([line for line in said if line.startswith(own)], [f"{own}line {line}" for line in range(lines)],
                    "the order of what one says")
        check_equal(heard[number], [line for line in said if not line.startswith(own)], f"what m{number} heard")
    for one in members:
        one.socket.close()
    server.stop()


@case
def nobody_writes_on_the_terminals_of_others():
    server = Server("chat", *FAST)
    ada, bob = enter(server, "ada", "bob")
    for said, heard in (("\x1b[2J\x07\x7f\0", "?[2J???"), ("\x9b2J\x85", "?2J?"), ("a\tb ä 你好 😀", "a\tb ä 你好 😀"),
                        ("\r* bob has left", "?* bob has left")):
        bob.say(said)
        ada.expect("bob: " + heard)
    for said, heard in ((b"\xff\xc3(\xc0\x80", "??(??"), (b"\xed\xa0\x80\xe2\x82", "?????"), (b"\xf5\x80", "??"),
                        (b"\xf4\x90\x80\x80", "????"), (b"\xe0\x80\xaf", "???")):
        bob.socket.sendall(said + b"\n")
        ada.expect("bob: " + heard)
    for one in (ada, bob):
        one.quit()
    server.stop()


@case
def who_vanishes_is_gone_in_bounded_time():
    server = Server("chat", "--unit", "100")  # 20 units are 2 s, the shortest time of a keepalive
    ada, quiet, addressed = enter(server, "ada", "quiet", "addressed")
    addressed.join("den")
    bob = Member(server, "bob")
    bob.join("den", "addressed")
    for lost in (quiet, addressed):
        vanish(lost.socket)
    bob.say("are you there?")  # now bytes are under way to one of them, and none to the other
    while bob.line() != "* addressed is gone: its network does not answer":
        pass
    while ada.line() != "* quiet is gone: its network does not answer":
        pass
    ada.expect_nothing("lobby: ada")
    for one in (ada, bob):
        one.quit()
    server.expect_error(r" quiet: ")
    server.stop()
    for lost in (quiet, addressed):
        lost.socket.close()


@case
def other_ends_have_their_words():
    server = Server("chat")
    ada, bob, cyd, dan = enter(server, "ada", "bob", "cyd", "dan")
    harness.reset(bob.socket)
    for one in (ada, cyd, dan):
        check(one.line().startswith("* bob is gone: "), "a reset")
    cyd.socket.sendall(b"half a li")
    cyd.socket.shutdown(socket.SHUT_WR)
    for one in (ada, dan):
        check(one.line().startswith("* cyd is gone: "), "the end of a line is missing")
    ada.say("x" * 999)
    dan.expect("ada: " + "x" * 999)
    dan.socket.sendall(b"x" * 1000)
    check(ada.line().startswith("* dan is gone: "), "a line of 1000 bytes without its end")
    ada.quit()
    server.stop()


@case
def who_does_not_read_has_a_bound_and_holds_up_nobody():
    server = Server("chat", "--queue", "100000", *FAST)
    ada, bob = enter(server, "ada", "bob")
    deaf = Member(server, "deaf", receive_buffer=4096)
    for one in (ada, bob):
        one.expect("* deaf is here")
    said = 0
    while True:
        ada.say("x" * 990)
        said += 1
        line = bob.line()
        if line.startswith("*"):
            break
        check_equal(line, "ada: " + "x" * 990, "what bob hears at once")
    check_equal(line, "* deaf is gone: reads too slowly", "what bob hears")
    # The queue, the kernel's buffer for it (which counts its overhead), and deaf's.
    check(80 < said < 1000, f"deaf had {said} KB unread")
    ada.expect(line)
    harness.check_reset(deaf.socket, "who does not read")
    for one in (ada, bob):
        one.quit()
    server.stop()


@case
def who_takes_nothing_for_too_long_is_let_go():
    server = Server("chat", "--queue", "1000000000", "--unit", "50", *FAST)
    ada, = enter(server, "ada")
    deaf = Member(server, "deaf", receive_buffer=4096)
    ada.expect("* deaf is here")
    for _ in range(500):
        ada.say("x" * 990)
    ada.expect("* deaf is gone: reads too slowly")
    deaf.socket.close()
    ada.quit()
    server.stop()


@case
def who_floods_is_held_back():
    server = Server("chat", "--pace", "40", "--threads", "1")
    ada, bob, flood = enter(server, "ada", "bob", "flood")
    began = time.monotonic()
    flood.say(*("x" for _ in range(50)))
    bob.say("me too")
    heard = [ada.line() for _ in range(51)]
    took = time.monotonic() - began
    check(took >= 28 / 40, f"20 lines at once and 30 lines at 40 a second took {took} s")
    check(heard.index("bob: me too") < 50, "bob waits for nobody")
    for one in (ada, bob, flood):
        one.socket.close()
    server.stop()


@case
def misbehaving_clients_disturb_nobody():
    server = Server("chat", "--unit", "100", *FAST)
    honest = enter(server, *(f"honest{number}" for number in range(4)))
    for number, one in enumerate(honest):
        before = honest[:number]
        one.expect(*(f"* {other.name} has gone to quiet" for other in before))
        one.join("quiet", *(other.name for other in before))
        for other in before:
            other.expect(f"* {one.name} is here")
    others = [server.connect(4096) for _ in range(70)]
    for number, peer in enumerate(others):
        name = b"other%d\n" % number
        kind = number % 7
        if kind == 1:
            peer.sendall(b"dri")  # and never more
        elif kind == 2:
            peer.sendall(name + b"bye\n")
            harness.reset(peer)
        elif kind == 3:
            peer.sendall(name + b"/history\n" * 100)  # it reads none of it
        elif kind == 4:
            peer.sendall(name + b"hello\n" + b"half a l")
            peer.shutdown(socket.SHUT_WR)
        elif kind == 5:
            peer.sendall(name + bytes(range(256)) * 20)
        elif kind == 6:
            peer.sendall(name + b"/join quiet2\n/join lobby\n" * 20)
            vanish(peer)
        if number % 10 == 9:
            for speaker in honest:
                speaker.say(f"{number}")
                for one in honest:
                    if one is not speaker:
                        one.expect(f"{speaker.name}: {number}")
    # The silent ones are let go by time, as is who vanished. Who reads nothing may stay: it holds a bounded queue.
    for peer in others[3::7]:
        peer.close()
    harness.wait_until(lambda: server.sessions() == len(honest), "the end of the others")
    for one in honest:
        one.expect_nothing("quiet: honest0 honest1 honest2 honest3")
    for one in honest:
        one.quit()
    for peer in others:
        peer.close()
    server.stop()


@case
def sigterm_tells_all_and_ends_them():
    server = Server("chat")
    members = enter(server, *(f"m{number}" for number in range(6)))
    server.begin_drain()
    for one in members:
        check_equal(one.end(), "* the server stops\n", "the last words, and the FIN")
    server.finish_drain(finished=6)


if __name__ == "__main__":
    harness.main()
