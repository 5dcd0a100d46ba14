"""What stands in a host's book of leases: who uses the host from which computer, and what each holds or waits for."""

from __future__ import annotations

import getpass
import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.lease_entries import Entry
from pytest_hyperv.leases import Holding, Lease, Need

EXPIRY = 120.0
"""Seconds after which somebody who is not heard of any more holds nothing: a dead computer tells nobody."""


@dataclass(frozen=True)
class Guest:
    """A process that uses the host. ``seen`` is when it was last heard of, by the host's clock, seconds since 1970.

    ``process`` is who it is on its computer, ``realm`` where that means something: a computer since it was started,
    and there one namespace of processes.
    """

    computer: str
    user: str
    process: ProcessIdentity
    realm: str
    seen: float

    @classmethod
    def own(cls, seen: float) -> Guest:
        """This process."""
        return cls(platform.node(), _user(), ProcessIdentity.own(), _realm(), seen)

    def gone(self, now: float) -> bool:
        """Whether it holds nothing any more: it is dead, as far as can be seen from here, or was silent for long."""
        dead = self.realm == _realm() and not self.process.alive()
        return dead or now - self.seen >= EXPIRY

    def __str__(self) -> str:
        return f"{self.user} on {self.computer}, process {self.process.pid}"


@dataclass
class Pages:
    """The book at one moment. ``guests`` are known by a word of their own each, which is the owner of entries."""

    guests: dict[str, Guest] = field(default_factory=dict)
    entries: list[Entry[str]] = field(default_factory=list)

    @classmethod
    def read(cls, text: str, now: float) -> Pages:
        """What a text says of those who were heard of lately; one that cannot be read is of a host that lost power."""
        try:
            told = json.loads(text)
            guests = {word: _guest(facts) for word, facts in told["guests"].items()}
            entries = [_entry(facts) for facts in told["entries"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()
        living = {word: guest for word, guest in guests.items() if not guest.gone(now)}
        return cls(living, [entry for entry in entries if entry.owner in living])

    def text(self) -> str:
        """The same as text, in ASCII. Who has no entry is not in it."""
        owners = {entry.owner for entry in self.entries}
        guests = {word: asdict(guest) for word, guest in self.guests.items() if word in owners}
        return json.dumps({"guests": guests, "entries": [asdict(entry) for entry in self.entries]})

    def told(self, entries: Iterable[Entry[str]], own: str) -> tuple[Holding, ...]:
        """Entries as others see them."""
        return tuple(
            Holding(entry.lease, str(self.guests.get(entry.owner, entry.owner)), entry.since, entry.owner == own)
            for entry in entries
        )


def _guest(facts: dict[str, Any]) -> Guest:
    return Guest(process=ProcessIdentity(**facts.pop("process")), **facts)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"


@cache
def _realm() -> str:
    if sys.platform != "linux":
        return f"{platform.node()} {psutil.boot_time()}"
    boot = ProcessIdentity.own().started.partition(":")[0]
    return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"


def _entry(facts: dict[str, Any]) -> Entry[str]:
    lease = facts.pop("lease")
    return Entry(Lease(need=Need(**lease.pop("need")), **lease), **facts)
