"""Runs that die at every step: what they made goes, by ``gc`` or at the next run's start, and nothing else does."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.cli import main
from pytest_hyperv.leases import Budget, Lease, Need
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.psrp.calls import Command
from tests.hyperv.simulation import SPEC, Simulation

LIFE = """
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.simulated import ensure_state, open_backend
from pytest_hyperv.psrp.calls import Call, Command
from pytest_hyperv.psrp.client import Session
from tests.hyperv.simulation import SPEC

cache, state, fatal = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
start = Session.start


def started(session, what, **options):
    running = start(session, what, **options)
    stages = [stage for statement in Call(what).statements for stage in statement.stages]
    if any(fatal in (stage.name if isinstance(stage, Command) else stage.text) for stage in stages):
        os.kill(os.getpid(), signal.SIGKILL)
    return running


Session.start = started
backend = open_backend(cache)
if state == "network":
    network = backend.open_network("a run that dies")
    machine = backend.clone(Path(sys.argv[4]), "a run that dies")
    network.join(machine)
    network.close()
elif state == "new":
    ensure_state(cache, backend, replace(SPEC, cpus=int(sys.argv[4])))
else:
    machine = backend.clone(Path(state), "a run that dies")
    point = machine.checkpoint("point", memory=True)
    machine.restore(point)
    machine.delete_checkpoint(point)
    machine.discard()
"""
"""A machine's whole life, up to the command named, which is sent; what it answers nobody hears."""
STEPS = (
    "New-VHD",
    "New-VM",
    "Set-VMFirmware",
    "Start-VM",
    "New-PSSession",
    "Checkpoint-VM",
    "Restore-VMSnapshot",
    "Remove-VMSnapshot",
    "Remove-VM",
    "Remove-Item",
)
"""Commands that a run dies at, in the order of its life."""
TIMEOUT = 60.0


def die(host: Simulation, fatal: str, *state: str) -> None:
    """A run that is killed at a command, in the midst of a machine's life or of a state's making."""
    arguments = [str(host.cache), *(state or (str(host.state()),))]
    arguments[2:2] = [fatal]
    ended = subprocess.run([sys.executable, "-c", LIFE, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(host.records()) >= 1


def disks(host: Simulation) -> set[Path]:
    """All files of the host, sealed ones too."""
    with host.world() as world:
        return set(world.drives.files_below("C:\\"))


def gc(host: Simulation) -> Result:
    """What ``pytest-hyperv gc`` says."""
    return CliRunner().invoke(main, ["gc", "--cache", str(host.cache)])


@pytest.mark.parametrize("fatal", STEPS)
def test_what_a_dead_run_left_is_removed(host: Simulation, fatal: str) -> None:
    die(host, fatal)
    told = gc(host)
    assert told.exit_code == 0, told.output
    assert "(a run that dies)" in told.output
    assert host.left_in_the_end() == []
    assert gc(host).output == "No machine was left behind.\n"


@pytest.mark.parametrize(("fatal", "cpus"), [("Start-VM", "5"), ("Stop-VM", "6")])
def test_a_state_that_was_half_built_is_removed(host: Simulation, fatal: str, cpus: str) -> None:
    die(host, fatal, "new", cpus)
    told = gc(host)
    assert told.exit_code == 0, told.output
    assert "removed a state that was half built" in told.output
    assert host.left_in_the_end() == []


@pytest.mark.parametrize("fatal", ["Set-ItemProperty", "Remove-Item"])
def test_the_sealed_disk_of_a_state_that_was_never_noted_as_whole_is_removed(host: Simulation, fatal: str) -> None:
    before = disks(host)
    die(host, fatal, "new", "7")
    assert disks(host) != before, "no disk was made, so this test shows nothing"
    assert gc(host).exit_code == 0
    assert disks(host) == before


@pytest.mark.parametrize("fatal", ["New-VMSwitch", "Connect-VMNetworkAdapter", "Remove-VMSwitch"])
def test_a_private_network_that_a_dead_run_left_is_removed_and_no_other(
    host: Simulation, backend: HypervBackend, fatal: str
) -> None:
    network = backend.open_network("another test")
    with host.switch("lab"), host.world() as world:
        others = set(world.switches)
    with host.switch("lab"):
        die(host, fatal, "network", str(host.state(replace(SPEC, network="private"))))
        told = gc(host)
        assert told.exit_code == 0, told.output
        assert "(private network of a run that dies)" in told.output
        with host.world() as world:
            assert len(world.switches) == len(others)
    network.close()
    network.close()


def test_what_belongs_to_others_stays(host: Simulation, backend: HypervBackend, machine: HypervMachine) -> None:
    stranger = str(machine.name)
    backend.host.run(
        Command("Hyper-V\\New-VM", Name=stranger, Generation=2, MemoryStartupBytes=SPEC.memory, NoVHD=True)
    )
    die(host, "Checkpoint-VM")
    with host.world() as world:
        mine = {id for id, vm in world.machines.items() if vm.name == machine.name}
        assert len(world.machines) == 3
    assert gc(host).exit_code == 0
    with host.world() as world:
        assert set(world.machines) == mine
    assert len(host.records()) == 1
    assert machine.session.run(["hostname.exe"])
    (other,) = mine - {machine.id}
    backend.host.run(Command("Hyper-V\\Get-VM", Id=other) | Command("Hyper-V\\Remove-VM", Force=True))


def test_what_a_run_of_another_computer_left_is_told_and_removed_when_that_is_asked_for(
    host: Simulation, backend: HypervBackend, machine: HypervMachine, tmp_path: Path
) -> None:
    lease = Lease("of-the-living", Need(SPEC.memory, SPEC.cpus), "a test")
    assert backend.leases.take([lease], Budget(2 * SPEC.memory, 2, 2)) is None
    backend.host.run(Command("Hyper-V\\New-VM", Name="other", Generation=2, MemoryStartupBytes=SPEC.memory, NoVHD=True))
    die(host, "Checkpoint-VM")
    (dead,) = [record for record in Ledger(host.cache / "machines").records() if record.purpose == "a run that dies"]
    look = ["gc", "--cache", str(tmp_path / "another"), "--host", "local"]
    told = CliRunner().invoke(main, look)
    assert told.exit_code == 0, told.output
    assert f"lost on local: {dead.name} (made 20" in told.output
    assert told.output.count("lost on") == 1
    assert f"removed {dead.name}" in CliRunner().invoke(main, [*look, "--lost"]).output
    with host.world() as world:
        assert {vm.name for vm in world.machines.values()} == {"other", machine.name}
        (other,) = [id for id, vm in world.machines.items() if vm.name == "other"]
    assert "lost" not in CliRunner().invoke(main, look).output
    assert gc(host).exit_code == 0
    backend.host.run(Command("Hyper-V\\Get-VM", Id=other) | Command("Hyper-V\\Remove-VM", Force=True))


def test_a_host_that_cannot_be_reached_keeps_its_record(host: Simulation) -> None:
    die(host, "Start-VM")
    (record,) = host.records()
    host.plan("process-dies-at-start", times=1000)
    told = gc(host)
    assert told.exit_code == 1
    assert "(a run that dies)" in told.output
    assert "could not be started" in told.output
    assert host.records() == [record]
    host.calm()
    assert gc(host).exit_code == 0


def test_the_next_run_removes_it_before_it_begins(host: Simulation, pytester: pytest.Pytester) -> None:
    die(host, "Checkpoint-VM")
    pytester.makepyfile(
        """
        def test_lives(hyperv_vm):
            assert hyperv_vm.run(["hostname.exe"]).stdout == "SIMGUEST\\r\\n"
        """
    )
    run = pytester.runpytest_subprocess(
        "--hyperv-backend=hyperv",
        f"--hyperv-cache={host.cache}",
        "--hyperv-image=windows",
        "-p",
        "no:cacheprovider",
        timeout=TIMEOUT,
    )
    run.assert_outcomes(passed=1)
    assert host.left_in_the_end() == []


def test_nothing_is_left_when_a_run_dies_again_and_again(host: Simulation) -> None:
    for fatal in ("New-VM", "Start-VM"):
        die(host, fatal)
    assert len(host.records()) == 2
    assert gc(host).output.count("removed") == 2
