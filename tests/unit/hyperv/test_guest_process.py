"""A program that runs in a Windows guest while the test goes on: its output, its end, its killing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_hyperv.backends.hyperv import guest_process
from pytest_hyperv.backends.hyperv.guest_process import LIFETIME, LineProcess
from pytest_hyperv.backends.hyperv.program import program_script
from pytest_hyperv.errors import (
    CmdletError,
    CommandFailed,
    CommandTimeout,
    GuestCrashed,
    GuestError,
    HypervError,
    SessionLost,
)
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.records import ErrorRecord
from pytest_hyperv.psrp.result import PowerShellResult
from tests.unit.hyperv.spoken_line import PATIENCE, SpokenLine

ARGV = ["tool.exe", "/x"]
SCRIPT = program_script(ARGV, data=None, cwd=None, env=None, timeout=0.0)
LOST = SessionLost("the session is gone")
CRASH = GuestCrashed("the guest crashed", machine="vm", kind="bugcheck", text="0x7E")
BRIEF = 0.05
"""Seconds of a wait that is meant to run out."""


def out(data: bytes, stream: int = 1) -> PSObject:
    return PSObject.of(Stream=stream, Data=data)


def end(code: int = 0) -> PSObject:
    return PSObject.of(ExitCode=code, TimedOut=False, ProcessId=4)


def spawned(line: SpokenLine, why: Callable[[SessionLost], Exception] = lambda lost: lost) -> LineProcess:
    return LineProcess(ARGV, line, SCRIPT, why)


def all_of(process: LineProcess) -> list[tuple[int, bytes]]:
    """Every piece until both streams end."""
    return list(pieces_of(process))


def pieces_of(process: LineProcess) -> Iterator[tuple[int, bytes]]:
    while (piece := process.read(PATIENCE)) is not None:
        yield piece


def test_output_comes_in_order_and_ends_with_none_again_and_again() -> None:
    process = spawned(SpokenLine(out(b"a"), out(b"x", 2), out(b"b"), end(3)))
    assert all_of(process) == [(1, b"a"), (2, b"x"), (1, b"b")]
    assert process.read(PATIENCE) is None
    assert process.read() is None
    assert process.wait(PATIENCE) == 3
    assert process.wait() == 3


def test_output_is_there_before_the_program_ends() -> None:
    go_on = threading.Event()
    process = spawned(SpokenLine(out(b"early"), go_on, out(b"late"), end()))
    assert process.read(PATIENCE) == (1, b"early")
    with pytest.raises(CommandTimeout, match=r"tool\.exe wrote nothing for 0\.05 s") as late:
        process.read(BRIEF)
    assert late.value.timeout == BRIEF
    go_on.set()
    assert process.read(PATIENCE) == (1, b"late")
    assert process.read(PATIENCE) is None


def test_it_runs_as_long_as_it_wants_over_a_line_of_its_own() -> None:
    line = SpokenLine(end())
    spawned(line).wait(PATIENCE)
    assert line.started == [(SCRIPT, LIFETIME)]
    assert line.closed.wait(PATIENCE)


def test_waiting_runs_out_and_leaves_the_program_running() -> None:
    go_on = threading.Event()
    line = SpokenLine(go_on, end(7))
    process = spawned(line)
    with pytest.raises(CommandTimeout, match=r"tool\.exe still runs after 0\.05 s"):
        process.wait(BRIEF)
    assert not line.run.stopped.is_set()
    assert not line.closed.is_set()
    go_on.set()
    assert process.wait(PATIENCE) == 7


def test_waiting_drops_output_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_process, "QUEUE", 4)
    process = spawned(SpokenLine(*[out(b"x")] * 100, end(5)))
    assert process.wait(PATIENCE) == 5


def test_a_program_waits_for_a_reader_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_process, "QUEUE", 4)
    line = SpokenLine(*[out(bytes([number])) for number in range(100)], end())
    process = spawned(line)
    first = process.read(PATIENCE)
    assert process._ended.wait(BRIEF) is False
    assert line.run.taken <= 4 + 2
    assert [first, *pieces_of(process)] == [(1, bytes([number])) for number in range(100)]


def test_a_killed_program_is_stopped_and_its_line_closed() -> None:
    line = SpokenLine(out(b"a"), threading.Event(), out(b"never"), end())
    process = spawned(line)
    process.kill()
    assert line.run.stopped.is_set()
    assert line.closed.is_set()
    assert (1, b"never") not in all_of(process)
    assert isinstance(process.wait(PATIENCE), int)


def test_killing_twice_and_after_the_end_is_fine() -> None:
    line = SpokenLine(end(2))
    process = spawned(line)
    assert process.wait(PATIENCE) == 2
    process.kill()
    process.kill()
    assert not line.run.stopped.is_set()
    assert process.wait(PATIENCE) == 2


def test_a_killed_program_that_nobody_read_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is full: the end must be told all the same."""
    monkeypatch.setattr(guest_process, "QUEUE", 4)
    line = SpokenLine(*[out(b"x")] * 100, end())
    process = spawned(line)
    process.kill()
    assert process._ended.wait(PATIENCE)
    assert len(all_of(process)) <= 4
    process.wait(PATIENCE)


def test_a_reader_that_waits_is_woken_by_the_killing() -> None:
    process = spawned(SpokenLine(threading.Event(), end()))
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(process.read()))
    reader.start()
    process.kill()
    reader.join(PATIENCE)
    assert found == [None]


def test_a_session_that_is_gone_does_not_keep_a_program_from_being_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = SpokenLine(threading.Event(), end())

    def lost() -> None:
        line.run.stopped.set()
        raise LOST

    monkeypatch.setattr(line.run, "stop", lost)
    process = spawned(line)
    process.kill()
    assert line.closed.is_set()


def test_a_lost_session_is_told_as_what_really_happened() -> None:
    asked: list[SessionLost] = []

    def why(lost: SessionLost) -> Exception:
        asked.append(lost)
        return CRASH

    process = spawned(SpokenLine(out(b"a"), LOST), why)
    assert process.read(PATIENCE) == (1, b"a")
    for _ in range(2):
        with pytest.raises(GuestCrashed):
            process.read(PATIENCE)
    with pytest.raises(GuestCrashed):
        process.wait(PATIENCE)
    assert asked == [LOST]


@pytest.mark.parametrize("failure", [CmdletError("odd"), CommandTimeout("a day is over", timeout=LIFETIME)])
def test_any_other_failure_is_told_as_it_is(failure: HypervError) -> None:
    line = SpokenLine(out(b"a"), failure)
    process = spawned(line)
    with pytest.raises(type(failure)) as raised:
        process.wait(PATIENCE)
    assert raised.value is failure
    assert line.closed.wait(PATIENCE)


def test_a_program_that_cannot_be_started_says_why() -> None:
    why = PowerShellResult(failure=ErrorRecord("The system cannot find the file specified"))
    process = spawned(SpokenLine(result=why))
    with pytest.raises(CommandFailed, match=r"tool\.exe cannot be started in the guest: The system cannot find"):
        process.read(PATIENCE)
    with pytest.raises(CommandFailed):
        process.wait(PATIENCE)


def test_a_line_that_refuses_the_script_is_closed() -> None:
    line = SpokenLine(refusal=LOST)
    with pytest.raises(SessionLost):
        spawned(line)
    assert line.closed.is_set()


def test_it_has_no_standard_input() -> None:
    process = spawned(SpokenLine(end()))
    process.close_stdin()
    with pytest.raises(GuestError, match="no standard input") as refused:
        process.write(b"x")
    assert "vm.run" in refused.value.hint
    process.wait(PATIENCE)


def test_no_thread_outlives_the_program() -> None:
    process = spawned(SpokenLine(out(b"a"), end()))
    process.wait(PATIENCE)
    until = time.monotonic() + PATIENCE
    for thread in [each for each in threading.enumerate() if each.name == "pytest-hyperv-tool.exe"]:
        thread.join(until - time.monotonic())
        assert not thread.is_alive()
