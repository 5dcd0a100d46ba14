"""Several runs and workers on one cache, and runs that are killed while they build."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys

import pytest

from tests.plugin.conftest import Bed

HAS_XDIST = importlib.util.find_spec("xdist") is not None
SLOW = """
    from pathlib import Path
    from pytest_hyperv import hyperv_state

    HERE = Path(__file__).parent

    @hyperv_state(base="debian-12")
    def one(vm):
        with (HERE / "tries").open("a") as tries:
            tries.write("one\\n")
        vm.sh("sleep 1; echo one > one").check()

    @hyperv_state(base=one)
    def two(vm):
        with (HERE / "tries").open("a") as tries:
            tries.write("two\\n")
        vm.sh("sleep 1; echo two > two").check()

    @hyperv(state=two)
    @pytest.mark.parametrize("n", range(4))
    def test_two(hyperv_vm, n): assert hyperv_vm.read_text("two") == "two\\n"

    @hyperv(state=one)
    @pytest.mark.parametrize("n", range(4))
    def test_one(hyperv_vm, n): assert hyperv_vm.read_text("one") == "one\\n"
"""


@pytest.mark.skipif(not HAS_XDIST, reason="pytest-xdist is not installed")
def test_workers_build_each_state_once_and_the_others_wait_and_say_so(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite(SLOW)
    result = bed.run_apart("-n3")
    result.assert_outcomes(passed=8)
    assert (pytester.path / "tries").read_text().split() == ["one", "two"]
    assert [event["purpose"] for event in bed.events("build")] == ["debian-12"]
    assert "Waiting for another run that is at the state " in result.stderr.str()
    assert bed.left() == []


def test_two_runs_at_once_build_each_state_once(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite(SLOW)
    command = [sys.executable, "-m", "pytest", "-p", "tests.plugin.fake_backend", "-p", "no:cacheprovider"]
    runs = [
        subprocess.Popen([*command, f"--basetemp={pytester.path / str(n)}"], stdout=subprocess.PIPE) for n in range(2)
    ]
    for run in runs:
        said, _ = run.communicate(timeout=120)
        assert b"8 passed" in said, said.decode()
    assert (pytester.path / "tries").read_text().split() == ["one", "two"]


KILLED = """
    import os, signal
    from pathlib import Path
    from pytest_hyperv.states import record, store
    from tests.plugin import fake_backend

    def dies(when):
        if os.environ.get("DIE") == when:
            os.kill(os.getpid(), signal.SIGKILL)

    save, write, take_away = fake_backend.FakeBackend.save_state, record.StateRecord.write, store.take_away

    def save_state(self, machine, folder):
        dies("before it is saved")
        save(self, machine, folder)
        dies("once it is saved")

    def write_it(self, folder):
        write(self, folder)
        if self.parent:
            dies("once it is written down")

    def take_it_away(folder):
        folder.rename(folder.with_name(f"{record.REMOVED}{folder.name}"))
        dies("while it is removed")

    fake_backend.FakeBackend.save_state = save_state
    record.StateRecord.write = write_it
    if os.environ.get("DIE") == "while it is removed":
        store.take_away = take_it_away
"""
DYING = """
    import os, signal
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def one(vm):
        vm.sh("echo one > one").check()
        if os.environ.get("DIE") == "in the recipe":
            os.kill(os.getpid(), signal.SIGKILL)

    @hyperv(state=one)
    def test_one(hyperv_vm): assert hyperv_vm.read_text("one") == "one\\n"
"""


@pytest.mark.parametrize(
    "when",
    ["in the recipe", "before it is saved", "once it is saved", "once it is written down", "while it is removed"],
)
def test_after_a_builder_was_killed_the_next_run_builds_anew_and_nothing_is_left(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    bed.suite(KILLED, "conftest.py")
    bed.suite(DYING)
    if when == "while it is removed":
        bed.run_apart().assert_outcomes(passed=1)
        for damaged in (bed.cache / "states").glob("*/spec.json"):
            damaged.write_text("{")
    monkeypatch.setenv("DIE", when)
    assert bed.run_apart().ret == -signal.SIGKILL
    monkeypatch.delenv("DIE")
    half = [path for path in (bed.cache / "states").iterdir() if path.name.startswith((".building-", ".removed-"))]
    assert half, "nothing was half built or removed, so this shows nothing"
    (bed.cache / "journal.jsonl").write_text("")
    bed.run_apart().assert_outcomes(passed=1)
    assert len(bed.events("save")) == 1
    names = [path.name for path in (bed.cache / "states").iterdir()]
    assert [name for name in names if name.startswith((".building-", ".removed-"))] == []
    assert [name for name in names if name.endswith(".user")] == []
    assert len([name for name in names if not name.startswith(".")]) == 2
