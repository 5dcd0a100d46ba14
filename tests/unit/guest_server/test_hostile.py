"""Garbage in both directions: the server always finds back, the host's end only ever loses the session."""

from __future__ import annotations

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_hyperv.backends.qemu.guest_channel import Channel
from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.guest_wire import (
    MAX_FRAME,
    SYNC,
    SYNCED,
    TOKEN,
    VERSION,
    Frame,
    Kind,
    WireError,
    encode,
)
from pytest_hyperv.errors import GuestError, SessionLost
from tests.unit.guest_server.conftest import ANSWER, LocalServer, reading_threads, synchronise

LETTERS = [bytes([code]) for code in range(256)]
HELLO = encode(Kind.HELLO, 0, struct.pack(">III", VERSION, 1 << 20, 1))


frames = st.builds(
    lambda kind, request, payload, length: struct.pack(">IIc", len(payload) + length, request, kind) + payload,
    st.sampled_from(LETTERS) | st.sampled_from([b"P", b"R", b"S", b"G", b"U", b"D", b"Z", b"W", b"K"]),
    st.integers(0, 5) | st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=40),
    st.sampled_from([0, 0, 0, 1, 1000, MAX_FRAME, 0xFFFFFF00]),
)
garbage = st.lists(st.binary(max_size=60) | frames | st.just(SYNC), max_size=8).map(b"".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=garbage)
def test_after_any_bytes_the_server_synchronises_again(server: LocalServer, data: bytes) -> None:
    sock = server.dial()
    if data:
        sock.sendall(data)
    session = GuestServer.connect(sock, ANSWER)
    session.ping(ANSWER)
    session.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=garbage)
def test_after_any_bytes_in_a_session_the_server_synchronises_again(server: LocalServer, data: bytes) -> None:
    sock = server.dial()
    synchronise(sock)
    if data:
        sock.sendall(data)
    session = GuestServer.connect(sock, ANSWER)
    session.ping(ANSWER)
    session.close()


def hostile_guest(theirs: socket.socket, before: bytes, after: bytes) -> None:
    """Answers a synchronisation, with bytes before and after the answer, and leaves."""
    request = b""
    while len(request) < len(SYNC) + TOKEN:
        request += theirs.recv(1024)
    theirs.sendall(before + SYNCED + request[len(SYNC) :] + HELLO)
    with theirs, suppress(OSError):
        theirs.recv(1024)
        theirs.sendall(after)
        theirs.shutdown(socket.SHUT_WR)
        while theirs.recv(1024):
            pass


@settings(max_examples=150, deadline=None)
@given(before=garbage, after=garbage)
def test_whatever_a_guest_sends_only_the_session_is_lost(before: bytes, after: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        guest = pool.submit(hostile_guest, theirs, before, after)
        session = GuestServer.connect(ours, ANSWER)
        with suppress(GuestError):
            session.run(["anything"], timeout=ANSWER)
        with pytest.raises(SessionLost):
            session.run(["anything"], timeout=ANSWER)
        session.close()
        guest.result(ANSWER)
    assert not reading_threads()


def answer_of(frame: bytes) -> SessionLost:
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        guest = pool.submit(hostile_guest, theirs, b"", frame)
        session = GuestServer.connect(ours, ANSWER)
        with pytest.raises(SessionLost) as caught:
            session.run(["anything"], timeout=ANSWER)
        session.close()
        guest.result(ANSWER)
    return caught.value


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (encode(Kind.STDOUT, 7, b"x"), "an answer to request 7, which nobody made"),
        (encode(Kind.EXIT, 1, b"x"), "does not answer request 1"),
        (encode(Kind.DONE, 1), "does not answer request 1"),
        (encode(Kind.STDOUT, 1, b""), "does not answer request 1"),
        (encode(Kind.BEGUN, 1, b"\0\0\0\1") * 2, "request 1 began twice"),
        (struct.pack(">IIc", MAX_FRAME + 1, 1, b"1"), "not a frame"),
        (encode(Kind.PING, 0), "belongs to no request"),
        (encode(Kind.FAILED, 0, b"x"), "has 1 bytes, at least 4"),
        (HELLO, "was started anew"),
    ],
)
def test_each_breach_of_the_protocol_is_named(frame: bytes, says: str) -> None:
    assert says in answer_of(frame).message


def test_more_than_was_granted_is_a_breach() -> None:
    channel = Channel(Kind.RUN, 1, may_send=0, may_receive=10)
    channel.deliver(Frame(Kind.STDOUT, 1, b"x" * 6))
    with pytest.raises(WireError, match="was sent 6 bytes, granted were 4"):
        channel.deliver(Frame(Kind.STDERR, 1, b"x" * 6))
    assert channel.grant_due(6) == 6
    channel.deliver(Frame(Kind.STDERR, 1, b"x" * 10))


def test_another_version_is_refused_with_advice() -> None:
    ours, theirs = socket.socketpair()
    hello = encode(Kind.HELLO, 0, struct.pack(">III", VERSION + 1, 1, 1))
    token = threading.Thread(
        target=lambda: theirs.sendall(SYNCED + theirs.recv(len(SYNC) + TOKEN)[len(SYNC) :] + hello)
    )
    token.start()
    with pytest.raises(SessionLost, match=f"speaks version {VERSION + 1}") as caught:
        GuestServer.connect(ours, ANSWER)
    assert "build it anew" in caught.value.hint
    token.join()
    ours.close()
    theirs.close()
