"""Lives on the Hyper-V backend and the simulated host: of a machine, of a state of its recipe, and of a booted one.

A step is also each pipeline that is sent to a PowerShell on the host or in a guest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulated import IMAGE, SimulatedLab, open_backend
from pytest_hyperv import VirtualMachine, hyperv_state
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.images import ImageStore
from pytest_hyperv.progress import Silent
from pytest_hyperv.psrp.calls import Call, Command, Runnable
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.spec import MIB, Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.store import StateStore
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.world import SimHost
from tests.killing.qemu_lives import collect_garbage
from tests.killing.states import build_and_remove, remove_finished
from tests.killing.steps import Steps

SPEED = 200.0
SPEC = MachineSpec(image=IMAGE, memory=512 * MIB)


@hyperv_state(base=IMAGE)
def marked(vm: VirtualMachine) -> None:
    """A recipe that takes no time."""
    vm.write_text("C:\\mark.txt", "made")


class HypervBench:
    """A simulated host and a cache in ``folder``, a booted state in it; see `matrix.Bench`."""

    def __init__(self, folder: Path) -> None:
        self._lab = SimulatedLab(folder, HostOptions(speed=SPEED))
        self._lab.enter()

    @property
    def _image(self) -> Image:
        return ImageStore(self._lab.cache / "images").get(IMAGE)

    def prepare(self) -> None:
        """Have the state that machines are made from, and leave no process behind."""
        backend = open_backend(self._lab.cache)
        try:
            states = self._states(backend)
            states.ensure(self._image, SPEC, Silent())
            states.close()
        finally:
            backend.close()

    def _states(self, backend: HypervBackend) -> StateStore:
        return StateStore(self._lab.cache / "states", backend)

    def live(self, steps: Steps) -> None:
        """Clone, checkpoint, restore, delete a checkpoint, reset, discard."""
        watch_requests(steps)
        with self._backend() as backend:
            state = self._states(backend).folder(self._image, SPEC)
            with steps.operation("clone"):
                machine = backend.clone(state, "a run that dies")
            try:
                with steps.operation("checkpoint"):
                    point = machine.checkpoint("point", memory=True)
                with steps.operation("restore"):
                    machine.restore(point)
                with steps.operation("delete a checkpoint"):
                    machine.delete_checkpoint(point)
                with steps.operation("reset"):
                    machine.recycle()
            finally:
                with steps.operation("discard"):
                    machine.discard()

    def stay(self, told: Callable[[], None]) -> None:
        """A machine whose guest must still answer when ``told`` returns."""
        with self._backend() as backend:
            machine = backend.clone(self._states(backend).folder(self._image, SPEC), "another run")
            try:
                told()
                machine.session.run(["hostname.exe"]).check()
            finally:
                machine.discard()

    def reclaim(self) -> None:
        """``pytest-hyperv gc``, and the removal of states that were whole already."""
        collect_garbage(self._lab.cache)
        with self._backend() as backend:
            base = self._states(backend).folder(self._image, SPEC).name
            remove_finished(backend, self._lab.cache / "states", base)

    def left(self) -> list[str]:
        """Machines, processes, locks, every file of the host, read-only ones too, and what is in the cache."""
        found = left_over(self._lab.host)
        with SimHost(self._lab.host).transaction() as world:
            found += [world.drives.windows(file) for file in world.drives.files_below("C:\\")]
        for name in ("machines", "states"):
            below = (self._lab.cache / name).rglob("*") if name == "states" else (self._lab.cache / name).glob("*")
            found += [str(path) for path in below if path.suffix != ".lock"]
        return sorted(found)

    @contextmanager
    def _backend(self) -> Iterator[HypervBackend]:
        backend = open_backend(self._lab.cache)
        try:
            yield backend
        finally:
            backend.close()


class HypervStateBench(HypervBench):
    """The life of a booted state."""

    state: State | None = None
    spec = replace(SPEC, cpus=3)

    def live(self, steps: Steps) -> None:
        """Build and remove."""
        watch_requests(steps)
        with self._backend() as backend:
            build_and_remove(steps, backend, self._lab.cache / "states", self._image, self.spec, self.state)


class HypervRecipeBench(HypervStateBench):
    """The life of a state that a recipe makes."""

    state = marked
    spec = SPEC


def watch_requests(steps: Steps) -> None:
    """Count the pipelines among the steps, for the rest of this process."""
    start = Session.start

    def started(self: Session, what: Runnable, **options: Any) -> Any:
        steps.request(" then ".join(_named(statement.stages) for statement in Call(what).statements))
        return start(self, what, **options)

    pytest.MonkeyPatch().setattr(Session, "start", started)


def _named(stages: Any) -> str:
    names = [stage.name if isinstance(stage, Command) else f"script {len(stage.text)}" for stage in stages]
    return " | ".join(name.rpartition("\\")[2] for name in names)
