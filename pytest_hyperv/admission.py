"""Lets machines onto a host: a lease for each of them, waited for as long as there is no room."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property

from pytest_hyperv.errors import NoRoom
from pytest_hyperv.leases import Budget, Holding, Lease, LeaseBook, Need, Refusal
from pytest_hyperv.progress import Progress

TELL = 3.0
"""Seconds after which somebody who waits says so."""
REAP = 5.0
"""Seconds between two looks for machines of dead owners, while somebody waits."""
STUCK = 30.0
"""Seconds after which one of several processes gives up that each hold what the others wait for. A machine that such a
process is throwing away is gone by then."""
TOLD = 8
"""How many holders an error names."""
MakeRoom = Callable[[float], bool]
"""Gives up something that this process can do without, or waits so many seconds at most for what it is about to give
back; False when there is neither."""


class Admission:
    """The way of one process to the room of one host."""

    def __init__(
        self,
        book: LeaseBook,
        find_budget: Callable[[], Budget],
        progress: Progress,
        *,
        timeout: float,
        reap: Callable[[], object],
    ) -> None:
        """``timeout`` is how long to wait for room, in seconds; ``reap`` removes the machines of dead owners."""
        self.book, self._find_budget, self._progress = book, find_budget, progress
        self._timeout, self._reap, self._reaped = timeout, reap, float("-inf")

    @cached_property
    def budget(self) -> Budget:
        """What all machines on the host may take together."""
        return self._find_budget()

    def admit(self, need: Need, purpose: str, make_room: MakeRoom, *, count: int = 1) -> list[Lease]:
        """Leases for ``count`` machines, taken together.

        Raises NoRoom when the machines can never fit, when all that is in the way is held by this very process, and
        when time is up; HostError.
        """
        leases = [Lease(uuid.uuid4().hex, need, purpose) for _ in range(count)]
        wanted = Need.together([need] * count)
        if not self.budget.holds(wanted):
            raise NoRoom(
                f"{wanted} can never fit: the budget of this host is {self.budget}",
                hint="ask for less with memory= or cpus= of the marker, or give more with --hyperv-budget.",
            )
        try:
            self._wait(leases, wanted, make_room)
        except BaseException:
            self.book.give_back(leases)
            raise
        return leases

    def admit_spare(self, need: Need, purpose: str) -> Lease | None:
        """A lease for a machine that can be done without; None when there is no room, or somebody waits for it."""
        lease = Lease(uuid.uuid4().hex, need, purpose, spare=True)
        return lease if self.budget.holds(need) and self.book.take([lease], self.budget) is None else None

    def has_room(self, need: Need) -> bool:
        """Whether a machine would get in now, as far as one look tells."""
        held = Need.together(each.lease.need for each in self.book.held())
        return self.budget.holds(Need.together([held, need])) and not self.crowded()

    def hand_over(self, lease: Lease, purpose: str, *, spare: bool = False) -> Lease:
        """The lease of a machine that is for somebody else now."""
        changed = replace(lease, purpose=purpose, spare=spare)
        self.book.change(changed)
        return changed

    def give_back(self, lease: Lease) -> None:
        """Let others have the room."""
        self.book.give_back([lease])

    def crowded(self) -> bool:
        """Whether anybody waits for room."""
        return bool(self.book.waiting())

    def _wait(self, leases: list[Lease], wanted: Need, make_room: MakeRoom) -> None:
        end = time.monotonic() + self._timeout
        refusal = self._try(leases, wanted, make_room, min(end, time.monotonic() + TELL))
        if refusal is not None:
            with self._progress.task(f"Waiting for room for {wanted}, {_told(refusal.held)}", steps=1):
                refusal = self._try(leases, wanted, make_room, end)
        if refusal is not None:
            ahead = f"; {len(refusal.ahead)} more to be served before" if refusal.ahead else ""
            raise NoRoom(
                f"no room for {wanted} within {self._timeout:g} s, {_told(refusal.held)}{ahead}; "
                f"the budget of this host is {self.budget}",
                hint="run fewer workers (-n), keep fewer machines, wait longer (--hyperv-room-timeout), or give more "
                "with --hyperv-budget.",
            )

    def _try(self, leases: list[Lease], wanted: Need, make_room: MakeRoom, end: float) -> Refusal | None:
        """Ask until there is room or time is over; the last refusal then."""
        nothing_comes, fluid = False, time.monotonic()
        while True:
            refusal = self.book.take(leases, self.budget)
            if refusal is None or time.monotonic() >= end:
                return refusal
            if nothing_comes:
                self._check_others_hold(refusal, wanted)
                if not self._has_to_give_way(refusal):
                    fluid = time.monotonic()
                elif time.monotonic() - fluid >= STUCK:
                    raise self._given_way(refusal, wanted)
                self._reap_now_and_then()
                time.sleep(self.book.pace)
            nothing_comes = not make_room(self.book.pace)

    def _has_to_give_way(self, refusal: Refusal) -> bool:
        """Whether whoever holds a machine waits for another one, and this process is the last of them in the line."""
        line = self.book.waiting()
        holders = {each.owner for each in refusal.held}
        last = next((each for each in reversed(line) if each.owner in holders), None)
        spares = any(each.lease.spare for each in refusal.held)
        return last is not None and last.mine and holders <= {each.owner for each in line} and not spares

    def _given_way(self, refusal: Refusal, wanted: Need) -> NoRoom:
        return NoRoom(
            f"no room for {wanted}, {_told(refusal.held)}: all of them wait for more room themselves; "
            f"the budget of this host is {self.budget}",
            hint="make the machines of a test together: hyperv_vm_factory(2) takes both or none; run fewer workers "
            "(-n), or give more with --hyperv-budget.",
        )

    def _check_others_hold(self, refusal: Refusal, wanted: Need) -> None:
        if all(each.mine for each in (*refusal.held, *refusal.ahead)):
            raise NoRoom(
                f"no room for {wanted}, {_told(refusal.held)}: all of it is held by this very process, for "
                "this test or those around it, and nothing comes back before it ends; "
                f"the budget of this host is {self.budget}",
                hint="hold fewer machines at once (reset=, hyperv_vm_factory), or give more with --hyperv-budget.",
            )

    def _reap_now_and_then(self) -> None:
        if time.monotonic() - self._reaped >= REAP:
            self._reap()
            self._reaped = time.monotonic()


def _told(held: Iterable[Holding]) -> str:
    words = [str(each) for each in held]
    more = f" and {len(words) - TOLD} more" if len(words) > TOLD else ""
    return f"held by {', '.join(words[:TOLD])}{more}" if words else "held by nobody"
