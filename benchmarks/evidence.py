"""What evidence costs on a real machine: ``python -m benchmarks.evidence [--tests N]``

Tests that pass run on one machine, with the transcript and without it in turn, as ``--hyperv-evidence=failed`` and
``never`` make them. The transcript asks nothing of the guest, so what it costs is processor time of pytest's process;
that is compared with the time the tests take. The seconds of both kinds are printed too: on a busy machine they differ
by more than that for other reasons. Then tests that fail say how long their evidence took.

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

PASSING = """
import pytest

from pytest_hyperv.transcript import Transcript

@pytest.fixture
def vm(hyperv_vm, n):
    hyperv_vm.transcript = Transcript(kept=n % 2 == 0)
    return hyperv_vm

@pytest.mark.parametrize("n", range({tests}))
@pytest.mark.hyperv(reset="module")
def test_passes(vm, n):
    for _ in range(5):
        assert vm.run(["true"])
    assert vm.sh("seq 20000").stdout.endswith("20000\\n")
    vm.write_text("/tmp/x", "y" * 10_000)
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

TIMES = {"wall": [], "processor": [], "report": []}

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    wall, processor = time.perf_counter(), time.process_time()
    try:
        return (yield)
    finally:
        TIMES["wall"].append(time.perf_counter() - wall)
        TIMES["processor"].append(time.process_time() - processor)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(call):
    began = time.perf_counter()
    report = yield
    if call.when == "call":
        TIMES["report"].append(time.perf_counter() - began)
    return report

def pytest_sessionfinish():
    Path("times.json").write_text(json.dumps(TIMES))
"""
PASSED, FAILED = 0, 1
WARM = 4
"""Tests at the beginning that do not count."""
Times = dict[str, list[float]]


def run(folder: Path, suite: str, expected: int) -> Times:
    """Seconds of each test of one run, and of the report after it."""
    (folder / "test_it.py").write_text(suite)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1800, cwd=folder, env=dict(os.environ))
    if done.returncode != expected:
        raise SystemExit(f"pytest returned {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    times: Times = json.loads((folder / "times.json").read_text())
    return {name: values[WARM:] for name, values in times.items()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=60, help="tests that pass; a third of them more fail")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CLOCK)
        passing = run(folder, PASSING.format(tests=options.tests + WARM), PASSED)
        reports = run(folder, FAILING.format(tests=options.tests // 3 + WARM), FAILED)["report"]
    processor = {}
    for kind, first in (("failed", 0), ("never", 1)):
        wall, processor[kind] = (statistics.median(passing[what][first::2]) for what in ("wall", "processor"))
        print(
            f"a passing test, --hyperv-evidence={kind}: p50 {wall * 1000:.0f} ms, "
            f"of which {processor[kind] * 1000:.2f} ms are processor time of pytest's process"
        )
    middle, worst = statistics.median(reports), max(reports)
    print(f"evidence of a failing test: p50 {middle:.2f} s, worst {worst:.2f} s of {len(reports)}")
    added = (processor["failed"] - processor["never"]) / statistics.median(passing["wall"][1::2])
    print(f"at most 5 % of a passing suite: {added * 100:+.2f} %, {'met' if added <= 0.05 else 'MISSED'}")
    print(f"at most 2 s for a failing test: {middle:.2f} s, {'met' if middle <= 2 else 'MISSED'}")
    return int(added > 0.05 or middle > 2)


if __name__ == "__main__":
    sys.exit(main())
