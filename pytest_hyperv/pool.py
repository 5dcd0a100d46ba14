"""Who gets which machine: a fresh one for every lease, and warm spares for the tests to come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_hyperv.backends.base import Backend, Machine
from pytest_hyperv.errors import HypervError, PoolError
from pytest_hyperv.progress import Progress
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.timeline import Timeline


@dataclass
class Tally:
    """What the pool did, for the summary.

    ``waited`` is the seconds that tests waited for ``made`` machines.
    """

    made: int = 0
    from_spare: int = 0
    waited: float = 0.0
    images: set[str] = field(default_factory=set)


class Kind(NamedTuple):
    """What machines may stand for one another: those of one spec and state; None is the booted image."""

    spec: MachineSpec
    state: State | None = None


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
        timeline: Timeline | None = None,
    ) -> None:
        self._timeline = timeline or Timeline(0)
        self.backend, self.states, self._find_image = backend, states, find_image
        self._wanted_spares, self._progress = spares, progress
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pytest-hyperv-pool")
        self._spares: dict[Kind, list[Future[Machine]]] = {}
        self._discards: list[Future[None]] = []
        self._held: dict[Machine, Kind] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.tally = Tally()

    def lease(
        self, spec: MachineSpec, purpose: str, *, state: State | None = None, more_to_come: bool = False
    ) -> Machine:
        """A clean, running machine. ``more_to_come``: another test will want the same kind, so one is warmed meanwhile.

        Raises ImageError, StateError, HostError or a MachineError; nothing is left behind then.
        """
        began = time.monotonic()
        kind = Kind(spec, state)
        machine = self._spare(kind) or self._clone(kind, purpose)
        self.tally.made += 1
        self.tally.waited += time.monotonic() - began
        self.tally.images.add(spec.image)
        if more_to_come:
            self._warm(kind)
        return machine

    def release(self, machine: Machine, *, more_to_come: bool = False) -> None:
        """Take a machine back while the next test already runs.

        It is thrown away, unless ``more_to_come`` says that a clean one of its kind is wanted and its backend makes
        one of it for less than a new one costs.
        """
        self._discards = [task for task in self._discards if not task.done()]
        if more_to_come and self.backend.recycles:
            self._spares.setdefault(self._held[machine], []).append(self._workers.submit(self._recycle, machine))
        else:
            self._discards.append(self._workers.submit(self._discard, machine))

    def settle(self) -> None:
        """Wait until the spares under way are warm and what was released is gone."""
        wait(self._discards)
        wait([spare for spares in self._spares.values() for spare in spares])

    def close(self) -> None:
        """End everything the pool ever made and that is left; raises the first failure to do so, after trying all."""
        self._closed.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        failures = []
        for machine in list(self._held):
            try:
                self._discard(machine)
            except HypervError as error:
                failures.append(error)
        self.states.close()
        if failures:
            raise failures[0]

    def _discard(self, machine: Machine) -> None:
        with self._timeline.span("discard", machine=machine.name):
            machine.discard()
        with self._lock:
            del self._held[machine]

    def _recycle(self, machine: Machine) -> Machine:
        """The machine as a clean one. A failure is left to the next lease, which then makes its own."""
        try:
            if not self._closed.is_set() and machine.crash is None:
                with self._timeline.span("reset", machine=machine.name):
                    clean = machine.recycle()
                if clean:
                    return machine
        except HypervError:
            self._discard(machine)
            raise
        self._discard(machine)
        raise PoolError(f"{machine.name} could not be made clean again")

    def _spare(self, kind: Kind) -> Machine | None:
        waiting = self._spares.get(kind, [])
        while waiting:
            failed = waiting[0].exception() is not None
            spare = waiting.pop(0)
            if failed:
                continue
            machine = spare.result()
            try:
                with self._timeline.span("reset", machine=machine.name):
                    machine.resume()
            except HypervError:
                self.release(machine)
                continue
            self.tally.from_spare += 1
            return machine
        return None

    def distance(self, kind: Kind) -> tuple[bool, bool, int]:
        """How far a machine is from the test that wants it, for comparing hosts: no spare, no state, how many others.

        Raises ImageError, StateError.
        """
        state = self.states.has(self._find_image(kind.spec.image), kind.spec, kind.state)
        return not self._spares.get(kind), not state, len(self._held)

    def prepare(self, spec: MachineSpec, state: State | None = None) -> None:
        """Have the state in the cache, without making a machine from it. Raises what ``lease`` raises."""
        self.states.ensure(self._find_image(spec.image), spec, self._progress, state)

    def _clone(self, kind: Kind, purpose: str) -> Machine:
        image = self._find_image(kind.spec.image)
        machine = self.states.clone(image, kind.spec, purpose, self._progress, kind.state)
        with self._lock:
            self._held[machine] = kind
        return machine

    def _warm(self, kind: Kind) -> None:
        waiting = self._spares.setdefault(kind, [])
        while len(waiting) < self._wanted_spares:
            waiting.append(self._workers.submit(self._make_spare, kind))

    def _make_spare(self, kind: Kind) -> Machine:
        """A machine that is warm; a failure is left to the lease, which then makes its own and says what is wrong."""
        if self._closed.is_set():
            raise PoolError("the pool is closed")
        machine = self._clone(kind, "spare")
        with self._timeline.span("warm", machine=machine.name):
            machine.warm()
        return machine
