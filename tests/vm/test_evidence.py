"""What is kept of real machines when their tests fail, and that a hostile guest gets no further than its own folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

SUITE = r"""
import resource
import pytest

@pytest.mark.hyperv(evidence=["/root/app.log", "/root/link", "/dev/zero", "/proc/cpuinfo", "/root/tree", "/root/../x"])
def test_hostile(hyperv_vm):
    hyperv_vm.sh(
        "logger -t app out of luck; echo its own words >/root/app.log; ln -s /dev/zero /root/link; "
        "mkdir -p /root/tree; printf '\033[2J' >/root/tree/conftest.py; mkfifo /root/tree/fifo; "
        "printf '\033]0;owned\007\377\376' >/dev/console; head -c 1000000 /dev/urandom >/root/noise"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flood = hyperv_vm.spawn(["sh", "-c", "for i in $(seq 20); do cat /root/noise; done"])
    size = 0
    while (piece := flood.read(timeout=120)) is not None:
        size += len(piece[1])
    assert flood.wait(timeout=60) == 0
    assert size == 20_000_000
    print("GREW", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert hyperv_vm.sh("head -c 3000 /root/noise; exit 9")

def test_panic(hyperv_vm):
    hyperv_vm.sh("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60")
"""
GROWTH = 40 * 1024
"""KiB of memory that a flood of 20 MB may cost: the pieces on their way, and both ends of it."""


def test_a_real_machine_leaves_its_evidence_and_nothing_else(pytester: pytest.Pytester, own_cache: Path) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess(
        f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider", "--hyperv-dump", "-rA", timeout=420
    )
    result.assert_outcomes(failed=2)
    root = pytester.path / "hyperv-artifacts"
    (hostile,), (panic,) = root.glob("*hostile*/*"), root.glob("*panic*/*")
    grew = next(int(line.split()[1]) for line in result.outlines if line.startswith("GREW "))
    assert grew < GROWTH
    picture = (hostile / "screen.png").read_bytes()
    assert struct.unpack(">4s", picture[12:16]) == (b"IHDR",)
    assert "app: out of luck" in (hostile / "journal.log").read_text()
    assert (hostile / "01-01-app.log").read_text() == "its own words\n"
    assert (hostile / "05-01-root-tree-conftest.py.data").read_bytes() == b"\x1b[2J"
    facts = json.loads((hostile / "facts.json").read_text())
    assert [each.partition(":")[0] for each in facts["missing"]] == ["/root/link", "/dev/zero", "/root/../x"]
    assert b"processor" in (hostile / "04-01-cpuinfo.data").read_bytes()
    assert "Kernel panic - not syncing: sysrq triggered crash" in (panic / "crash.log").read_text()
    with (panic / "memory.dump").open("rb") as dump:
        assert dump.read(12) == b"makedumpfile"
    result.stdout.fnmatch_lines(["crash: *Kernel panic - not syncing: sysrq triggered crash*"])
    assert not {each for each in result.stdout.str() if ord(each) < 32 and each not in "\n\t"}
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert {path.name for path in pytester.path.iterdir() if not path.name.startswith(("runpytest", "std"))} <= {
        "hyperv-artifacts",
        "__pycache__",
        "test_a_real_machine_leaves_its_evidence_and_nothing_else.py",
    }
