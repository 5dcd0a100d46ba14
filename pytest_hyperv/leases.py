"""Room on a host: what a machine needs of it, what it has to give, and the book of who holds what.

Memory is in bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pytest_hyperv.capabilities import HostFacts
from pytest_hyperv.sizes import parse_size
from pytest_hyperv.spec import GIB, MIB, MachineSpec

OVERCOMMIT = 4
"""Processors that machines may have for each one of the host: most machines wait most of the time."""
RESERVED = 8
"""The host keeps one part in so many of its memory for itself, and at least one GiB; never more than half."""


@dataclass(frozen=True)
class Need:
    """What machines take of a host: memory in bytes, processors, and how many machines they are."""

    memory: int
    cpus: int
    vms: int = 1

    @classmethod
    def of(cls, spec: MachineSpec) -> Need:
        """What one machine of ``spec`` takes: of dynamic memory what it starts with."""
        return cls(spec.memory, spec.cpus)

    @classmethod
    def together(cls, needs: Iterable[Need]) -> Need:
        """The sum."""
        listed = list(needs)
        return cls(*(sum(getattr(each, part) for each in listed) for part in ("memory", "cpus", "vms")))

    def __str__(self) -> str:
        cpus = f"{self.memory / MIB:.0f} MiB, {_counted(self.cpus, 'CPU')}"
        return cpus if self.vms == 1 else f"{_counted(self.vms, 'machine')}, {cpus}"


@dataclass(frozen=True)
class Budget:
    """What a host has to give to all machines on it together."""

    memory: int
    cpus: int
    vms: int

    @classmethod
    def of(cls, facts: HostFacts) -> Budget:
        """What a host can give without harm to itself; processors are given `OVERCOMMIT` times."""
        reserved = min(max(facts.memory // RESERVED, GIB), facts.memory // 2)
        cpus = facts.cpus * OVERCOMMIT
        return cls(memory=facts.memory - reserved, cpus=cpus, vms=cpus)

    def holds(self, need: Need) -> bool:
        """Whether machines that need so much together fit."""
        return need.memory <= self.memory and need.cpus <= self.cpus and need.vms <= self.vms

    def times(self, need: Need) -> int:
        """How many times ``need`` fits."""
        return min(self.memory // need.memory, self.cpus // need.cpus, self.vms // need.vms)

    def __str__(self) -> str:
        return f"{self.memory / MIB:.0f} MiB, {_counted(self.cpus, 'CPU')}, {_counted(self.vms, 'machine')}"


@dataclass(frozen=True)
class Limits:
    """The parts of a budget that somebody named; None is what the host says."""

    memory: int | None = None
    cpus: int | None = None
    vms: int | None = None

    @classmethod
    def parse(cls, text: str) -> Limits:
        """From words such as ``memory=8GiB,cpus=6,vms=4``, each of them optional. Raises ValueError."""
        found: dict[str, int] = {}
        for word in filter(None, (word.strip() for word in text.split(","))):
            name, equals, value = (part.strip() for part in word.partition("="))
            if not equals or name not in ("memory", "cpus", "vms") or name in found:
                raise ValueError(f"{word!r} is none of memory=SIZE, cpus=N, vms=N, each named once")
            if name == "memory":
                found[name] = parse_size(value)
            elif value.isascii() and value.isdecimal() and int(value) > 0:
                found[name] = int(value)
            else:
                raise ValueError(f"{word!r}: {value!r} is no whole number of at least 1")
        return cls(**found)

    def overridden(self, other: Limits) -> Limits:
        """These, with the parts that ``other`` names in place of their own."""
        return replace(self, **other._named())

    def on(self, facts: HostFacts) -> Budget:
        """The budget of a host, with these parts in place of its own; without ``vms``, ``cpus`` limits machines too."""
        own = Budget.of(facts)
        budget = replace(own, vms=self.cpus or own.vms)
        return replace(budget, **self._named())

    def __str__(self) -> str:
        named = self._named()
        return ",".join(f"{name}={_size(named[name]) if name == 'memory' else named[name]}" for name in named)

    def _named(self) -> dict[str, int]:
        return {name: value for name in ("memory", "cpus", "vms") if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Lease:
    """The right to one machine. ``purpose`` says whom it is for; a ``spare`` is for nobody yet and can be done without.

    ``id`` is a word that no other lease has, made by whoever asks; it is not the machine's.
    """

    id: str
    need: Need
    purpose: str
    spare: bool = False


@dataclass(frozen=True)
class Holding:
    """A lease in the book. ``owner`` is in words, ``mine`` when it is this process, ``since`` seconds since 1970."""

    lease: Lease
    owner: str
    since: float
    mine: bool

    def __str__(self) -> str:
        return f"{self.lease.purpose} ({self.owner}; {self.lease.need})"


@dataclass(frozen=True)
class Refusal:
    """Why there is no room now: what is held, and what others wait for who are served before."""

    held: tuple[Holding, ...]
    ahead: tuple[Holding, ...] = ()


class LeaseBook(Protocol):
    """Who holds what on one host, and who waits: one book for all workers and runs that use the host.

    Every operation is atomic beside all other processes, safe from any thread, and forgets what belongs to owners that
    live no more. Raises HostError when the book cannot be read or written.
    """

    @property
    def pace(self) -> float:
        """Seconds that somebody who waits lets pass between two looks into the book."""
        ...

    def take(self, leases: Sequence[Lease], budget: Budget) -> Refusal | None:
        """Note all of ``leases`` as held by this process, or none of them and say why.

        Served first is who holds machines (not only spares) already, then who has waited longest; whoever is refused
        waits from then on: ask again with the same leases, or give them back. Spares never wait, and are refused while
        anybody does.
        """
        ...

    def change(self, lease: Lease) -> None:
        """Note anew what a held lease is for: a spare that a test got, or the other way round."""
        ...

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Strike out leases, held or waited for; those that are not in the book are gone already."""
        ...

    def held(self) -> tuple[Holding, ...]:
        """What is held, by anybody, oldest first; machines that were kept count too."""
        ...

    def waiting(self) -> tuple[Holding, ...]:
        """What is waited for, by anybody, in the order in which it is served."""
        ...


def _size(memory: int) -> str:
    return str(memory) if memory % MIB else f"{memory // MIB}MiB"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
