"""A simulated host with this backend on it: what tests ask of it, plan for it, and find left on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from benchmarks.simulated import SimulatedLab, ensure_state, open_backend
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.images import ImageStore
from pytest_hyperv.spec import MIB, Image, MachineSpec
from tests.hvsim.host.faults import Fault, clear_faults, plan_fault
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.state import Switch, World
from tests.hvsim.host.switches import add_switch
from tests.hvsim.host.world import SimHost

SPEED = 200.0
"""Simulated seconds in a real one."""
PATIENCE = 15.0
"""Seconds until what goes by itself must be gone."""
SPEC = MachineSpec(image="windows", memory=512 * MIB)

Found = TypeVar("Found")


class Simulation:
    """One host, shared by tests that each leave it as they found it."""

    def __init__(self, lab: SimulatedLab) -> None:
        self.lab = lab
        self._states: dict[MachineSpec, Path] = {}

    @property
    def cache(self) -> Path:
        """The cache that the backend keeps its records in."""
        return self.lab.cache

    @property
    def image(self) -> Image:
        """The golden image of the guests."""
        return ImageStore(self.cache / "images").get(SPEC.image)

    def open(self) -> HypervBackend:
        """A backend with a process of its own on the host."""
        return open_backend(self.cache)

    def state(self, spec: MachineSpec = SPEC) -> Path:
        """A state of a spec. All have the disk of the first one, which is built: what booted once fits every spec."""
        if not self._states:
            backend = self.open()
            try:
                self._states[SPEC] = ensure_state(self.cache, backend, SPEC)
            finally:
                backend.close()
        if spec not in self._states:
            folder = self._states[SPEC].with_name(f"other-{len(self._states)}")
            folder.mkdir()
            replace(SavedState.read(self._states[SPEC]), spec=spec).write(folder)
            self._states[spec] = folder
        return self._states[spec]

    def world(self) -> AbstractContextManager[World]:
        """All that the host knows."""
        return SimHost(self.lab.host).transaction()

    def machine(self, id: str) -> VirtualMachine:
        """What the host knows of a machine; a picture of this moment."""
        with self.world() as world:
            return world.machine(id)

    @contextmanager
    def switch(self, name: str) -> Iterator[str]:
        """A private switch for the length of the block: its id."""
        with self.world() as world:
            made = add_switch(world, Switch(name, "Private"))
        try:
            yield made.id
        finally:
            with self.world() as world:
                world.switches.pop(made.id)

    def plan(
        self, kind: str, on: str | None = None, *, times: int = 1, machine: str | None = None, seconds: float = 5.0
    ) -> None:
        """Let something go wrong on the host; ``seconds`` are simulated."""
        plan_fault(self.lab.host, Fault(kind, times=times, on=on, machine=machine, seconds=seconds))

    def struck(self, kind: str) -> int:
        """How often a fault has happened since `calm`."""
        with self.world() as world:
            return world.struck.get(kind, 0)

    def calm(self) -> None:
        """Nothing goes wrong any more, and nothing is known of what did."""
        clear_faults(self.lab.host)
        with self.world() as world:
            world.struck.clear()

    def left(self) -> list[str]:
        """What is on the host and in the ledger beside sealed disks and an empty book of leases."""
        found = [each for each in left_over(self.lab.host, "C:\\") if "\\leases\\book.json" not in each]
        return found + self.records() + [f"lease {entry['lease']['id']}" for entry in self.leased()]

    def leased(self) -> list[dict[str, Any]]:
        """The entries in the host's book of leases."""
        books = self.lab.host.glob("drives/**/leases/book.json")
        return [entry for book in books for entry in json.loads(book.read_text())["entries"]]

    def left_in_the_end(self, before: Sequence[str] = ()) -> list[str]:
        """What is left beside ``before`` once locks that outlive their cause are gone."""
        return eventually(lambda: [each for each in self.left() if each not in before], lambda left: not left)

    def records(self) -> list[str]:
        """The records of machines, in words."""
        folder = self.cache / "machines"
        found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        return [f"record {path.name}" for path in found]


def eventually(look: Callable[[], Found], wanted: Callable[[Found], bool], patience: float = PATIENCE) -> Found:
    """What ``look`` finds once it is ``wanted``, or when that has taken too long."""
    end = time.monotonic() + patience
    while not wanted(found := look()) and time.monotonic() < end:
        Event().wait(0.05)
    return found
