"""The book of leases on this machine: one file in the cache, for all workers and runs that share the cache.

Each edition of it is a new file, whose number is one higher, and the one before is removed then. To put a file in the
place of another would take 10 ms where the file system (ext4) writes the new one out first, and tests wait for that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_hyperv import lease_entries
from pytest_hyperv.errors import HostError
from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.leases import Budget, Holding, Lease, Need, Refusal
from pytest_hyperv.ledger import Ledger

LOCK_TIMEOUT = 60.0
"""Seconds for which others may be at the book; each of them is there for about a millisecond."""
LOCK_POLL = 0.005


Entry = lease_entries.Entry[ProcessIdentity]


class LeaseFile:
    """See :class:`~pytest_hyperv.leases.LeaseBook`.

    A lease lives as long as the process that took it; then its machine counts only if the ledger says that it is kept.
    """

    pace = 0.1

    def __init__(self, cache: Path, backend: str) -> None:
        self._folder, self._backend, self._ledger = cache / "leases", backend, Ledger(cache / "machines")
        self._own = ProcessIdentity.own()

    def take(self, leases: Sequence[Lease], budget: Budget) -> Refusal | None:
        """Note all of ``leases``, or none and say why; a process that holds machines goes before those that do not."""
        with self._opened() as entries:
            refused = lease_entries.take(entries, self._kept(), leases, budget, self._own, time.time())
        return None if refused is None else Refusal(self._told(refused.held), self._told(refused.ahead))

    def change(self, lease: Lease) -> None:
        """Note anew what a held lease is for."""
        with self._opened() as entries:
            lease_entries.change(entries, lease)

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Strike out leases, held or waited for."""
        with self._opened() as entries:
            lease_entries.strike_out(entries, leases)

    def held(self) -> tuple[Holding, ...]:
        """What is held, oldest first, kept machines of dead owners included."""
        with self._alone():
            held = [*(entry for entry in self._read() if not entry.turn), *self._kept()]
        return self._told(sorted(held, key=lambda entry: entry.since))

    def waiting(self) -> tuple[Holding, ...]:
        """What is waited for, in the order in which it is served."""
        with self._alone():
            entries = self._read()
        held = [entry for entry in entries if not entry.turn]
        return self._told(lease_entries.in_order([entry for entry in entries if entry.turn], held))

    @contextmanager
    def _opened(self) -> Iterator[list[Entry]]:
        """The living entries; what the caller leaves in the list is written. Nobody else is at the book meanwhile."""
        with self._alone():
            entries = self._read()
            before = list(entries)
            yield entries
            if entries != before:
                self._write(entries)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self._folder / f"{self._backend}.lock", LOCK_TIMEOUT, mode=0o600)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with lock.acquire(poll_interval=LOCK_POLL):
                yield
        except OSError as error:
            raise HostError(
                f"the book of leases below {self._folder} cannot be kept: {error.strerror or error}",
                hint="free some space there, or choose another folder with --hyperv-cache.",
            ) from error

    def _read(self) -> list[Entry]:
        """The living entries. An edition is whole: one that cannot be read is of a computer that lost power."""
        editions = self._editions()
        if not editions:
            return []
        try:
            found = [_entry(facts) for facts in json.loads(editions[-1].read_text("utf-8"))]
        except (ValueError, KeyError, TypeError, AttributeError):
            return []
        alive = {owner: owner.alive() for owner in {entry.owner for entry in found}}
        return [entry for entry in found if alive[entry.owner]]

    def _write(self, entries: list[Entry]) -> None:
        before = self._editions()
        number = int(before[-1].suffixes[0][1:]) + 1 if before else 1
        fresh = self._folder / f"{self._backend}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(entry) for entry in entries], file)
        fresh.rename(self._folder / f"{self._backend}.{number}.json")
        for old in before:
            old.unlink()

    def _editions(self) -> list[Path]:
        found = self._folder.glob(f"{self._backend}.*.json")
        return sorted(found, key=lambda path: int(path.suffixes[0][1:]))

    def _kept(self) -> list[Entry]:
        """What the machines of dead owners take that were kept."""
        return [
            Entry(
                Lease(record.id, Need(record.memory, record.cpus), f"{record.name}, kept: {record.kept}"),
                record.owner,
                record.created,
            )
            for record in self._ledger.records()
            if record.kept and record.backend == self._backend and not record.owner.alive()
        ]

    def _told(self, entries: Iterable[Entry]) -> tuple[Holding, ...]:
        return tuple(
            Holding(entry.lease, f"process {entry.owner.pid}", entry.since, entry.owner == self._own)
            for entry in entries
        )


def _entry(facts: dict[str, Any]) -> Entry:
    lease = facts.pop("lease")
    need, owner = Need(**lease.pop("need")), ProcessIdentity(**facts.pop("owner"))
    return Entry(Lease(need=need, **lease), owner, **facts)
