"""How soon after collection the first test of a run has its machine: ``python -m benchmarks.first_test [--rounds N]``.

Each round is a pytest process of its own; the state is built before the first. Target: at most 2 s on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "def test_it(hyperv_vm): assert hyperv_vm.run(['true'])"
CLOCK = """
import time

def pytest_collection_finish(session):
    session.collected = time.perf_counter()

def pytest_runtest_call(item):
    print(f"\\nCLOCK {time.perf_counter() - item.session.collected}")
"""


def seconds_until_first_test(folder: Path) -> float:
    """One run in a process of its own."""
    argv = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", str(folder)]
    said = subprocess.run(
        argv, capture_output=True, text=True, timeout=900, cwd=folder, env=dict(os.environ), check=True
    )
    return next(float(line.split()[1]) for line in said.stdout.splitlines() if line.startswith("CLOCK "))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text(SUITE)
        (folder / "conftest.py").write_text(CLOCK)
        seconds_until_first_test(folder)
        times = [seconds_until_first_test(folder) for _ in range(options.rounds)]
    middle = statistics.median(times)
    print(f"first test after collection: p50 {middle:.2f} s, worst {max(times):.2f} s of {len(times)} runs")
    print(f"at most 2 s: {'met' if middle <= 2 else 'MISSED'}")


if __name__ == "__main__":
    main()
