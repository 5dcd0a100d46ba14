"""Whatever dies, at whatever step: nothing is left that the next run does not remove, and others notice nothing.

A few of the steps; ``python -m benchmarks.kill_matrix`` takes them all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_hyperv.lab import lab_of
from pytest_hyperv.markers import marks_of, wish_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("life", "victim", "steps"),
    [("machine", "run", 6), ("recipe", "run", 4), ("machine", "qemu", 4)],
)
def test_nothing_is_left_after_a_death(request: pytest.FixtureRequest, life: str, victim: str, steps: int) -> None:
    require_clean(request, "--life", life, "--victim", victim, "--steps", str(steps))


@pytest.mark.hyperv(tpm=True, secure_boot=True)
def test_nothing_is_left_when_the_tpm_of_a_machine_dies(request: pytest.FixtureRequest) -> None:
    require_clean(request, "--tpm", "--victim", "swtpm", "--only", "checkpoint", "--steps", "2")


def require_clean(request: pytest.FixtureRequest, *arguments: str) -> None:
    """Run the matrix with ``arguments`` on the states of this run."""
    lab = lab_of(request.config)
    lab.prepare(wish_of(marks_of(request.node), lab.settings))
    command = [sys.executable, "-m", "benchmarks.kill_matrix", "--cache", str(lab.cache), *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ", 0 wrong" in ended.stdout.splitlines()[-1]
