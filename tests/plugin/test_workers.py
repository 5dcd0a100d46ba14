"""Runs on several workers of pytest-xdist: how many, how tests are spread over them, and what if one dies."""

from __future__ import annotations

import pytest

from pytest_hyperv import plugin
from tests.plugin.conftest import Bed

pytest.importorskip("xdist", reason="pytest-xdist is not installed")

SIX = """
    @pytest.mark.parametrize("n", range(3))
    def test_small(hyperv_vm, n): hyperv_vm.write_text("used", "")

    @hyperv(memory="1GiB")
    @pytest.mark.parametrize("n", range(3))
    def test_large(hyperv_vm, n): hyperv_vm.write_text("used", "")
"""
DYING = """
    import os, signal, time
    from pathlib import Path
    from pytest_hyperv.lab import lab_of
    from pytest_hyperv.ledger import Ledger

    HERE = Path(__file__).parent

    def until(true):
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end

    def test_dies(hyperv_vm):
        (HERE / "holds").touch()
        until((HERE / "holds too").exists)
        os.kill(os.getpid(), signal.SIGKILL)

    def test_lives(hyperv_vm, pytestconfig):
        until((HERE / "holds").exists)
        ledger = Ledger(lab_of(pytestconfig).cache / "machines")
        assert len(ledger.records()) == 2
        (HERE / "holds too").touch()
        until(lambda: [record.purpose for record in ledger.records()] == ["test_it.py::test_lives"])
"""


@pytest.mark.parametrize("dist", ["load", "loadfile", "loadgroup", "worksteal"])
def test_every_way_to_spread_tests_gives_each_its_machine_and_one_summary(bed: Bed, dist: str) -> None:
    bed.suite(SIX)
    bed.suite(SIX, "test_more.py")
    result = bed.run_apart("-n2", f"--dist={dist}", "--hyperv-budget=vms=3", "--hyperv-group")
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["hyperv: qemu (fake, no acceleration): 12 machines of debian-12, *, 2 states built*"])
    assert len({event["pid"] for event in bed.events("clone")}) == 2
    assert bed.left() == []


def test_the_machine_of_a_worker_that_dies_is_removed_while_the_run_goes_on(bed: Bed) -> None:
    bed.suite(DYING)
    result = bed.run_apart("-n2", "--hyperv-spares=0")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["hyperv: removed 1 machine that gw* left"])
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_dies*"])
    assert bed.left() == []


def auto(pytester: pytest.Pytester, *options: str) -> int | None:
    """How many workers this plugin has ``-n auto`` make; None leaves it to others."""
    return plugin.pytest_xdist_auto_num_workers(pytester.parseconfig("-n0", *options))


def test_as_many_workers_are_made_as_machines_fit_where_a_suite_says_something_of_ours(
    bed: Bed, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert auto(pytester, "--hyperv-budget=memory=5GiB,cpus=64", "--hyperv-memory=1GiB") == 5
    pytester.makeini("[pytest]\nhyperv_budget = vms=3,memory=64GiB,cpus=64")
    assert auto(pytester) == 3
    config = pytester.parseconfig("-nauto")
    assert config.hook.pytest_xdist_auto_num_workers(config=config) == 3
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "5")
    assert auto(pytester) is None
    assert list(bed.cache.iterdir()) == [bed.cache / "images"]


def test_other_suites_and_wrong_settings_are_left_to_xdist(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_BUDGET", "vms=1")
    assert auto(pytester) is None
    assert auto(pytester, "--hyperv-budget=lots") is None
