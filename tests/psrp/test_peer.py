"""The peer as it is carried into a guest: one folder, nothing but psrpcore, on standard streams or on a device."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psrpcore
import pytest

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipe_ends import PolledEnds
from pytest_hyperv.psrp.pipes import ProcessPipe
from tests.psrp.peer import vocabulary
from tests.psrp.roads import PROJECT, process_pipe

ISOLATED = """
import runpy, sys
sys.path[:0] = {paths!r}
sys.argv = ["peer", *{options!r}]
runpy.run_module("peer", run_name="__main__")
"""


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    """The folder above a copy of the peer."""
    shutil.copytree(PROJECT / "tests" / "psrp" / "peer", tmp_path / "peer")
    return tmp_path


def isolated(carried: Path, *options: str) -> list[str]:
    """The copy started with psrpcore's folder to import from and not ours, not even by accident."""
    paths = [str(carried), str(Path(psrpcore.__file__).parents[1])]
    return [sys.executable, "-I", "-c", ISOLATED.format(paths=paths, options=options)]


def test_a_copy_of_the_folder_runs_by_itself(carried: Path) -> None:
    imports = {line for path in carried.rglob("*.py") for line in path.read_text().splitlines() if "import" in line}
    assert [line for line in imports if "pytest_hyperv" in line or "tests." in line] == []
    with Session.open(ProcessPipe(isolated(carried), name="copy", cwd=carried), timeout=20) as session:
        assert session.run(Script(vocabulary.ECHO, "from the copy")).one == "from the copy"


class Terminal:
    """A pipe on the upper end of a pseudo-terminal: the nearest thing to a guest's port that every POSIX system has."""

    name = "terminal"

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        read, write = functools.partial(os.read, descriptor), functools.partial(os.write, descriptor)
        self._ends = PolledEnds(read, write, source=descriptor, sink=descriptor)

    def send(self, data: bytes, timeout: float) -> None:
        self._ends.send(data, timeout)

    def receive(self, timeout: float) -> bytes | None:
        try:
            return self._ends.receive(timeout)
        except OSError:
            return b""

    def diagnosis(self) -> str:
        return ""

    def close(self) -> None:
        self._ends.close()


@contextlib.contextmanager
def on_a_device(carried: Path) -> Iterator[Terminal]:
    """The copy on the lower end of a pseudo-terminal."""
    tty = pytest.importorskip("tty", reason="this system has no pseudo-terminals")
    upper, lower = os.openpty()
    tty.setraw(lower)
    argv = isolated(carried, "--device", os.ttyname(lower))
    with subprocess.Popen(argv, cwd=carried, stdin=subprocess.DEVNULL) as process:
        terminal = Terminal(upper)
        try:
            yield terminal
        finally:
            terminal.close()
            process.kill()
    os.close(upper)
    os.close(lower)


def test_a_device_carries_a_session(carried: Path) -> None:
    with on_a_device(carried) as terminal, Session.open(terminal, timeout=20) as session:
        assert session.run(Script(vocabulary.SUM), input=bytes(300_000)).one == 300_000
        assert [len(piece) for piece in session.run(Script(vocabulary.BYTES, 2, 100_000)).output] == [100_000] * 2


@pytest.mark.parametrize("line", [b"hello\n", b"<Data Stream='Default' PSGuid='x'>!</Data>\n", b"\n"])
def test_a_line_that_is_not_the_framing_ends_the_peer_as_it_ends_powershell(line: bytes) -> None:
    with process_pipe() as pipe:
        pipe.send(line, 20)
        assert pipe.receive(20) == b""
        assert "exited with code 160" in pipe.diagnosis()


def test_a_script_that_the_peer_does_not_know_says_so() -> None:
    with process_pipe() as pipe, Session.open(pipe, timeout=20) as session:
        failure = session.run(Script("Get-Weather")).failure
        assert failure is not None
        assert "does not know this script: Get-Weather" in failure.message


def test_a_session_that_breaks_off_ends_the_peer() -> None:
    with process_pipe() as pipe:
        session = Session.open(pipe, timeout=20)
        pipe.close()
        assert "exited with code 160" in pipe.diagnosis()
        with pytest.raises(SessionLost):
            session.run(Script(vocabulary.ECHO, "late"))
        session.close()
