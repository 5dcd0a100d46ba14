"""Hosts of other kinds: older Windows, client Windows, another language, other rights, no module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.errors import AccessDenied, CapabilityMissing, CmdletError, HypervError
from pytest_hyperv.spec import MIB, MachineSpec
from tests.hvsim.host.options import HostOptions
from tests.hyperv.simulation import SPEC, SPEED, Simulation

OtherHost = Callable[[HostOptions], Simulation]
FULL = replace(
    SPEC,
    cpus=2,
    secure_boot="windows",
    tpm=True,
    nested=True,
    memory=768 * MIB,
)
"""Asks a host for much at once."""


def lives(host: Simulation, spec: MachineSpec) -> None:
    """Have a machine made, changed, reset, shut down, started and thrown away."""
    backend = host.open()
    try:
        machine = backend.clone(host.state(spec), "a life")
        point = machine.checkpoint("point", memory=True)
        machine.session.write_file("C:\\later", [b"x"], mode=0o644, timeout=20)
        machine.restore(point)
        assert machine.session.stat("C:\\later") is None
        assert machine.recycle()
        machine.pause()
        machine.resume()
        machine.shutdown(60)
        assert machine.state is MachineState.OFF
        machine.start(60)
        assert machine.session.run(["hostname.exe"])
        machine.discard()
    finally:
        backend.close()


@pytest.mark.parametrize("version", ["2019", "2022"])
def test_a_machine_lives_on_every_server(other_host: OtherHost, version: str) -> None:
    options = HostOptions(speed=SPEED, version="2019" if version == "2019" else "2022")
    lives(other_host(options), FULL)


def test_a_machine_lives_on_a_german_host(other_host: OtherHost) -> None:
    lives(other_host(HostOptions(speed=SPEED, culture="de-DE")), FULL)


def test_a_client_makes_no_checkpoints_and_no_dynamic_memory_of_its_own(other_host: OtherHost) -> None:
    host = other_host(HostOptions(speed=SPEED, edition="client"))
    backend = host.open()
    try:
        assert backend.offer().capabilities["network-nat"].available
        machine = backend.clone(host.state(replace(SPEC, network="nat")), "a client")
        seen = host.machine(machine.id)
        assert not seen.settings.automatic_checkpoints
        assert not seen.settings.ram.dynamic
        assert len(seen.checkpoints) == 1
        (adapter,) = seen.settings.adapters
        assert adapter.switch == "c08cb7b8-9b3c-408e-8e30-5e16a3aeb444"
        machine.discard()
    finally:
        backend.close()


def test_hyper_v_administrators_have_rights_enough(other_host: OtherHost) -> None:
    lives(other_host(HostOptions(speed=SPEED, rights="hyperv-administrator")), SPEC)


def refused(host: Simulation) -> HypervError:
    """Why nothing is made on a host, which its offer must say already."""
    backend = host.open()
    try:
        with pytest.raises(HypervError) as offered:
            backend.offer()
        with pytest.raises(HypervError) as told:
            host.state()
    finally:
        backend.close()
    assert type(offered.value) is type(told.value)
    assert offered.value.hint
    assert host.records() == []
    return told.value


def test_an_account_without_rights_is_refused_with_the_group_it_lacks(other_host: OtherHost) -> None:
    error = refused(other_host(HostOptions(speed=SPEED, rights="none")))
    assert isinstance(error, AccessDenied)
    assert "Hyper-V Administrators" in error.hint


def test_a_host_without_the_module_says_how_to_install_it(other_host: OtherHost) -> None:
    error = refused(other_host(HostOptions(speed=SPEED, module=False)))
    assert isinstance(error, CapabilityMissing)
    assert "Install-WindowsFeature" in error.hint
    assert list(error.missing)


def test_a_host_without_memory_refuses_a_machine_once(other_host: OtherHost) -> None:
    host = other_host(HostOptions(speed=SPEED, memory=2 * 1024 * MIB + 768 * MIB))
    backend = host.open()
    try:
        state = host.state()
        first = backend.clone(state, "enough")
        with pytest.raises(CmdletError, match="0x8007000E") as told:
            backend.clone(state, "too many")
        assert "fewer machines" in told.value.hint
        assert not backend.host.patience.counts
        assert first.session.run(["hostname.exe"])
        first.discard()
    finally:
        backend.close()
