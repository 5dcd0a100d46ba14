"""Who gets which machine: a fresh one for every lease, and warm spares for the tests to come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from pytest_hyperv.backends.base import Backend, Machine
from pytest_hyperv.errors import HypervError, ImageError, StateError
from pytest_hyperv.progress import Progress
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states import StateStore


@dataclass
class Tally:
    """What the pool did, for the summary.

    ``waited`` is the seconds that tests waited for ``made`` machines.
    """

    made: int = 0
    from_spare: int = 0
    waited: float = 0.0
    images: set[str] = field(default_factory=set)


class Pool:
    """Leases of machines made from states. Safe to use from one test thread; its own work happens on others."""

    def __init__(
        self,
        backend: Backend,
        states: StateStore,
        find_image: Callable[[str], Image],
        *,
        spares: int,
        progress: Progress,
    ) -> None:
        self.backend, self.states, self._find_image = backend, states, find_image
        self._wanted_spares, self._progress = spares, progress
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pytest-hyperv-pool")
        self._spares: dict[MachineSpec, list[Future[Machine]]] = {}
        self._leftover: list[Future[None]] = []
        self._closed = threading.Event()
        self.tally = Tally()

    def lease(self, spec: MachineSpec, purpose: str, *, more_to_come: bool = False) -> Machine:
        """A clean, running machine. ``more_to_come``: another test will want the same kind, so one is warmed meanwhile.

        Raises ImageError, StateError, HostError or a MachineError; nothing is left behind then.
        """
        began = time.monotonic()
        machine = self._spare(spec) or self._clone(spec, purpose)
        self.tally.made += 1
        self.tally.waited += time.monotonic() - began
        self.tally.images.add(spec.image)
        if more_to_come:
            self._warm(spec)
        return machine

    def release(self, machine: Machine) -> None:
        """Throw a machine away while the next test already runs."""
        self._leftover = [task for task in self._leftover if not task.done() or task.exception()]
        self._leftover.append(self._workers.submit(machine.discard))

    def settle(self) -> None:
        """Wait until the spares under way are warm and what was released is gone."""
        wait(self._leftover)
        wait([spare for spares in self._spares.values() for spare in spares])

    def close(self) -> None:
        """End everything the pool holds; raises the first failure to do so."""
        self._closed.set()
        for futures in self._spares.values():
            for spare in futures:
                if not spare.cancel() and spare.exception() is None:
                    self.release(spare.result())
        self._spares.clear()
        self._workers.shutdown(wait=True)
        for task in self._leftover:
            task.result()

    def _spare(self, spec: MachineSpec) -> Machine | None:
        waiting = self._spares.get(spec, [])
        while waiting:
            machine = _made(waiting.pop(0))
            if machine is None:
                continue
            try:
                machine.resume()
            except HypervError:
                self.release(machine)
                continue
            self.tally.from_spare += 1
            return machine
        return None

    def _clone(self, spec: MachineSpec, purpose: str) -> Machine:
        image = self._find_image(spec.image)
        folder = self.states.ensure(image, spec, self._progress)
        try:
            return self.backend.clone(folder, purpose)
        except StateError:
            return self.backend.clone(self.states.rebuild(image, spec, self._progress), purpose)

    def _warm(self, spec: MachineSpec) -> None:
        waiting = self._spares.setdefault(spec, [])
        while len(waiting) < self._wanted_spares:
            waiting.append(self._workers.submit(self._make_spare, spec))

    def _make_spare(self, spec: MachineSpec) -> Machine:
        if self._closed.is_set():
            raise ImageError("the pool is closed")
        machine = self._clone(spec, "spare")
        try:
            machine.warm()
        except BaseException:
            machine.discard()
            raise
        return machine


def _made(spare: Future[Machine]) -> Machine | None:
    """A spare, or None when it could not be made: the lease then makes its own machine and says what is wrong."""
    return None if spare.exception() is not None else spare.result()
