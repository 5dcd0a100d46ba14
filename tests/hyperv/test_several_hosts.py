"""Runs of pytest on several simulated hosts, reached as SSH would, and two runs that share one host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.simulated import SimulatedLab
from pytest_hyperv.cli import main
from tests.hvsim.creation import make_host
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.options import HostOptions
from tests.hyperv.simulation import SPEED, Simulation, eventually

ROOT = Path(__file__).parents[2]
TIMEOUT = 180.0
SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
if [ -e {folder}/$2/dead ]; then echo "ssh: connect to host $2 port 22: Connection refused" >&2; exit 255; fi
exec {folder}/$2/bin/powershell.exe
"""
INVENTORY = """
[hosts.one]
address = "ssh://one"
tags = ["red"]
limits = {{ memory = "1GiB" }}

[hosts.two]
address = "ssh://two"
tags = ["blue"]
"""
SUITE = """
import os
from pathlib import Path

import pytest

from tests.hvsim.host.faults import Fault, plan_fault
from tests.hvsim.host.world import SimHost

FOLDER = Path(os.environ["FLEET"])

def machines(host):
    with SimHost(FOLDER / host).transaction() as world:
        return len(world.machines)

def die(host):
    (FOLDER / host / "dead").touch()
    plan_fault(FOLDER / host, Fault("host-reboots"))
"""


class Fleet:
    """Two hosts, one and two, of which one has little memory for tests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lab = folder, SimulatedLab(folder / "lab", HostOptions(speed=SPEED))
        for name in ("one", "two"):
            make_host(folder / name, HostOptions(speed=SPEED))
        (folder / "bin").mkdir()
        ssh = folder / "bin" / "ssh"
        ssh.write_text(SSH.format(folder=folder))
        ssh.chmod(0o755)
        (folder / "hosts.toml").write_text(INVENTORY.format())
        paths = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        self.environment = {**self.lab.environment, **paths, "FLEET": str(folder)}

    def alive(self, host: str) -> None:
        """Let a dead host answer again."""
        (self.folder / host / "dead").unlink()

    def left(self) -> list[str]:
        """What is on the hosts beside sealed disks and empty books."""
        found = [each for name in ("one", "two") for each in left_over(self.folder / name, "C:\\")]
        return [each for each in found if "\\leases\\book.json" not in each]


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The hosts; states that are built there stay for the next test."""
    return Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def fleet(shared_fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """The hosts, with nothing left on them in the end."""
    for name, value in shared_fleet.environment.items():
        monkeypatch.setenv(name, value)
    yield shared_fleet
    assert eventually(shared_fleet.left, lambda left: not left) == []


def run(pytester: pytest.Pytester, fleet: Fleet, tests: str) -> pytest.RunResult:
    """Run a suite on the hosts."""
    pytester.makepyfile(test_it=SUITE + tests)
    return pytester.runpytest_subprocess(
        *("--hyperv-backend=hyperv", f"--hyperv-inventory={fleet.folder / 'hosts.toml'}", "--hyperv-image=windows"),
        *(
            f"--hyperv-cache={fleet.lab.cache}",
            "--hyperv-evidence=never",
            "--hyperv-spares=0",
            "-p",
            "no:cacheprovider",
            "-rA",
        ),
        timeout=TIMEOUT,
    )


def test_machines_go_where_tags_and_limits_let_them(fleet: Fleet, pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        fleet,
        """
@pytest.mark.hyperv_requires(tags=["red"])
def test_red(hyperv_vm):
    assert hyperv_vm.run(["hostname.exe"])
    assert (machines("one"), machines("two")) == (1, 0)

@pytest.mark.hyperv_requires(tags=["blue"])
def test_blue(hyperv_vm):
    assert hyperv_vm.run(["hostname.exe"])
    assert machines("two") == 1

@pytest.mark.hyperv(memory="2GiB")
@pytest.mark.hyperv_requires(tags=["red"])
def test_neither(hyperv_vm): pass
""",
    )
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * no host can: one: memory: 2.0 GiB needed, the host has 1.0 GiB; two: tag red: the host has blue"]
    )


def test_a_host_that_dies_in_the_midst_costs_one_test_and_is_cleaned_once_it_is_back(
    fleet: Fleet, pytester: pytest.Pytester
) -> None:
    result = run(
        pytester,
        fleet,
        """
@pytest.mark.parametrize("n", range(2))
def test_it(hyperv_vm, n):
    assert machines("two") == n
    if n == 0:
        die("one")
    hyperv_vm.checkpoint("point")
""",
    )
    result.assert_outcomes(passed=1, errors=1, warnings=2)
    result.stdout.fnmatch_lines(
        ["*ERROR at call of test_it?0?*", "*one gets no more machines in this run: *", "ERROR test_it.py::test_it?0?*"]
    )
    fleet.alive("one")
    told = CliRunner().invoke(main, ["gc", "--cache", str(fleet.lab.cache)])
    assert told.exit_code == 0, told.output
    assert "removed hyperv-" in told.output


def test_runs_with_caches_of_their_own_never_have_more_machines_than_the_host_has_room_for(
    host: Simulation, tmp_path: Path
) -> None:
    host.state()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLEET": str(host.lab.host.parent)}
    suite = SUITE + (
        "@pytest.mark.parametrize('n', range(2))\n"
        "def test_it(hyperv_vm, n):\n"
        "    assert hyperv_vm.run(['hostname.exe'])\n"
        "    assert machines('host') == 1\n"
    )
    running = []
    for name in ("mine", "theirs"):
        folder = tmp_path / name
        shutil.copytree(host.cache, folder / "cache", ignore=shutil.ignore_patterns("machines", "*.lock", "*.user"))
        (folder / "test_it.py").write_text(suite)
        arguments = ["--hyperv-backend=hyperv", "--hyperv-image=windows", f"--hyperv-cache={folder / 'cache'}"]
        arguments += ["--hyperv-budget=vms=1", "--hyperv-spares=0", "--rootdir=.", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *arguments]
        running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True))
    told = [process.communicate(timeout=TIMEOUT)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(told)
    assert all("2 passed" in each for each in told)
