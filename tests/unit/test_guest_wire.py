"""The frames between host and guest, without any stream."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.backends.qemu.guest_wire import (
    ANSWERS,
    MAX_FRAME,
    PIECE,
    SYNC,
    SYNCED,
    TOKEN,
    Decoder,
    Frame,
    Hello,
    Kind,
    RunFlags,
    Synchroniser,
    WireError,
    clock_payload,
    data_frames,
    encode,
    path_payload,
    read_exit,
    read_facts,
    read_failure,
    read_hello,
    read_window,
    run_payload,
    window_payload,
)

kinds = st.sampled_from(sorted({kind for answers in ANSWERS.values() for kind in answers}))
frames = st.builds(Frame, kinds, st.integers(0, 0xFFFFFFFF), st.binary(max_size=300))
near_sync = st.lists(st.sampled_from([b"\xff\x00", b"\xff\xfe", b"\x00", b"\xff", SYNC, b"abc"]), max_size=40).map(
    b"".join
)
words = st.binary(max_size=30).map(lambda text: text.replace(b"\0", b"\xff"))


@given(sent=st.lists(frames, max_size=8), data=st.data())
def test_frames_survive_any_cutting(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode(frame.kind, frame.request, frame.payload) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = Decoder()
    seen: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        seen += decoder.feed(stream[start:end])
    assert seen == sent


@given(near_sync)
def test_data_frames_carry_everything_and_never_the_mark(data: bytes) -> None:
    cut = list(data_frames(1, data))
    assert all(SYNC not in frame for frame in cut)
    assert b"".join(frame[9:] for frame in cut) == data
    assert SYNC not in b"".join(cut)


def test_large_data_is_cut_into_pieces() -> None:
    assert [len(frame) - 9 for frame in data_frames(1, b"x" * (2 * PIECE + 1))] == [PIECE, PIECE, 1]


@given(
    argv=st.lists(words, min_size=1, max_size=5),
    cwd=words,
    env=st.dictionaries(words, words, max_size=3),
    request=st.integers(0, 0xFFFFFFFF),
    timeout=st.floats(0, 1e9),
    window=st.integers(0, 0xFFFFFFFF),
)
def test_commands_never_hold_the_mark(
    argv: list[bytes], cwd: bytes, env: dict[bytes, bytes], request: int, timeout: float, window: int
) -> None:
    payload = run_payload(argv, flags=RunFlags.STDIN, timeout=timeout, window=window, cwd=cwd, env=env)
    assert SYNC not in encode(Kind.RUN, request, payload)


def test_the_layout_of_a_command_is_the_documented_one() -> None:
    payload = run_payload([b"ls", b"-l"], flags=RunFlags.CONFIRM, timeout=1.5, window=9, cwd=b"/x", env={b"A": b"bc"})
    assert payload == (
        b"\2" + struct.pack(">II", 1500, 9) + b"\0\0\0\2/x" + b"\0\2" + b"\0\0\0\2ls\0\0\0\2-l" + b"\0\0\0\1A\0\0\0\2bc"
    )


def test_small_payloads_have_the_documented_layouts() -> None:
    assert path_payload(0o644, b"/a") == b"\0\0\x01\xa4/a"
    assert window_payload(5) == b"\0\0\0\5"
    assert clock_payload(1.25) == struct.pack(">qI", 1, 250_000_000)
    assert clock_payload(-0.5) == struct.pack(">qI", -1, 500_000_000)


def test_answers_are_read() -> None:
    assert read_hello(Frame(Kind.HELLO, 0, struct.pack(">III", 1, 2, 3))) == Hello(1, 2, 3)
    assert read_exit(Frame(Kind.EXIT, 1, b"\0\0\0\x8f\1")) == (143, 1)
    assert read_facts(Frame(Kind.DONE, 1, struct.pack(">IQ", 0o100644, 1 << 40))) == (0o100644, 1 << 40)
    assert read_failure(Frame(Kind.FAILED, 1, b"\0\0\0\2no \xff")) == (2, "no \ufffd")
    assert read_window(Frame(Kind.WINDOW, 1, b"\0\1\0\0")) == 65536


def test_what_cannot_be_a_frame_is_refused() -> None:
    with pytest.raises(WireError, match="not a frame"):
        list(Decoder().feed(struct.pack(">IIc", MAX_FRAME + 1, 1, b"1")))
    with pytest.raises(WireError, match="at most 1048576 bytes"):
        encode(Kind.DATA, 1, b"x" * (MAX_FRAME + 1))
    with pytest.raises(WireError, match="has 3 bytes, not 5"):
        read_exit(Frame(Kind.EXIT, 1, b"abc"))
    with pytest.raises(WireError, match="has 3 bytes, at least 4"):
        read_failure(Frame(Kind.FAILED, 1, b"abc"))


@given(before=st.binary(max_size=100) | near_sync, after=st.binary(max_size=50), cut=st.integers(0, 180))
def test_a_synchronisation_is_found_behind_anything(before: bytes, after: bytes, cut: int) -> None:
    token = bytes(range(TOKEN))
    synchroniser = Synchroniser(token)
    assert synchroniser.request == SYNC + token
    stream = before + SYNCED + b"another's token." + SYNCED + token + after
    first = synchroniser.feed(stream[:cut])
    rest = stream[cut:]
    assert (synchroniser.feed(rest) if first is None else first + rest) == after


def test_a_token_of_another_length_is_refused() -> None:
    with pytest.raises(WireError, match="has 16 bytes, this one 3"):
        Synchroniser(b"abc")
