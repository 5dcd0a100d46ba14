"""What the backend says to a host binds by the contract of every Windows Server, and what is wrong is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.psrp.calls import Command, Runnable, Select
from pytest_hyperv.spec import GIB, MIB, MachineSpec
from tests.hvsim.emitted import VERSIONS, read, refusal
from tests.hvsim.host.options import HostOptions
from tests.hyperv.conftest import enter
from tests.hyperv.simulation import SPEC, SPEED, Simulation

VARIANTS = (
    SPEC,
    replace(SPEC, cpus=2, secure_boot="windows", tpm=True, dynamic_memory=(256 * MIB, GIB)),
    replace(SPEC, secure_boot="uefi-ca", nested=True, network="switch:lan"),
    replace(SPEC, network="nat", checkpoints="production"),
    replace(SPEC, network="private", checkpoints="off"),
)
"""Specs that make the backend say all it can say of machines."""
FEWEST = 45
"""Distinct combinations of a command and its parameters; fewer would mean that something was not tried."""


def test_everything_that_is_said_binds_by_every_contract(
    other_host: Callable[[HostOptions], Simulation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = other_host(HostOptions(speed=SPEED, edition="client"))
    backend = host.open()
    try:
        with host.switch("lan"):
            for spec in VARIANTS:
                go_through(host, backend, spec, tmp_path)
    finally:
        backend.close()
    calls = list(read([host.lab.host]))
    refused = sorted({f"{call}: {why}" for call in calls for version in VERSIONS if (why := refusal(call, version))})
    count = len({call.combination for call in calls})
    with capsys.disabled():
        print(f"\n{count} combinations of command and parameters were said; all bind by {', '.join(VERSIONS)}.")
    assert refused == []
    assert count >= FEWEST


def go_through(host: Simulation, backend: HypervBackend, spec: MachineSpec, folder: Path) -> None:
    """All that can be done with a machine of a spec."""
    backend.offer()
    machine = backend.clone(host.state(spec), "to be heard")
    vm = VirtualMachine(machine, host.image, "hyperv")
    assert bool(vm.address) == (spec.network == "nat" or spec.network.startswith("switch:"))
    if spec.network == "private":
        network = backend.open_network("to be heard")
        network.join(machine)
        network.close()
    vm.screenshot(folder / "screen.png")
    vm.console_text()
    assert vm.sh("echo said").stdout == "said\r\n"
    vm.write_text("C:\\said.txt", "said")
    if spec.checkpoints != "off":
        one, other = vm.checkpoint("one"), vm.checkpoint("other", memory=False)
        vm.restore(other)
        vm.restore(one)
        vm.delete_checkpoint(one)
        assert machine.recycle()
    vm.pause()
    vm.resume()
    vm.shutdown()
    assert vm.crash is None
    if spec == SPEC:
        move(host, backend, machine)
    machine.discard()


def move(host: Simulation, backend: HypervBackend, machine: HypervMachine) -> None:
    """Export a machine that is off, and take it in."""
    exports = f"{backend.host.store}\\exports"
    taken = backend.imported(machine.export(exports), host.state(), "taken in")
    taken.discard()
    backend.host.do(Command("Remove-Item", LiteralPath=exports, Recurse=True, Force=True))


def hyperv(name: str, **parameters: Any) -> Command:
    """A command of the Hyper-V module."""
    return Command(f"Hyper-V\\{name}", **parameters)


def of(machine: HypervMachine) -> Command:
    """The machine, to be piped."""
    return hyperv("Get-VM", Id=machine.id)


WRONG: dict[str, tuple[Callable[[HypervMachine], Runnable], str]] = {
    "an unknown command": (lambda _: hyperv("Get-VirtualMachine"), "CommandNotFoundException"),
    "an unknown parameter": (lambda _: hyperv("Get-VM", Guid="x"), "NamedParameterNotFound"),
    "a prefix of two parameters": (lambda vm: of(vm) | hyperv("Set-VM", Memory=GIB), "AmbiguousParameter"),
    "parameters of two sets": (lambda vm: hyperv("Get-VM", Id=vm.id, Name=vm.name), "AmbiguousParameterSet"),
    "a fixed disk with a parent": (
        lambda _: hyperv("New-VHD", Path="C:\\x.vhdx", ParentPath="C:\\y.vhdx", Fixed=True),
        "AmbiguousParameterSet",
    ),
    "no value where one must be": (lambda _: hyperv("New-VHD", Path="C:\\x.vhdx"), "MissingMandatoryParameter"),
    "a word for a number": (
        lambda vm: of(vm) | hyperv("Set-VM", ProcessorCount="many"),
        "CannotConvertArgumentNoMessage",
    ),
    "a word for a GUID": (lambda _: hyperv("Get-VM", Id="no guid"), "CannotConvertArgumentNoMessage"),
    "a value outside those there are": (
        lambda vm: of(vm) | hyperv("Set-VM", CheckpointType="Sometimes"),
        "CannotConvertArgumentNoMessage",
    ),
    "an unknown property": (lambda vm: of(vm) | Select("Statr"), "UnknownProperty"),
    "an unknown machine": (lambda _: hyperv("Get-VM", Id=uuid4()), "InvalidParameter"),
    "a TPM without a key protector": (lambda vm: of(vm) | hyperv("Enable-VMTPM"), "InvalidState"),
    "nesting in a machine that runs": (
        lambda vm: of(vm) | hyperv("Set-VMProcessor", ExposeVirtualizationExtensions=True),
        "InvalidState",
    ),
    "Secure Boot in a machine that runs": (
        lambda vm: of(vm) | hyperv("Set-VMFirmware", EnableSecureBoot="On"),
        "InvalidState",
    ),
    "going back while it runs": (
        lambda vm: of(vm) | hyperv("Get-VMSnapshot") | hyperv("Restore-VMSnapshot", Confirm=False),
        "InvalidState",
    ),
    "removing what runs": (lambda vm: of(vm) | hyperv("Remove-VM", Force=True), "InvalidState"),
}
"""A call for each rule that it breaks, and how the error's id begins."""


@pytest.fixture(scope="module")
def refusals(shared_host: Simulation) -> dict[str, list[str]]:
    """The ids of the errors of every wrong call to a host with one machine that runs."""
    with pytest.MonkeyPatch.context() as environment:
        enter(shared_host.lab, environment)
        backend = shared_host.open()
        machine = backend.clone(shared_host.state(), "to be wronged")
        told = {rule: backend.host.run(wrong(machine)).errors for rule, (wrong, _) in WRONG.items()}
        assert machine.session.run(["hostname.exe"])
        machine.discard()
        backend.close()
    return {rule: [error.error_id for error in errors] for rule, errors in told.items()}


@pytest.mark.parametrize("rule", WRONG)
def test_a_call_that_breaks_a_rule_is_refused(refusals: dict[str, list[str]], rule: str) -> None:
    assert len(refusals[rule]) == 1
    assert refusals[rule][0].startswith(WRONG[rule][1])
