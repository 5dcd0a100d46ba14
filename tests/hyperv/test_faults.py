"""Every fault a host can be told to have: a clean error, or a repetition that succeeds; and nothing is left of it.

That nothing is left is looked at after each test, by the fixture ``host``.
"""

from __future__ import annotations

import pytest

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.backends.hyperv import guest_session, patience
from pytest_hyperv.backends.hyperv import host as hyperv_host
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.faults import Patience
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.errors import (
    AccessDenied,
    BootTimeout,
    CmdletError,
    CommandTimeout,
    GuestCrashed,
    HostError,
    HostUnreachable,
    HypervError,
    MachineError,
    MachineStateError,
)
from tests.hvsim.host.crashes import fill_disk
from tests.hyperv.conftest import Clone
from tests.hyperv.simulation import Simulation

CREATING = ("New-VHD", "New-VM", "Set-VMFirmware", "Start-VM", "Checkpoint-VM")
"""Some of what a machine is made by, one of each round trip and more, in its order."""
ENOUGH = 1000
"""More often than anything is repeated."""


def works(machine: HypervMachine) -> bool:
    """Whether commands run in the guest."""
    return machine.session.run(["hostname.exe"]).stdout == "SIMGUEST\r\n"


def fails(backend: HypervBackend, host: Simulation) -> HypervError:
    """How making a machine fails, which must leave no record."""
    with pytest.raises(HypervError) as told:
        backend.clone(host.state(), "refused")
    assert host.records() == []
    return told.value


# -- the process on the host


def test_a_process_that_dies_at_its_start_is_started_again(host: Simulation, clone: Clone) -> None:
    host.plan("process-dies-at-start", times=2)
    assert works(clone())
    assert host.struck("process-dies-at-start") == 2


def test_a_process_that_always_dies_is_a_host_that_cannot_be_reached(host: Simulation, backend: HypervBackend) -> None:
    host.plan("process-dies-at-start", times=ENOUGH)
    error = fails(backend, host)
    assert isinstance(error, HostUnreachable)
    assert error.host == "local"
    assert error.hint
    assert 1 < host.struck("process-dies-at-start") < 6


def test_a_slow_module_is_waited_for(host: Simulation, clone: Clone) -> None:
    host.plan("slow-module", seconds=300)
    assert works(clone())
    assert host.struck("slow-module") == 1


def test_a_module_that_does_not_load_in_time_is_named(
    host: Simulation, backend: HypervBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hyperv_host, "MODULE_TIMEOUT", 0.5)
    host.plan("slow-module", seconds=10000)
    error = fails(backend, host)
    assert isinstance(error, HostError)
    assert "module on local did not load" in error.message
    assert error.hint


@pytest.mark.parametrize("command", CREATING)
def test_a_lost_reply_while_making_ends_in_one_machine(host: Simulation, clone: Clone, command: str) -> None:
    host.plan("reply-lost", command)
    machine = clone()
    assert host.struck("reply-lost") == 1
    assert works(machine)
    assert machine.recycle()
    assert works(machine)
    with host.world() as world:
        assert list(world.machines) == [machine.id]


@pytest.mark.parametrize("command", ["Get-VMSnapshot", "Set-VM", "Checkpoint-VM"])
def test_a_lost_reply_while_saving_a_point_ends_in_one_point(
    host: Simulation, machine: HypervMachine, command: str
) -> None:
    host.plan("reply-lost", command)
    point = machine.checkpoint("once", memory=True)
    assert machine.checkpoints() == (point,)
    assert host.struck("reply-lost") == 1


@pytest.mark.parametrize("command", ["Stop-VM", "Restore-VMSnapshot", "Start-VM"])
def test_a_lost_reply_while_going_back_ends_at_the_point(
    host: Simulation, machine: HypervMachine, command: str
) -> None:
    point = machine.checkpoint("here", memory=True)
    machine.session.write_file("C:\\later", [b"x"], mode=0o644, timeout=20)
    host.plan("reply-lost", command)
    machine.restore(point)
    assert machine.session.stat("C:\\later") is None
    assert host.struck("reply-lost") == 1


@pytest.mark.parametrize(
    "command", ["Stop-VM", "Get-VMSnapshot", "Restore-VMSnapshot", "Remove-VMSnapshot", "Remove-VM"]
)
def test_a_lost_reply_while_removing_leaves_nothing(host: Simulation, machine: HypervMachine, command: str) -> None:
    machine.checkpoint("one", memory=True)
    host.plan("reply-lost", command)
    machine.discard()
    assert host.struck("reply-lost") == 1


def test_replies_that_are_always_lost_are_a_host_that_cannot_be_reached(
    host: Simulation, backend: HypervBackend
) -> None:
    host.plan("reply-lost", "New-VM", times=ENOUGH)
    error = fails(backend, host)
    assert isinstance(error, HostUnreachable)
    assert error.hint
    assert host.struck("reply-lost") == 2


def test_a_host_that_restarts_ends_machines_and_takes_them_again(host: Simulation, machine: HypervMachine) -> None:
    host.plan("host-reboots", "Get-VM")
    assert machine.state is MachineState.OFF
    with pytest.raises(MachineStateError, match=machine.name) as told:
        machine.session.run(["hostname.exe"])
    assert told.value.hint
    assert machine.recycle()
    assert works(machine)


@pytest.mark.parametrize("command", ["New-VM", "Start-VM"])
def test_a_host_that_restarts_while_a_machine_is_made_has_it_whole(
    host: Simulation, clone: Clone, command: str
) -> None:
    host.plan("host-reboots", command)
    machine = clone()
    assert host.struck("host-reboots") == 1
    assert machine.recycle()
    assert works(machine)


def test_a_host_that_restarts_while_the_clean_point_is_taken_ends_the_making(
    host: Simulation, backend: HypervBackend
) -> None:
    assert backend.host.store
    host.plan("host-reboots", "Checkpoint-VM")
    error = fails(backend, host)
    assert isinstance(error, MachineStateError)
    assert error.machine
    assert error.hint


# -- the machine and its guest


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("worker-dies", "hypervisor", "worker process"),
        ("guest-bugcheck", "bugcheck", "0x000000D1"),
        ("triple-fault", "reset", "triple fault"),
    ],
)
def test_a_guest_that_dies_is_told_with_its_last_words_and_its_machine_goes_on(
    host: Simulation, machine: HypervMachine, fault: str, kind: str, words: str
) -> None:
    assert works(machine)
    host.plan(fault)
    with pytest.raises(GuestCrashed, match=machine.name) as died:
        machine.session.run(["ping.exe", "-t", "localhost"], timeout=20)
    assert died.value.kind == kind
    assert words in died.value.text
    assert machine.state is MachineState.CRASHED
    assert machine.crash is not None
    assert machine.crash.kind == kind
    assert machine.recycle()
    assert machine.crash is None
    assert works(machine)


def test_a_machine_that_died_can_be_thrown_away(host: Simulation, machine: HypervMachine) -> None:
    host.plan("worker-dies")
    assert machine.state is MachineState.CRASHED
    machine.discard()
    assert host.records() == []


def test_a_worker_that_dies_while_a_guest_boots_ends_the_wait(host: Simulation, machine: HypervMachine) -> None:
    machine.kill()
    host.plan("worker-dies")
    host.plan("psdirect-hangs", times=1)
    with pytest.raises(GuestCrashed, match="worker process"):
        machine.start(30)


def test_a_full_disk_stops_running_machines_with_a_word_about_storage(
    host: Simulation, machine: HypervMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_session, "GRACE", 1.0)
    with host.world() as world:
        fill_disk(world)
    with pytest.raises(MachineError, match="PausedCritical") as told:
        machine.session.run(["hostname.exe"], timeout=1)
    assert told.value.machine == machine.name
    assert told.value.hint


def test_a_full_disk_refuses_a_new_machine_once(host: Simulation, backend: HypervBackend) -> None:
    with host.world() as world:
        fill_disk(world)
    before = backend.host.patience.counts.copy()
    error = fails(backend, host)
    assert isinstance(error, CmdletError)
    assert "0x80070070" in error.message
    assert "free some space" in error.hint
    assert backend.host.patience.counts == before


def test_a_guest_that_hangs_is_given_up_in_time_and_can_be_reset(
    host: Simulation, machine: HypervMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_session, "GRACE", 1.0)
    host.plan("guest-hangs")
    with pytest.raises(CommandTimeout):
        machine.session.run(["hostname.exe"], timeout=0.5)
    assert machine.recycle()
    assert works(machine)


# -- PowerShell Direct


def test_an_opening_that_hangs_is_given_up_and_tried_again(
    host: Simulation, clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ONE_TRY", 2.0)
    host.plan("psdirect-hangs")
    assert works(clone())
    assert host.struck("psdirect-hangs") == 1


def test_openings_that_always_hang_end_as_a_guest_that_is_not_ready(
    host: Simulation, machine: HypervMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ONE_TRY", 1.0)
    machine.kill()
    host.plan("psdirect-hangs", times=ENOUGH)
    with pytest.raises(BootTimeout, match=machine.name) as told:
        machine.start(4)
    assert told.value.hint


def test_a_credential_refused_while_the_first_boot_lasts_is_borne(host: Simulation, clone: Clone) -> None:
    host.plan("credential-invalid", times=3)
    assert works(clone())
    assert host.struck("credential-invalid") == 3


def test_a_credential_that_the_first_boot_never_takes_is_refused(
    host: Simulation, backend: HypervBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "CREDENTIAL_GRACE", 1.0)
    host.plan("credential-invalid", times=ENOUGH)
    error = fails(backend, host)
    assert isinstance(error, AccessDenied)
    assert "credential" in error.message
    assert error.hint


def test_a_credential_refused_later_is_told_at_once(host: Simulation, machine: HypervMachine) -> None:
    machine.session.close()
    host.plan("credential-invalid", times=ENOUGH)
    with pytest.raises(AccessDenied, match=machine.name):
        machine.session.run(["hostname.exe"])
    assert host.struck("credential-invalid") == 1


# -- what passes by itself, and what never does


@pytest.mark.parametrize("command", ["New-VHD", "New-VM", "Start-VM"])
def test_a_file_in_use_is_waited_for(host: Simulation, backend: HypervBackend, clone: Clone, command: str) -> None:
    host.plan("sharing-violation", command, times=2)
    assert works(clone())
    assert host.struck("sharing-violation") == 2
    assert backend.host.patience.counts["file in use"] == 2


def test_a_file_in_use_is_waited_for_when_a_machine_goes(host: Simulation, machine: HypervMachine) -> None:
    host.plan("sharing-violation", "Remove-Item", times=2)
    machine.discard()
    assert host.struck("sharing-violation") == 2


def test_a_file_that_stays_in_use_ends_with_the_suspects(host: Simulation, backend: HypervBackend) -> None:
    backend.host.patience = Patience(longest=1.0)
    host.plan("sharing-violation", "New-VHD", times=ENOUGH)
    error = fails(backend, host)
    assert isinstance(error, CmdletError)
    assert "0x80070020" in error.message
    assert "virus scanner" in error.hint
    assert host.struck("sharing-violation") > 1


@pytest.mark.parametrize("command", ["Set-VMFirmware", "Start-VM", "Checkpoint-VM"])
def test_a_pending_job_is_waited_for_while_making(host: Simulation, clone: Clone, command: str) -> None:
    host.plan("pending-job", command, seconds=100)
    assert works(clone())
    assert host.struck("pending-job") == 1


@pytest.mark.parametrize("command", ["Stop-VM", "Restore-VMSnapshot", "Remove-VMSnapshot", "Remove-VM"])
def test_a_pending_job_is_waited_for_while_removing(host: Simulation, machine: HypervMachine, command: str) -> None:
    machine.checkpoint("one", memory=True)
    host.plan("pending-job", command, seconds=100)
    machine.discard()
    assert host.struck("pending-job") == 1


@pytest.mark.parametrize("command", CREATING)
def test_missing_rights_are_told_after_one_try(host: Simulation, backend: HypervBackend, command: str) -> None:
    assert backend.host.store
    host.plan("access-denied", command)
    error = fails(backend, host)
    assert isinstance(error, CmdletError)
    assert error.category == "PermissionDenied"
    assert error.command == command
    assert error.message.startswith(f"{command} failed: ")
    assert error.host == "local"
    assert error.hint
    assert not backend.host.patience.counts
    assert host.struck("access-denied") == 1
