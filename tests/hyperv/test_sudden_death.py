"""The same on a simulated Hyper-V host, see tests/vm/test_sudden_death.py; all steps: ``benchmarks.kill_matrix``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("life", "victim", "steps"),
    [("hyperv-machine", "host", 3), ("hyperv-recipe", "run", 3)],
)
def test_nothing_is_left_after_a_death(life: str, victim: str, steps: int) -> None:
    """Deaths of the run in the midst of a machine's life are in test_ownership.py."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.kill_matrix",
        "--life",
        life,
        "--victim",
        victim,
        "--steps",
        str(steps),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ", 0 wrong" in ended.stdout.splitlines()[-1]
