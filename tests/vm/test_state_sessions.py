"""A PowerShell session that was opened when an image was booted is the one that clones of its states still speak to.

The project's PSRP peer plays ``pwsh`` in the guest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine, hyperv_state
from pytest_hyperv.backends.qemu import guest_server, road, saving
from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.guest_install import UNIT as SERVER
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.errors import CommandTimeout, StateError
from pytest_hyperv.lab import lab_of
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.states.store import StateStore
from tests.psrp.guest_peer import CALL, IMAGE, KEPT, NothingToFetch, PeerBackend, PeerMachines
from tests.psrp.peer import vocabulary
from tests.vm.test_powershell import served_by


@hyperv_state(base=IMAGE)
def spoken_to(vm: VirtualMachine) -> None:
    """A recipe that uses the session."""
    vm.ps(vocabulary.KEEP, f"{vm.ps(vocabulary.KEPT).one}, and again").check()


@hyperv_state(base=spoken_to)
def left_alone(vm: VirtualMachine) -> None:
    """A recipe that does not."""
    vm.write_text("/root/mark", "made\n")


def test_the_session_goes_through_two_recipes_whether_they_use_it_or_not(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    lab = lab_of(request.config)
    try:
        machines = PeerMachines(lab.cache, lab.progress)
    except NothingToFetch as error:
        pytest.skip(str(error))
    backend, image, spec = PeerBackend(lab.cache), replace(lab.images.get(IMAGE), powershell=True), MachineSpec()
    root = tmp_path / "states"
    root.mkdir()
    states = StateStore(root, backend)
    booted = StateStore(lab.cache / "states", backend).folder(image, spec)
    (root / booted.name).symlink_to(booted)
    machine = machines.clone(request.node.nodeid)
    try:
        before = served_by(machines.as_tests_see(machine))
    finally:
        machine.discard()
    clone = states.clone(image, spec, request.node.nodeid, lab.progress, left_alone)
    try:
        vm = VirtualMachine(clone, image, backend.name, timeout=CALL)
        assert vm.read_text("/root/mark") == "made\n"
        assert vm.ps(vocabulary.KEPT).one == f"{KEPT}, and again"
        assert served_by(vm) == before
    finally:
        clone.discard()
        states.close()
    assert states.built == 2


STOPPED = "systemctl kill --kill-whom=main --signal=STOP"
STOPPING = 5.0
"""Seconds the guest certainly needs no more than for that."""


def stop_in(machine: QemuMachine, *units: str) -> None:
    """Have services in the guest do nothing any more, the one that would say so last."""
    with pytest.raises(CommandTimeout):
        machine.session.run(["sh", "-c", "; ".join(f"{STOPPED} {unit}" for unit in units)], timeout=STOPPING)


@pytest.fixture
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., tuple[QemuBackend, Path]]]:
    """Saves a state in which services of the guest are stopped."""
    lab = lab_of(request.config)
    image = lab.images.get(IMAGE)
    store = lab.pool("qemu").states
    backend = QemuBackend(lab.cache)

    def save(*units: str) -> tuple[QemuBackend, Path]:
        folder = tmp_path / "state"
        folder.mkdir()
        machine = backend.clone(store.ensure(image, MachineSpec(), lab.progress), request.node.nodeid)
        try:
            stop_in(machine, *units)
            machine.save_as_state(folder)
        finally:
            machine.discard()
        return backend, folder

    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(guest_server, "GRACE", 3.0)
        shorter.setattr(road, "RESYNC", 3.0)
        shorter.setattr(saving, "QUIET_TIMEOUT", 3.0)
        yield save


def test_a_server_that_does_not_answer_in_a_clone_is_started_anew_and_told(
    saved: Callable[..., tuple[QemuBackend, Path]],
) -> None:
    backend, state = saved(SERVER)
    machine = backend.clone(state, "its session is silent")
    try:
        assert machine.reopened == ["the guest's server did not answer within 3 s"]
        assert machine.session.run(["true"])
        assert isinstance(machine.session, guest_server.GuestServer)
    finally:
        machine.discard()


def test_a_state_into_which_no_session_can_be_opened_is_damaged(
    saved: Callable[..., tuple[QemuBackend, Path]], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, state = saved("qemu-guest-agent", SERVER)
    monkeypatch.setattr(road, "ANEW", 2.0)
    purpose = request.node.nodeid
    with pytest.raises(StateError, match="does not answer: the guest's server did not answer within 3 s, and no other"):
        backend.clone(state, purpose)
    ledger = Ledger(lab_of(request.config).cache / "machines")
    assert [record for record in ledger.records() if record.purpose == purpose] == []
