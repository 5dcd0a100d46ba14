"""Host programs: every way they end is told, and none outlives who started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pytest_hyperv.errors import ImageError
from pytest_hyperv.programs import run_program


def test_output_input_and_accepted_codes() -> None:
    assert run_program(["cat"], input="hello", timeout=30) == "hello"
    assert run_program(["sh", "-c", "echo out; exit 3"], timeout=30, accepted=(0, 3)) == "out\n"


def test_a_missing_program_names_setup() -> None:
    with pytest.raises(ImageError, match="no-such-program is not installed") as missing:
        run_program(["no-such-program"], timeout=30, image="debian-12")
    assert missing.value.hint == "Run: pytest-hyperv setup"
    assert missing.value.image == "debian-12"


def test_a_failure_quotes_the_last_lines() -> None:
    with pytest.raises(ImageError, match="sh failed with status 4") as failed:
        run_program(["sh", "-c", "seq 100 >&2; exit 4"], timeout=30)
    assert "\n  100" in failed.value.message
    assert "\n  50\n" not in failed.value.message


def test_a_full_disk_is_told_as_such() -> None:
    with pytest.raises(ImageError, match="The disk is full") as full:
        run_program(["sh", "-c", "echo tool: No space left on device >&2; exit 1"], timeout=30)
    assert "PYTEST_HYPERV_CACHE" in full.value.hint


def started_by(fifo: Path) -> psutil.Process:
    """The process that writes its number into the fifo."""
    with fifo.open() as written:
        return psutil.Process(int(written.readline()))


def runs(number: int) -> bool:
    """Whether a process of that number runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


LASTS = "trap '' TERM; (echo $$ > {fifo}; sleep 300) & wait"
"""A script that lasts, ignores a polite signal, and has a child of its own."""


def test_a_program_out_of_time_is_killed_with_all_it_started(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    with pytest.raises(ImageError, match="did not end within 1 s"):
        run_program(["sh", "-c", f"sleep 300 & echo $$ $! > {numbers}; wait"], timeout=1)
    started = [int(number) for number in numbers.read_text().split()]
    assert len(started) == 2
    assert not [number for number in started if runs(number)]


def test_a_program_dies_with_a_caller_that_is_killed(fifo: Path) -> None:
    script = (
        "from pytest_hyperv.programs import run_program\n"
        f"run_program(['sh', '-c', {LASTS.format(fifo=fifo)!r}], timeout=600)"
    )
    caller = subprocess.Popen([sys.executable, "-c", script])
    program = started_by(fifo)
    family = [program, *program.children(recursive=True)]
    caller.kill()
    caller.wait(30)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
