"""Which process is meant, and which processes carry a mark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pytest_hyperv.identity import ProcessIdentity, processes_loading, processes_marked

NAME = "PYTEST_HYPERV_TEST_MARK"


@contextmanager
def child(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits to be ended; its environment is in place."""
    program = "import sys; sys.stdout.write('up\\n'); sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process
        finally:
            process.kill()


def test_this_process_is_alive_and_itself() -> None:
    own = ProcessIdentity.own()
    assert own.pid == os.getpid()
    assert own == ProcessIdentity.own() == ProcessIdentity.of(os.getpid())
    assert own.alive()


def test_a_process_that_has_ended_is_dead_even_before_anybody_asked_for_its_exit_code() -> None:
    with child() as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        assert identity.alive()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert not identity.alive()
        assert ProcessIdentity.of(process.pid) is None
        process.wait()
        assert not identity.alive()


def test_another_process_of_the_same_number_is_another() -> None:
    assert not ProcessIdentity(os.getpid(), "another boot:1").alive()


@pytest.mark.skipif(sys.platform != "linux", reason="the name is read from /proc")
@pytest.mark.parametrize("name", ["a) Z 1 (b", "x y", "((", "\n"])
def test_a_processs_name_cannot_be_taken_for_its_state(name: str) -> None:
    program = (
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode()); "
        "sys.stdout.write('up\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        assert identity.alive()
        assert identity.started.rpartition(":")[2].isdigit()
        process.kill()


def test_exactly_the_processes_with_the_mark_are_found() -> None:
    with child(**{NAME: "one"}) as a, child(**{NAME: "one"}) as b, child(**{NAME: "two"}), child(OTHER="one"):
        found = processes_marked(NAME, "one")
        assert {process.pid for process in found} == {a.pid, b.pid}
    assert processes_marked(NAME, "one") == []


def test_a_grandchild_carries_the_mark_of_its_parent() -> None:
    program = "import subprocess; p = subprocess.Popen(['cat']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, NAME: "family"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        marked = {each.pid for each in processes_marked(NAME, "family")}
        assert marked == {process.pid, grandchild}
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def test_looking_at_every_process_of_the_machine_is_no_error() -> None:
    assert processes_marked(NAME, "of nobody") == []


@pytest.mark.skipif(sys.platform != "linux", reason="environments are read from /proc")
def test_a_young_process_without_an_environment_may_still_be_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["/bin/cat"], env={}, stdin=subprocess.PIPE) as bare, child(OTHER="one") as dressed:
        numbers = {each.pid for each in processes_loading()}
        assert bare.pid in numbers
        assert dressed.pid not in numbers
        monkeypatch.setattr("pytest_hyperv.identity.LOADED_WITHIN", 0.0)
        assert processes_loading() == []
