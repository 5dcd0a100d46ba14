"""A PowerShell session that was opened when an image was booted is the one that clones of its states still speak to.

The project's PSRP peer plays ``pwsh`` in the guest.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine, hyperv_state
from pytest_hyperv.lab import lab_of
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
