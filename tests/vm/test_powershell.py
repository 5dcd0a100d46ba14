"""PowerShell in QEMU guests: adopted with the saved state, kept by checkpoints, started anew when it is gone.

The project's PSRP peer plays ``pwsh`` in the guest.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pytest_hyperv import PowerShell, VirtualMachine
from pytest_hyperv.backends.qemu import guest_powershell
from pytest_hyperv.backends.qemu.guest_powershell import UNIT
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.errors import CommandFailed, GuestCrashed, GuestError, SessionLost
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.lab import lab_of
from pytest_hyperv.ledger import TOKEN, Ledger
from pytest_hyperv.psrp.calls import Command, Script
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.secret import Secret
from tests.psrp.guest_peer import KEPT, NothingToFetch, PeerMachines
from tests.psrp.peer import vocabulary
from tests.psrp.peer.faults import COMMAND

CLONES = 20
SERVICE = ["systemctl", "show", UNIT, "--property=MainPID,ExecMainStartTimestampMonotonic"]
PANIC = "echo 1 > /proc/sys/kernel/sysrq; sleep 1; echo c > /proc/sysrq-trigger"


@pytest.fixture(scope="module")
def machines(request: pytest.FixtureRequest) -> PeerMachines:
    """The state with the peer's session, built when it is not there yet."""
    lab = lab_of(request.config)
    try:
        return PeerMachines(lab.cache, lab.progress)
    except NothingToFetch as error:
        pytest.skip(str(error))


@pytest.fixture
def machine(machines: PeerMachines, request: pytest.FixtureRequest) -> Iterator[QemuMachine]:
    """A clone of that state."""
    clone = machines.clone(request.node.nodeid)
    yield clone
    clone.discard()


@pytest.fixture
def hyperv_vm(machines: PeerMachines, machine: QemuMachine) -> VirtualMachine:
    """The clone as tests hold it, in place of one of an image without PowerShell."""
    return machines.as_tests_see(machine)


def served_by(vm: VirtualMachine) -> str:
    """Which process serves PowerShell in the guest, and when it was started."""
    said = vm.run(SERVICE).check().stdout
    assert "MainPID=" in said
    assert "MainPID=0\n" not in said
    return said


def test_twenty_clones_of_one_state_adopt_its_session_and_each_answers(
    machines: PeerMachines, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as alive:
        vms = []
        for _ in range(CLONES):
            machine = machines.clone(request.node.nodeid)
            alive.callback(machine.discard)
            vms.append(machines.as_tests_see(machine))
        for number, vm in enumerate(vms):
            vm.ps(vocabulary.KEEP, f"{vm.powershell.ps(vocabulary.KEPT).one}, then {number}").check()
        assert [vm.ps(vocabulary.KEPT).one for vm in vms] == [f"{KEPT}, then {number}" for number in range(CLONES)]
        secrets = [Secret(f"known to clone {number} alone") for number in range(CLONES)]
        given = [vm.ps(vocabulary.SECRET, secret).one for vm, secret in zip(vms, secrets, strict=True)]
        assert given == [f"known to clone {number} alone" for number in range(CLONES)]
        assert vms[-1].ps(vocabulary.SECRET_BACK, "and back").one == Secret("and back")
        assert len({served_by(vm) for vm in vms}) == 1, "something was started in a clone"


def test_a_session_that_does_not_answer_in_a_clone_is_opened_anew_once_and_told(
    machine: QemuMachine, hyperv_vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_powershell, "ANSWER", 3.0)
    hyperv_vm.run(["systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT]).check()
    assert hyperv_vm.ps(vocabulary.ECHO, "heard").one == "heard"
    assert hyperv_vm.ps(vocabulary.KEPT).output == [None], "the same session answers, so this test shows nothing"
    assert machine.reopened == ["PowerShell did not answer in 3 s"]


def test_scripts_and_cmdlets_run_in_the_guest_with_values_as_arguments(
    psdirect: PowerShell, hyperv_vm: VirtualMachine
) -> None:
    assert psdirect.ps(vocabulary.ECHO, "it's; $(not) expanded").one == "it's; $(not) expanded"
    assert hyperv_vm.ps(vocabulary.ECHO, value=7).one == 7
    machines = [PSObject.of(Name="a", State=2, Other=1), PSObject.of(Name="b", State=3, Other=1)]
    written = hyperv_vm.powershell.call("Write-Output", InputObject=machines)
    found = written.pipe("Where-Object", Property="State", EQ=True, Value=3).select("Name", "Missing").one
    assert (found.Name, found.Missing) == ("b", None)
    assert "Other" not in found
    with pytest.raises(CommandFailed, match="Cannot find path '/no/such/path'"):
        _ = psdirect.call("Get-Item", Path="/no/such/path").one


def test_a_panic_during_a_call_ends_it_with_the_panic_text(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.spawn(["sh", "-c", PANIC])
    with pytest.raises(GuestCrashed, match="Kernel panic - not syncing: sysrq triggered crash") as crashed:
        psdirect.ps(vocabulary.SLEEP)
    assert crashed.value.kind == "panic"
    with pytest.raises(GuestCrashed, match="Kernel panic"):
        psdirect.ps(vocabulary.ECHO, "later")


def test_the_death_of_qemu_during_a_call_ends_it(
    psdirect: PowerShell, machine: QemuMachine, request: pytest.FixtureRequest
) -> None:
    records = Ledger(lab_of(request.config).cache / "machines").records()
    token = next(record.token for record in records if record.id == machine.id)
    qemu = next(process for process in processes_marked(TOKEN, token) if process.name().startswith("qemu"))
    assert psdirect.ps(vocabulary.KEPT).one == KEPT
    killer = threading.Timer(1, os.kill, (qemu.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(GuestCrashed, match="ended unexpectedly") as crashed:
        psdirect.ps(vocabulary.SLEEP)
    killer.join()
    assert crashed.value.kind == "hypervisor"


def test_a_checkpoint_keeps_the_session_and_what_is_in_it(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    before = served_by(hyperv_vm)
    psdirect.ps(vocabulary.KEEP, "at the checkpoint").check()
    checkpoint = hyperv_vm.checkpoint("open")
    psdirect.ps(vocabulary.KEEP, "later").check()
    hyperv_vm.restore(checkpoint)
    assert psdirect.ps(vocabulary.KEPT).one == "at the checkpoint"
    assert served_by(hyperv_vm) == before


def test_a_checkpoint_within_a_call_gives_a_machine_that_opens_a_session(
    psdirect: PowerShell, hyperv_vm: VirtualMachine, machine: QemuMachine
) -> None:
    with machine.powershell.start(Script(vocabulary.SLEEP)) as running:
        assert next(running.items()).value == "started"
        checkpoint = hyperv_vm.checkpoint("busy")
    assert psdirect.ps(vocabulary.KEPT).one == KEPT
    hyperv_vm.restore(checkpoint)
    assert psdirect.ps(vocabulary.KEPT).one is None


def test_a_reboot_of_the_guest_opens_another_session(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.write_text("/run/gone-after-reboot", "x")
    assert psdirect.ps(vocabulary.KEPT).one == KEPT
    hyperv_vm.run(["systemctl", "reboot", "--no-block"])
    with pytest.raises(SessionLost):
        psdirect.ps(vocabulary.SLEEP)
    hyperv_vm.wait_until_succeeds(["test", "!", "-e", "/run/gone-after-reboot"], timeout=120)
    assert psdirect.ps(vocabulary.KEPT).one is None
    assert psdirect.ps(vocabulary.ECHO, "after the reboot").one == "after the reboot"


def test_a_powershell_that_dies_ends_its_call_and_is_started_anew(
    psdirect: PowerShell, hyperv_vm: VirtualMachine
) -> None:
    before = served_by(hyperv_vm)
    with pytest.raises(SessionLost, match="ended the session"):
        psdirect.run(Command(COMMAND, Kind="die"))
    assert psdirect.ps(vocabulary.KEPT).one is None
    assert served_by(hyperv_vm) != before


def test_a_powershell_that_cannot_be_started_says_why(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(SessionLost):
        psdirect.run(Command(COMMAND, Kind="die"))
    hyperv_vm.write_text("/usr/local/bin/pwsh", "#!/bin/sh\necho no ICU library >&2; exit 1\n", mode=0o755)
    with pytest.raises(SessionLost, match="no ICU library"):
        psdirect.ps(vocabulary.KEPT)
    hyperv_vm.run(["rm", "/usr/local/bin/pwsh"]).check()
    with pytest.raises(GuestError, match="has no pwsh in its PATH"):
        psdirect.ps(vocabulary.KEPT)
