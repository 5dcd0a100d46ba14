"""Who gets which machine: a fresh one for every lease, and warm spares for the tests to come."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pytest_hyperv.admission import Admission
from pytest_hyperv.backends.base import Backend, Machine
from pytest_hyperv.errors import HostError, HypervError, NoRoom, PoolError
from pytest_hyperv.leases import Lease, Need
from pytest_hyperv.progress import Progress
from pytest_hyperv.spares import Spares
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.timeline import Timeline


@dataclass
class Tally:
    """What the pool did, for the summary.

    ``waited`` is the seconds that tests waited for ``made`` machines. ``reopened`` has a line for each session that was
    saved with a state, did not answer and was opened anew.
    """

    made: int = 0
    from_spare: int = 0
    waited: float = 0.0
    images: set[str] = field(default_factory=set)
    reopened: list[str] = field(default_factory=list)


SPARE = "spare"
"""Whom a machine is for that nobody has asked for yet."""


class Kind(NamedTuple):
    """What machines may stand for one another: those of one spec and state; None is the booted image."""

    spec: MachineSpec
    state: State | None = None


def reopened_words(state: str, why: str) -> str:
    """That a session of ``state`` was opened anew, and ``why``, for people."""
    return f"a session of state {state} did not answer, reopened: {why}"


class Held(NamedTuple):
    """What is known of a machine in the pool's hands: what it may stand for, and its lease."""

    kind: Kind
    lease: Lease


class Pool:
    """Machines made from states, a lease for each. Safe to use from one test thread; its own work is done on others."""

    def __init__(
        self,
        backend: Backend,
        states: StateStore,
        find_image: Callable[[str], Image],
        admission: Admission,
        *,
        spares: int,
        progress: Progress,
        timeline: Timeline | None = None,
    ) -> None:
        self._timeline = timeline or Timeline(0)
        self.backend, self.states, self._find_image = backend, states, find_image
        self._admission, self._wanted_spares, self._progress = admission, spares, progress
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pytest-hyperv-pool")
        self._watch: threading.Thread | None = None
        self._spares: Spares[Kind] = Spares()
        self._discards: list[Future[None]] = []
        self._held: dict[Machine, Held] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.tally = Tally()

    def lease(
        self, spec: MachineSpec, purpose: str, *, state: State | None = None, more_to_come: bool = False
    ) -> Machine:
        """A clean, running machine. ``more_to_come``: another test will want the same kind, so one is warmed meanwhile.

        Waits as long as there is no room on the host. Raises NoRoom, ImageError, StateError, HostError or a
        MachineError; nothing is left behind then.
        """
        (machine,) = self.lease_several(spec, purpose, 1, state=state)
        if more_to_come:
            self._warm(Kind(spec, state))
        return machine

    def lease_several(
        self, spec: MachineSpec, purpose: str, count: int, *, state: State | None = None
    ) -> tuple[Machine, ...]:
        """Machines of one kind that are let in together: nobody holds some of them and waits for the others.

        So only one that is wanted alone may be a spare. Raises what ``lease`` raises.
        """
        began = time.monotonic()
        kind = Kind(spec, state)
        machines: list[Machine] = []
        try:
            if count == 1 and (spare := self._spare(kind, purpose)) is not None:
                machines.append(spare)
            missing = count - len(machines)
            leases = (
                self._admission.admit(Need.of(spec), purpose, self._make_room, count=missing) if missing > 0 else []
            )
            while leases:
                machines.append(self._clone(kind, purpose, leases))
        except BaseException:
            for machine in machines:
                self.release(machine)
            raise
        self.tally.made += count
        self.tally.waited += time.monotonic() - began
        self.tally.images.add(spec.image)
        return tuple(machines)

    def release(self, machine: Machine, *, more_to_come: bool = False) -> None:
        """Take a machine back while the next test already runs.

        It is thrown away, unless ``more_to_come`` says that a clean one of its kind is wanted and its backend makes
        one of it for less than a new one costs.
        """
        if more_to_come and self.backend.recycles:
            self._spares.add(self._held[machine].kind, self._workers.submit(self._recycle, machine))
            self._watch_the_line()
        else:
            self._throw_away(machine)

    def keep(self, machine: Machine, reason: str, seconds: float) -> None:
        """Let a machine outlive this process, for ``seconds`` from now; its room stays taken while this process lives.

        Raises NoRoom when there is none for another one of its kind beside it: tests come first.
        """
        held = self._held[machine]
        if not self._admission.has_room(held.lease.need):
            raise NoRoom("it would take the room of the machines of tests to come")
        self.states.keep(machine, reason, seconds)
        with self._lock:
            del self._held[machine]

    def settle(self) -> None:
        """Wait until the spares under way are warm and what was released is gone."""
        wait(self._under_way())

    def close(self) -> None:
        """End everything the pool ever made and that is left; raises the first failure to do so, after trying all."""
        self._closed.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._watch is not None:
            self._watch.join()
        failures = []
        for machine in list(self._held):
            try:
                self._discard(machine)
            except HypervError as error:
                failures.append(error)
        self.states.close()
        if failures:
            raise failures[0]

    def prepare(self, spec: MachineSpec, state: State | None = None) -> None:
        """Have the state in the cache, without making a machine from it. Raises what ``lease`` raises."""
        purpose = f"state {state.name if state else spec.image}"
        (lease,) = self._admission.admit(Need.of(spec), purpose, self._make_room)
        try:
            self.states.ensure(self._find_image(spec.image), spec, self._progress, state)
        finally:
            self._admission.give_back(lease)

    # -- machines

    def _clone(self, kind: Kind, purpose: str, leases: list[Lease]) -> Machine:
        """A new machine on the first of ``leases``, which goes with it; all of them are given back when it fails."""
        try:
            image = self._find_image(kind.spec.image)
            machine = self.states.clone(image, kind.spec, purpose, self._progress, kind.state)
        except BaseException:
            for lease in leases:
                self._admission.give_back(lease)
            raise
        with self._lock:
            self._held[machine] = Held(kind, leases.pop(0))
        return machine

    def _throw_away(self, machine: Machine) -> None:
        with self._lock:
            self._discards = [task for task in self._discards if not task.done()]
            self._discards.append(self._workers.submit(self._discard, machine))

    def _discard(self, machine: Machine) -> None:
        with self._timeline.span("discard", machine=machine.name):
            machine.discard()
        with self._lock:
            held = self._held.pop(machine)
            name = held.kind.state.name if held.kind.state else held.kind.spec.image
            self.tally.reopened += [reopened_words(name, why) for why in machine.reopened]
        self._admission.give_back(held.lease)

    def _hand_over(self, machine: Machine, purpose: str, *, spare: bool = False) -> None:
        held = self._held[machine]
        lease = self._admission.hand_over(held.lease, purpose, spare=spare)
        with self._lock:
            self._held[machine] = held._replace(lease=lease)

    # -- spares

    def _spare(self, kind: Kind, purpose: str) -> Machine | None:
        while (spare := self._spares.take(kind)) is not None:
            if spare.exception() is not None:
                continue
            machine = spare.result()
            try:
                with self._timeline.span("reset", machine=machine.name):
                    machine.resume()
                self._hand_over(machine, purpose)
            except HypervError:
                self.release(machine)
                continue
            self.tally.from_spare += 1
            return machine
        return None

    def distance(self, kind: Kind, count: int) -> tuple[bool, bool, bool, bool, int]:
        """How far so many machines are from the test that wants them, for comparing hosts.

        No room for them ever, none now, no spare, no state, and how many others there are. Raises ImageError,
        StateError.
        """
        spare, ever, room = self._spares.count(kind) >= count, False, False
        need = Need.together([Need.of(kind.spec)] * count)
        with contextlib.suppress(HostError):  # the lease will meet it too
            ever = self._admission.budget.holds(need)
            room = spare or self._admission.has_room(need)
        state = self.states.has(self._find_image(kind.spec.image), kind.spec, kind.state)
        return not ever, not room, not spare, not state, len(self._held)

    def _warm(self, kind: Kind) -> None:
        for _ in range(self._wanted_spares - self._spares.count(kind)):
            self._spares.add(kind, self._workers.submit(self._make_spare, kind))
            self._watch_the_line()

    def _make_spare(self, kind: Kind) -> Machine:
        """A machine that is warm; a failure is left to the lease, which then makes its own and says what is wrong."""
        if self._closed.is_set():
            raise PoolError("the pool is closed")
        lease = self._admission.admit_spare(Need.of(kind.spec), SPARE)
        if lease is None:
            raise NoRoom("there is no room for a spare machine")
        machine = self._clone(kind, SPARE, [lease])
        try:
            with self._timeline.span("warm", machine=machine.name):
                machine.warm()
        except HypervError:
            self._discard(machine)
            raise
        return machine

    def _recycle(self, machine: Machine) -> Machine:
        """The machine as a clean one. A failure is left to the next lease, which then makes its own."""
        try:
            if not self._closed.is_set() and machine.crash is None and not self._admission.crowded():
                with self._timeline.span("reset", machine=machine.name):
                    clean = machine.recycle()
                if clean:
                    self._hand_over(machine, SPARE, spare=True)
                    return machine
        except HypervError:
            self._discard(machine)
            raise
        self._discard(machine)
        raise PoolError(f"{machine.name} is not made clean again")

    # -- room for others

    def _make_room(self, seconds: float) -> bool:
        """Give up a spare, or wait for what is under way; False when this process has neither."""
        if self._give_up_spare() is not None:
            return True
        coming = self._under_way()
        if coming:
            wait(coming, timeout=seconds, return_when=FIRST_COMPLETED)
        return bool(coming)

    def _under_way(self) -> list[Future[Any]]:
        """The machines that are thrown away or warmed now."""
        with self._lock:
            return [*(task for task in self._discards if not task.done()), *self._spares.under_way()]

    def _give_up_spare(self) -> Future[None] | None:
        with self._lock:
            machine = self._spares.take_idle()
            if machine is None:
                return None
            self._discards.append(self._workers.submit(self._discard, machine))
            return self._discards[-1]

    def _watch_the_line(self) -> None:
        """From now on, give up spares as soon as anybody, of whatever run, waits for room."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._give_up_for_others, name="pytest-hyperv-room", daemon=True)
            self._watch.start()

    def _give_up_for_others(self) -> None:
        while not self._closed.wait(self._admission.book.pace):
            with contextlib.suppress(HypervError, RuntimeError):  # the book is gone; the pool was closed just now
                given_up = self._give_up_spare() if self._spares.any() and self._admission.crowded() else None
                if given_up is not None:
                    wait([given_up])
