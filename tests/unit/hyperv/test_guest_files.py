"""Files of a Windows guest: in bounded pieces, whole or not at all, each way compared by a digest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_hyperv.backends.hyperv import guest_files
from pytest_hyperv.backends.hyperv.guest_files import Left
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CommandTimeout, CopyError
from tests.unit.hyperv.memory_files import MemoryLine

PATH = "C:\\folder\\Größe.bin"
BYTES = bytes(range(256)) * 2
CALL = 100


@pytest.fixture(params=[True, False], ids=["straight", "by way of the host"])
def line(request: pytest.FixtureRequest) -> MemoryLine:
    return MemoryLine(straight=request.param)


@pytest.fixture(autouse=True)
def small_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of a hundred bytes in the place of 32 MiB."""
    monkeypatch.setattr(guest_files, "CALL_BYTES", CALL)


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def sends(line: MemoryLine) -> list[list[int]]:
    """The sizes of the pieces of each call that carried the file."""
    return [sizes for sizes, call in zip(line.sent, line.calls, strict=True) if "Offset" in call]


@pytest.mark.parametrize("size", [1, 7, CALL - 1, CALL, CALL + 1, 3 * CALL, len(BYTES)])
def test_a_file_arrives_as_it_is_in_calls_of_bounded_size(line: MemoryLine, size: int) -> None:
    guest_files.write(line, PATH, in_pieces(BYTES, size), 30)
    assert line.files == {PATH: BYTES}
    assert all(sum(sizes) <= CALL for sizes in sends(line))
    offsets = [call["Offset"] for call in line.calls if "Offset" in call]
    assert offsets == [sum(map(sum, sends(line)[:number])) for number in range(len(offsets))]


def test_small_pieces_share_a_call(line: MemoryLine) -> None:
    guest_files.write(line, PATH, in_pieces(bytes(95), 10), 30)
    assert sends(line) == [[10] * 9 + [5]]


def test_a_piece_larger_than_a_call_is_cut(line: MemoryLine) -> None:
    guest_files.write(line, PATH, [bytes(250)], 30)
    assert sends(line) == [[100], [100], [50]]


def test_the_limit_of_a_call_is_what_a_host_may_hold_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert guest_files.CALL_BYTES == 32 * 1024 * 1024
    line = MemoryLine()
    guest_files.write(line, PATH, [bytes(33 * 1024 * 1024)], 30)
    assert sends(line) == [[32 * 1024 * 1024], [1024 * 1024]]


@pytest.mark.parametrize("data", [[], [b""], [b"", b""]])
def test_an_empty_file_is_made(line: MemoryLine, data: list[bytes]) -> None:
    """By way of the host the script says nothing at all when it gets no input, and makes the file all the same."""
    guest_files.write(line, PATH, data, 30)
    assert line.files == {PATH: b""}
    assert list(guest_files.read(line, PATH, 30)) == []


def test_a_file_takes_the_place_of_the_old_one(line: MemoryLine) -> None:
    line.files[PATH] = b"old"
    guest_files.write(line, PATH, [b"new"], 30)
    assert line.files == {PATH: b"new"}


def test_a_copy_that_breaks_off_leaves_the_old_file(line: MemoryLine) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(250)
        raise OSError("the disk here failed")

    line.files[PATH] = b"old"
    with pytest.raises(OSError, match="the disk here failed"):
        guest_files.write(line, PATH, broken(), 30)
    assert line.files[PATH] == b"old"
    guest_files.write(line, PATH, [b"again"], 30)
    assert line.files == {PATH: b"again"}


@pytest.mark.parametrize("size", [1, CALL - 1, CALL, CALL + 1, len(BYTES)])
def test_a_file_is_read_as_it_is_in_calls_of_bounded_size(line: MemoryLine, size: int) -> None:
    line.files[PATH] = BYTES[:size]
    assert b"".join(guest_files.read(line, PATH, 30)) == BYTES[:size]
    *reads, digest = line.calls
    assert [(call["Offset"], call["Count"]) for call in reads] == [(at, CALL) for at in range(0, size, CALL)]
    assert digest == {"Path": PATH, "Offset": 0, "Digest": True}


class Meddler:
    """Does something to the files before the call of a number, counted from 1."""

    def __init__(self, number: int, change: str, data: bytes) -> None:
        self.line = MemoryLine(before=self)
        self._left, self._change, self._data = number, change, data

    def __call__(self, values: dict[str, Any]) -> None:
        self._left -= 1
        if self._left == 0:
            path = values["Path"] + (".part" if self._change == "part" else "")
            self.line.files[path] = self._data


def test_what_was_altered_on_its_way_into_the_guest_is_refused() -> None:
    line = Meddler(2, "part", b"altered").line
    with pytest.raises(CopyError, match="differs from what was sent") as refused:
        guest_files.write(line, PATH, [b"correct"], 30)
    assert refused.value.path == PATH
    assert refused.value.hint


def test_a_part_that_somebody_else_writes_to_is_refused() -> None:
    line = Meddler(2, "part", b"not a hundred").line
    with pytest.raises(CopyError, match=r"cannot be copied: the part of .* does not end at byte 100"):
        guest_files.write(line, PATH, [bytes(250)], 30)


def test_a_guest_that_took_less_than_was_sent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = MemoryLine()
    put = line._put
    monkeypatch.setattr(line, "_put", lambda path, offset, pieces: put(path, offset, pieces[:-1]))
    with pytest.raises(CopyError, match="0 bytes arrived of 100"):
        guest_files.write(line, PATH, [bytes(100)], 30)


def test_a_file_that_changes_while_it_is_read_is_refused() -> None:
    line = Meddler(3, "file", bytes(150)).line
    line.files[PATH] = b"x" * 150
    with pytest.raises(CopyError, match="changed while it was copied"):
        list(guest_files.read(line, PATH, 30))


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused() -> None:
    line = Meddler(2, "file", b"x" * 20).line
    line.files[PATH] = b"x" * 150
    with pytest.raises(CopyError, match="it ended at byte 100 of 20"):
        list(guest_files.read(line, PATH, 30))


def test_a_file_that_grows_while_it_is_read_is_read_to_its_new_end() -> None:
    line = Meddler(2, "file", b"x" * 300).line
    line.files[PATH] = b"x" * 150
    assert b"".join(guest_files.read(line, PATH, 30)) == b"x" * 300


def test_a_file_that_is_not_there_is_a_copy_error_in_the_guests_words(line: MemoryLine) -> None:
    with pytest.raises(CopyError, match=r"Größe\.bin cannot be copied: Could not find file") as refused:
        list(guest_files.read(line, PATH, 30))
    assert refused.value.path == PATH
    assert " failed: " not in refused.value.message


def test_the_first_pieces_are_handed_on_before_the_last_ones_are_asked_for() -> None:
    line = MemoryLine()
    line.files[PATH] = BYTES
    pieces = guest_files.read(line, PATH, 30)
    assert next(pieces) == BYTES[:4]
    assert len(line.calls) == 1


def test_each_call_gets_what_is_left_of_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    line = MemoryLine()
    guest_files.write(line, PATH, [bytes(250)], 30)
    assert line.timeouts == [29, 28, 27, 26]


def test_a_copy_that_takes_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(CommandTimeout, match=r"copying C:.*Größe\.bin took longer than 3 s") as late:
        guest_files.write(MemoryLine(), PATH, [bytes(1000)], 3)
    assert late.value.timeout == 3


def test_time_left_is_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 4.0, 5.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    left = Left(PATH, 5)
    assert left() == 1.0
    with pytest.raises(CommandTimeout):
        left()


def test_the_file_scripts_are_those_of_the_package(line: MemoryLine) -> None:
    for name in (line.put_script, line.finish_script, line.get_script):
        assert "param([string] $Path" in text(name)
