"""What evidence costs on real machines: ``python -m benchmarks.evidence [--rounds N] [--tests N]``

A suite whose tests all pass runs with ``--hyperv-evidence=failed`` and ``never`` in turn: the difference is the
transcript. Then one failing test says how long its evidence took. A run is a process of its own; the seconds are those
of its tests, from the first call to the last, without the start of Python and the first machine.

Targets: at most 5 % of a passing suite's time, at most 2 s for a failing test. The exit status is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PASSING = """
import pytest

@pytest.mark.parametrize("n", range({tests}))
@pytest.mark.hyperv(reset="module")
def test_passes(hyperv_vm, n):
    for _ in range(5):
        assert hyperv_vm.run(["true"])
    assert hyperv_vm.sh("seq 20000").stdout.endswith("20000\\n")
    hyperv_vm.write_text("/tmp/x", "y" * 10_000)
"""
FAILING = """
import pytest

@pytest.mark.parametrize("n", range({tests}))
@pytest.mark.hyperv(reset="module")
def test_fails(hyperv_vm, n):
    assert not hyperv_vm.sh("logger said; seq 20000")
"""
CLOCK = """
import json
import time
from pathlib import Path

import pytest

TIMES = {"calls": [], "reports": []}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call():
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        TIMES["calls"].append(time.perf_counter() - began)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(call):
    began = time.perf_counter()
    report = yield
    if call.when == "call":
        TIMES["reports"].append(time.perf_counter() - began)
    return report

def pytest_sessionfinish():
    Path("times.json").write_text(json.dumps(TIMES))
"""
PASSED, FAILED = 0, 1


def run(folder: Path, suite: str, expected: int, *options: str) -> dict[str, list[float]]:
    """Seconds of the calls of one run and of the reports after them."""
    (folder / "test_it.py").write_text(suite)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_it.py"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1800, cwd=folder, env=dict(os.environ))
    if done.returncode != expected:
        raise SystemExit(f"pytest returned {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    times: dict[str, Any] = json.loads((folder / "times.json").read_text())
    return times


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CLOCK)
        passing, failing = PASSING.format(tests=options.tests), FAILING.format(tests=options.tests)
        run(folder, PASSING.format(tests=1), PASSED)
        totals: dict[str, list[float]] = {"failed": [], "never": []}
        singles: dict[str, list[float]] = {"failed": [], "never": []}
        for number in range(options.rounds):
            for mode in sorted(totals, reverse=bool(number % 2)):
                times = run(folder, passing, PASSED, f"--hyperv-evidence={mode}")
                totals[mode].append(sum(times["calls"]) + sum(times["reports"]))
                singles[mode] += times["calls"]
        reports = run(folder, failing, FAILED)["reports"]
    for mode in totals:
        print(
            f"{options.tests} passing tests, --hyperv-evidence={mode}: p50 {statistics.median(totals[mode]):.2f} s, "
            f"least {min(totals[mode]):.2f} s of {options.rounds} runs; one test p50 {_ms(singles[mode])} ms"
        )
    ratio = statistics.median(singles["failed"]) / statistics.median(singles["never"])
    worst, middle = max(reports), statistics.median(reports)
    print(f"evidence of one failing test: p50 {middle:.2f} s, worst {worst:.2f} s of {len(reports)}")
    print(f"at most 5 % of a passing suite: {(ratio - 1) * 100:+.1f} %, {'met' if ratio <= 1.05 else 'MISSED'}")
    print(f"at most 2 s for a failing test: {middle:.2f} s, {'met' if middle <= 2 else 'MISSED'}")
    return int(ratio > 1.05 or middle > 2)


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f}"


if __name__ == "__main__":
    sys.exit(main())
