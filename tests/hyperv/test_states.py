"""States of recipes on the simulated host: disks that machines were left with, each on the one below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from tests.hyperv.simulation import Simulation

PLACE = "C:\\installed.txt"


def prepared(backend: HypervBackend, base: Path, word: str, folder: Path) -> Path:
    """A state in ``folder`` whose machines hold ``word`` beside what those of ``base`` hold."""
    folder.mkdir()
    machine = backend.clone(base, f"recipe {word}")
    try:
        before = read(machine)
        machine.session.write_file(PLACE, [f"{before}{word};".encode()], mode=0o644, timeout=20)
        machine.checkpoint("of the recipe", memory=True)
        backend.save_state(machine, folder)
    finally:
        machine.discard()
    return folder


def read(machine: HypervMachine) -> str:
    """What recipes have written."""
    there = machine.session.stat(PLACE) is not None
    return b"".join(machine.session.read_file(PLACE, timeout=20)).decode() if there else ""


def test_a_state_stands_on_another_and_its_machines_hold_what_both_recipes_left(
    host: Simulation, backend: HypervBackend, tmp_path: Path
) -> None:
    app = prepared(backend, host.state(), "app", tmp_path / "app")
    configured = prepared(backend, app, "configured", tmp_path / "configured")
    for state, held in ((configured, "app;configured;"), (app, "app;"), (host.state(), "")):
        machine = backend.clone(state, "a test")
        assert read(machine) == held
        assert backend.saved_spec(state) == machine.spec
        assert machine.checkpoints() == ()
        machine.session.write_file(PLACE, [b"dirt"], mode=0o644, timeout=20)
        assert machine.recycle()
        assert read(machine) == held
        machine.discard()
    for state in (configured, app):
        backend.remove_state(state)


def test_a_state_that_cannot_be_noted_leaves_nothing_on_the_host(
    host: Simulation, backend: HypervBackend, tmp_path: Path
) -> None:
    base = SavedState.read(host.state())
    machine = backend.clone(host.state(), "recipe")
    with pytest.raises(FileNotFoundError):
        backend.save_state(machine, tmp_path / "no folder")
    machine.discard()
    with host.world() as world:
        states = world.drives.resolve(base.folder).parent
    assert [path.name for path in states.iterdir()] == [base.folder.rpartition("\\")[2]]
