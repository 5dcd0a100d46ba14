"""Streams: back-pressure in both directions, large data, and programs driven while they run."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.guest_wire import SYNC
from pytest_hyperv.errors import CommandTimeout
from tests.unit.guest_server.conftest import ANSWER, LocalServer, gone

MEGABYTE = random.Random(7).randbytes(1_000_000)


def fifty_megabytes() -> Iterator[bytes]:
    """Pieces that come one at a time, so that nobody needs to hold them all."""
    for number in range(50):
        yield number.to_bytes(4, "big") + MEGABYTE


def test_fifty_megabytes_in_keep_their_digest(session: GuestServer) -> None:
    digest = hashlib.sha256(b"".join(fifty_megabytes())).hexdigest()
    assert session.run(["sha256sum"], input=fifty_megabytes()).stdout.split()[0] == digest


def test_fifty_megabytes_there_and_back_keep_their_digest(session: GuestServer) -> None:
    result = session.run(["cat"], input=fifty_megabytes())
    assert hashlib.sha256(result.stdout_bytes).digest() == hashlib.sha256(b"".join(fifty_megabytes())).digest()


def test_the_synchronisation_mark_is_data_like_any_other(session: GuestServer) -> None:
    data = (SYNC + b"0123456789abcdef") * 1000 + SYNC
    assert session.run(["cat"], input=data).stdout_bytes == data


def test_a_program_that_reads_no_more_does_not_hold_the_run(session: GuestServer) -> None:
    assert session.run(["head", "-c", "4"], input=fifty_megabytes(), timeout=ANSWER).stdout_bytes == b"\0\0\0\0"


def test_a_flood_that_nobody_reads_blocks_neither_others_nor_memory(server: LocalServer, session: GuestServer) -> None:
    flood = session.spawn(["yes"])
    assert session.run(["echo", "calm"], timeout=ANSWER).stdout == "calm\n"
    session.ping(ANSWER)
    assert server.resident() < 64 * 1024 * 1024
    total = 0
    while total < 5_000_000:
        piece = flood.read(ANSWER)
        assert piece is not None
        total += len(piece[1])
    flood.kill()
    assert flood.wait(ANSWER) == 128 + 9


def test_output_that_waits_for_a_slow_reader_is_not_lost_when_the_program_ends(session: GuestServer) -> None:
    process = session.spawn(["head", "-c", "3000000", "/dev/zero"])
    with pytest.raises(CommandTimeout):
        process.wait(2.5)
    total = 0
    while (piece := process.read(ANSWER)) is not None:
        total += len(piece[1])
    assert (total, process.wait(ANSWER)) == (3_000_000, 0)


def test_a_program_that_is_killed_while_its_output_waits_for_a_reader_ends(session: GuestServer) -> None:
    process = session.spawn(["head", "-c", "3000000", "/dev/zero"])
    with pytest.raises(CommandTimeout):
        process.wait(1.0)
    process.kill()
    assert process.wait(ANSWER) == 128 + 9
    assert session.run(["echo", "calm"], timeout=ANSWER).stdout == "calm\n"


def test_a_program_can_be_talked_with(session: GuestServer) -> None:
    process = session.spawn(["cat"])
    process.write(b"ping")
    assert process.read(ANSWER) == (1, b"ping")
    process.write(b"pong")
    assert process.read(ANSWER) == (1, b"pong")
    process.close_stdin()
    assert process.read(ANSWER) is None
    assert process.read(ANSWER) is None
    assert process.wait(ANSWER) == 0


def test_waiting_in_vain_leaves_the_program_running(session: GuestServer) -> None:
    process = session.spawn(["sh", "-c", "read x; exit 5"])
    with pytest.raises(CommandTimeout, match="still runs"):
        process.wait(0.05)
    with pytest.raises(CommandTimeout, match="still runs"):
        process.read(0.05)
    process.write(b"\n")
    assert process.wait(ANSWER) == 5


def test_input_for_a_program_that_ended_goes_nowhere(session: GuestServer) -> None:
    process = session.spawn(["true"])
    assert process.wait(ANSWER) == 0
    process.write(b"x" * 3_000_000)
    process.close_stdin()
    process.kill()
    assert process.read(ANSWER) is None


def test_kill_ends_the_whole_tree(session: GuestServer) -> None:
    process = session.spawn(["sh", "-c", "sh -c 'sleep 1000 & echo $!; wait' & (setsid sleep 1000 & echo $!); wait"])
    text = b""
    while text.count(b"\n") < 2:
        piece = process.read(ANSWER)
        assert piece is not None
        text += piece[1]
    process.kill()
    assert process.wait(ANSWER) == 128 + 9
    assert all(gone(int(pid)) for pid in text.split())
