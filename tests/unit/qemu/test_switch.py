"""The switch between machines: who gets which frame, and what a guest that means harm cannot do to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from pytest_hyperv.backends.qemu.cable import Cable
from pytest_hyperv.backends.qemu.switch import BACKLOG, HEAD, KNOWN, LONGEST, SHORTEST, Switch

PATIENCE = 20.0
EVERYONE = b"\xff" * 6


def mac(number: int) -> bytes:
    return b"\x02" + number.to_bytes(5, "big")


def frame(target: bytes, source: bytes, what: bytes = b"hello") -> bytes:
    return target + source + b"\x08\x00" + what


class Card:
    """A machine's end of the wire."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock, self.mac = sock, mac(number)
        sock.settimeout(PATIENCE)

    def send(self, target: bytes, what: bytes = b"hello") -> None:
        self.raw(frame(target, self.mac, what))

    def raw(self, sent: bytes) -> None:
        self.sock.sendall(len(sent).to_bytes(HEAD, "big") + sent)

    def take(self) -> bytes:
        """The next frame; b"" when the switch has hung up."""
        head = self._exactly(HEAD)
        return self._exactly(int.from_bytes(head, "big")) if head else b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                return b""
            data += piece
        return data


@pytest.fixture
def switch() -> Iterator[Switch]:
    made = Switch("test")
    yield made
    made.close()


@pytest.fixture
def cards(switch: Switch) -> Iterator[list[Card]]:
    """Three machines on one switch."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(3):
            ours, theirs = socket.socketpair()
            switch.attach(ours)
            made.append(Card(stack.enter_context(theirs), number))
        yield made


def introduce(cards: list[Card]) -> None:
    """Have each be known to the switch."""
    for card in cards:
        card.send(EVERYONE, b"here I am")
        for other in cards:
            if other is not card:
                assert other.take() == frame(EVERYONE, card.mac, b"here I am")


def test_a_frame_for_everyone_reaches_all_others_and_not_its_sender(cards: list[Card]) -> None:
    introduce(cards)


def test_a_frame_for_one_goes_to_that_one_alone_once_it_is_known(cards: list[Card]) -> None:
    one, two, three = cards
    introduce(cards)
    one.send(two.mac, b"for two")
    one.send(three.mac, b"for three")
    assert two.take() == frame(two.mac, one.mac, b"for two")
    assert three.take() == frame(three.mac, one.mac, b"for three")


def test_a_frame_for_somebody_unknown_goes_to_all_others(cards: list[Card]) -> None:
    one, two, three = cards
    one.send(mac(99))
    assert two.take() == three.take() == frame(mac(99), one.mac)


def test_frames_that_come_in_pieces_and_together_arrive_whole(cards: list[Card]) -> None:
    one, two, _ = cards
    longest = frame(EVERYONE, one.mac, b"x" * (LONGEST - SHORTEST))
    short = frame(EVERYONE, one.mac, b"")
    stream = b"".join(len(each).to_bytes(HEAD, "big") + each for each in (short, longest, short))

    def send() -> None:
        for place in range(0, len(stream), 999):
            one.sock.sendall(stream[place : place + 999])

    sender = threading.Thread(target=send)
    sender.start()
    assert [two.take(), two.take(), two.take()] == [short, longest, short]
    sender.join()


@pytest.mark.parametrize("length", [0, SHORTEST - 1, LONGEST + 1, 2**32 - 1])
def test_a_length_that_no_frame_has_ends_that_machines_wire_and_no_other(cards: list[Card], length: int) -> None:
    one, two, three = cards
    one.sock.sendall(length.to_bytes(HEAD, "big") + b"y" * 20)
    with contextlib.suppress(ConnectionError):
        assert one.take() == b""
    two.send(EVERYONE)
    assert three.take() == frame(EVERYONE, two.mac)


def test_a_machine_that_does_not_read_holds_up_nobody_and_costs_a_bounded_buffer(cards: list[Card]) -> None:
    one, two, three = cards
    introduce(cards)
    big = b"z" * 60_000
    rounds = 3 * BACKLOG // len(big)
    for _ in range(rounds):
        one.send(EVERYONE, big)
        assert three.take() == frame(EVERYONE, one.mac, big)
    one.send(two.mac, b"one more")
    two.sock.settimeout(0.5)
    got = 0
    with contextlib.suppress(TimeoutError):
        while two.take():
            got += 1
    assert 0 < got < rounds


def test_a_machine_that_makes_up_addresses_does_not_keep_others_from_talking(cards: list[Card]) -> None:
    one, two, three = cards
    introduce(cards)
    for number in range(KNOWN + 10):
        one.raw(frame(one.mac, mac(1000 + number)))
    one.send(three.mac, b"last")
    while three.take() != frame(three.mac, one.mac, b"last"):  # what went to all while nobody was known
        pass
    two.send(three.mac, b"still there")
    assert three.take() == frame(three.mac, two.mac, b"still there")


def test_a_machine_that_ends_is_forgotten(cards: list[Card]) -> None:
    one, two, three = cards
    introduce(cards)
    two.sock.close()
    one.send(two.mac, b"anybody")
    one.send(three.mac, b"you")
    seen = [three.take()]
    if seen[0] == frame(two.mac, one.mac, b"anybody"):  # the end of two was seen first: its address is unknown again
        seen = [three.take()]
    assert seen == [frame(three.mac, one.mac, b"you")]


def test_the_end_of_the_switch_hangs_up_on_all_and_leaves_no_thread(switch: Switch, cards: list[Card]) -> None:
    introduce(cards)
    switch.close()
    switch.close()
    assert [card.take() for card in cards] == [b"", b"", b""]
    assert not [thread for thread in threading.enumerate() if thread.name == "pytest-hyperv-test"]


def end_of(cable: Cable) -> socket.socket:
    end = cable.new_end()
    assert end is not None
    return end


def test_a_cable_leads_to_the_switch_in_every_life_of_its_machine(switch: Switch, cards: list[Card]) -> None:
    cable = Cable(there=True)
    first = Card(end_of(cable), 7)
    first.send(EVERYONE, b"before")
    cable.plug_into(switch)
    cable.plug_into(switch)
    assert cards[0].take() == frame(EVERYONE, first.mac, b"before")
    first.sock.close()
    second = Card(end_of(cable), 8)
    second.send(EVERYONE, b"again")
    assert cards[0].take() == frame(EVERYONE, second.mac, b"again")
    second.sock.close()
    cable.drop()


def test_an_end_that_leads_nowhere_says_so() -> None:
    end = Cable(there=True).loose_end()
    assert end is not None
    with end:
        assert end.recv(1) == b""


def test_a_machine_without_a_private_network_has_no_cable() -> None:
    assert Cable(there=False).new_end() is None
    assert Cable(there=False).loose_end() is None


def test_a_cable_that_was_never_plugged_in_is_let_go_of() -> None:
    cable = Cable(there=True)
    with end_of(cable) as end:
        cable.drop()
        assert end.recv(1) == b""
