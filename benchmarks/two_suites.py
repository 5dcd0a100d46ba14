"""Two runs of pytest at once on one empty cache, 200 tests each: ``python -m benchmarks.two_suites``

Both want the same states, which one of them builds while the other waits; every test gets a machine of its own, and
fails when it finds anything of another test in it. Printed: what each run came to, machines in a minute, and what is
left: processes that either run started, and machines in the cache. Exit status 1 unless all is green and nothing left.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from pytest_hyperv.cache import default_cache
from pytest_hyperv.identity import processes_marked

MARK = "PYTEST_HYPERV_TWO_SUITES"
TIMEOUT = 7200.0
SUITE = """
import pytest
from pytest_hyperv import hyperv_state


@hyperv_state(base="debian-12")
def prepared(vm):
    vm.write_text("/root/prepared", "yes")


def use(vm, n):
    assert not vm.run(["ls", "/root/mark"])
    vm.write_text("/root/mark", str(n))
    assert vm.read_text("/root/mark") == str(n)


@pytest.mark.parametrize("n", range({half}))
def test_booted(hyperv_vm, n):
    use(hyperv_vm, n)


@pytest.mark.hyperv(state=prepared)
@pytest.mark.parametrize("n", range({half}))
def test_prepared(hyperv_vm, n):
    assert hyperv_vm.read_text("/root/prepared") == "yes"
    use(hyperv_vm, n)
"""


def main() -> int:
    """Run both, and look at what they leave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", default=default_cache(), help="where the image is; the runs have a cache of their own"
    )
    parser.add_argument("--tests", type=int, default=200, help="in each suite")
    parser.add_argument("--workers", default="0", help="of pytest-xdist, in each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pytest-hyperv-two-") as folder:
        cache, mark = Path(folder) / "cache", uuid.uuid4().hex
        cache.mkdir()
        (cache / "images").symlink_to(Path(options.cache).absolute() / "images")
        began = time.monotonic()
        runs = [start(Path(folder) / name, cache, options, mark) for name in ("one", "two")]
        ends = [finish(run) for run in runs]
        took = time.monotonic() - began
        left = [path.name for path in (cache / "machines").iterdir() if path.is_dir()]
        alive = [process.pid for process in processes_marked(MARK, mark)]
    green = sum(passed for passed, _ in ends)
    built = sum(states for _, states in ends)
    print(f"{green} of {2 * options.tests} tests passed in {took:.0f} s, {60 * green / took:.0f} machines in a minute")
    print(f"states built: {built} (2 are needed); machines left: {len(left)}; processes left: {len(alive)}")
    return int(green != 2 * options.tests or built != 2 or bool(left or alive))


def start(folder: Path, cache: Path, options: argparse.Namespace, mark: str) -> subprocess.Popen[str]:
    """A run of the suite in a folder of its own. Both are written alike below one name, so that they share states."""
    folder.mkdir()
    (folder / "test_suite.py").write_text(SUITE.format(half=options.tests // 2), "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--hyperv-cache={cache}",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:timeout",
    ]
    if options.workers != "0":
        command += ["-n", options.workers]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(run: subprocess.Popen[str]) -> tuple[int, int]:
    """How many tests passed, and how many states the run built; its last lines are printed."""
    said, _ = run.communicate(timeout=TIMEOUT)
    print(*said.strip().splitlines()[-3:], sep="\n  ")
    passed, built = re.search(r"(\d+) passed", said), re.search(r"(\d+) states? built", said)
    return int(passed[1]) if passed else 0, int(built[1]) if built else 0


if __name__ == "__main__":
    sys.exit(main())
