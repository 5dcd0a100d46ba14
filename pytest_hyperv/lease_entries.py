"""The lines of a book of leases, wherever it is kept: who is served, and in which order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pytest_hyperv.leases import Budget, Lease, Need

Owner = TypeVar("Owner", bound=Hashable)


@dataclass(frozen=True)
class Entry(Generic[Owner]):
    """A line of the book. ``turn`` is 0 for what is held, otherwise the place in the order of those who wait."""

    lease: Lease
    owner: Owner
    since: float
    turn: int = 0


@dataclass(frozen=True)
class Refused(Generic[Owner]):
    """What is held, and what others wait for who are served before."""

    held: list[Entry[Owner]]
    ahead: list[Entry[Owner]]


def take(
    entries: list[Entry[Owner]],
    kept: Iterable[Entry[Owner]],
    leases: Sequence[Lease],
    budget: Budget,
    owner: Owner,
    now: float,
) -> Refused[Owner] | None:
    """Enter all of ``leases`` into ``entries`` as held, or as waited for unless they are spares, and say why.

    ``kept`` is held too, by nobody who could give it back. What is held already by ``owner`` stays so.
    """
    wanted = {lease.id for lease in leases}
    spare = all(lease.spare for lease in leases)
    held = [*(entry for entry in entries if not entry.turn), *kept]
    if wanted <= {entry.lease.id for entry in held}:
        return None
    asked = [entry for entry in entries if entry.turn and entry.lease.id in wanted]
    turn = asked[0].turn if asked else 1 + max((entry.turn for entry in entries), default=0)
    mine = [Entry(lease, owner, now, turn) for lease in leases]
    line = in_order([*(entry for entry in entries if entry.turn and entry not in asked), *mine], held)
    ahead = [entry for entry in (line if spare else line[: line.index(mine[0])]) if entry not in mine]
    if not ahead and budget.holds(Need.together(entry.lease.need for entry in [*held, *mine])):
        taken = [replace(entry, turn=0) for entry in mine]
        entries[:] = [*(entry for entry in entries if entry not in asked), *taken]
        return None
    if not asked and not spare:
        entries += mine
    return Refused(held, ahead)


def change(entries: list[Entry[Owner]], lease: Lease) -> None:
    """Note anew what a lease is for."""
    entries[:] = [replace(entry, lease=lease) if entry.lease.id == lease.id else entry for entry in entries]


def strike_out(entries: list[Entry[Owner]], leases: Iterable[Lease]) -> None:
    """Remove leases, held or waited for."""
    gone = {lease.id for lease in leases}
    entries[:] = [entry for entry in entries if entry.lease.id not in gone]


def in_order(waiting: list[Entry[Owner]], held: list[Entry[Owner]]) -> list[Entry[Owner]]:
    """Who holds machines already first, for others wait until they are done; then who waits longest."""
    busy = {entry.owner for entry in held if not entry.lease.spare}
    return sorted(waiting, key=lambda entry: (entry.owner not in busy, entry.turn))
