"""What was made, by whom, written down before it is made; and the reaper that removes what its owner left behind.

Each machine has a folder of its own below ``machines/``. The first thing in it is ``record.json``; every process
started for the machine carries the record's random token in its environment. So ownership is exact: a folder is ours
because its record says so, and a process because of the token, never because of a name.

The record is there for as long as anything else of the machine is: a folder gets its place by a rename once the record
is in it, and loses it by a rename before the record goes. What lies outside of that is in a folder that says so by its
name, and is removed by whoever looks next.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.errors import HostError, HypervError, LeaseLost
from pytest_hyperv.identity import ProcessIdentity, processes_loading, processes_marked
from pytest_hyperv.visitors import enter, visitors

RECORD = "record.json"
TOKEN = "PYTEST_HYPERV_MACHINE"  # noqa: S105 - the name of a variable, not a secret
UNBORN = ".new-"
"""Begins the name of a folder whose record is being written; who writes it follows, see ``ProcessIdentity.word``."""
GONE = ".gone-"
"""Begins the name of a folder whose machine was struck out; all that is left to do is to remove it."""
KILL = 10.0
REAPER = ".reaper.lock"
REAPING = 60.0
"""Seconds that somebody who enters a machine waits for a reaper at work."""


@dataclass(frozen=True)
class Record:
    """One machine's line in the ledger. ``created`` is in seconds since 1970.

    ``memory`` (bytes) and ``cpus`` are what it takes of its host.
    ``kept`` is why it outlives its owner, "" when it does not: for ``kept_for`` seconds, which end at ``kept_until``
    (since 1970) and begin anew whenever somebody enters or leaves it; 0 is no end.
    """

    id: str
    name: str
    token: str
    backend: str
    owner: ProcessIdentity
    created: float
    purpose: str
    folder: Path
    kept: str = ""
    kept_for: float = 0.0
    kept_until: float = 0.0
    memory: int = 0
    cpus: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The environment for every process started for this machine."""
        return {**os.environ, TOKEN: self.token}

    def abandoned(self) -> bool:
        """Whether nobody is responsible for this machine any more."""
        return not self.owner.alive() and (not self.kept or self.expired) and not visitors(self.folder)

    @property
    def expired(self) -> bool:
        """Whether the time it was to be kept for is over."""
        return 0 < self.kept_until < time.time()

    def write(self) -> None:
        """Put the record on disk, whole or not at all."""
        facts = asdict(self)
        del facts["folder"]
        temporary = self.folder / f"{RECORD}.new"
        with temporary.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600) if hasattr(os, "fchmod") else None
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / RECORD)


class Ledger:
    """The records of all machines of one cache, shared by every run that uses it."""

    def __init__(self, root: Path, reclaim: Callable[[Record], None] = lambda _: None) -> None:
        """``reclaim`` removes what a machine has outside of its folder and its processes, and raises HypervError.

        ``failures`` says, after `reap`, which machines could not be removed and why; they stay written down.
        """
        self.root, self._reclaim = root, reclaim
        self.failures: list[str] = []

    def open(self, backend: str, purpose: str, *, memory: int = 0, cpus: int = 0) -> Record:
        """Write down a new machine and make its folder, before anything else of it exists.

        Raises HostError when the disk is full or cannot be written.
        """
        ident = uuid.uuid4()
        record = Record(
            id=str(ident),
            name=f"hyperv-{ident.hex[:8]}",
            token=secrets.token_hex(16),
            backend=backend,
            owner=ProcessIdentity.own(),
            created=time.time(),
            purpose=purpose,
            folder=self.root / ident.hex,
            memory=memory,
            cpus=cpus,
        )
        unborn = self.root / f"{UNBORN}{record.owner.word}-{ident.hex}"
        try:
            unborn.mkdir(mode=0o700, parents=True)
            replace(record, folder=unborn).write()
            unborn.rename(record.folder)
        except OSError as error:
            shutil.rmtree(unborn, ignore_errors=True)
            raise HostError(
                f"no machine can be recorded below {self.root}: {error.strerror or error}",
                hint="free some space there, or choose another folder with --hyperv-cache.",
            ) from error
        return record

    def records(self) -> list[Record]:
        """All machines that are written down, oldest first; folders still without a record are left out."""
        found = []
        for folder in self._folders():
            record = None if folder.name.startswith((UNBORN, GONE)) else _read(folder)
            if record is not None:
                found.append(record)
        return sorted(found, key=lambda record: record.created)

    def keep(self, record: Record, reason: str, seconds: float = 0.0) -> Record:
        """Let a machine outlive its owner, for so many seconds; 0 is until somebody removes it.

        Raises LeaseLost when it has been reaped meanwhile.
        """
        return _renewed(replace(record, kept=reason, kept_for=seconds))

    @contextmanager
    def visited(self, record: Record) -> Iterator[None]:
        """Hold a machine, another process's or one that is kept: it is not reaped until the block or this process ends.

        What it is kept for begins anew, at the beginning and at the end. Raises LeaseLost when it has been reaped.
        """
        try:
            with FileLock(self.root / REAPER, timeout=REAPING):  # what a reaper has read stays true until it is done
                _renewed(_current(record))
                mark = enter(record.folder)
        except Timeout:
            raise LeaseLost(
                f"{record.name} cannot be entered: what dead runs left has been being removed for {REAPING:.0f} s",
                hint="try again when that is done.",
            ) from None
        try:
            yield
        finally:
            with suppress(LeaseLost):
                _renewed(_current(record))
            mark.unlink(missing_ok=True)

    def close(self, record: Record) -> None:
        """Strike a machine out, with everything in its folder. Its processes must have ended.

        Raises HostError when the folder cannot be taken away; the machine stays written down then.
        """
        gone = self.root / f"{GONE}{record.folder.name}"
        try:
            record.folder.rename(gone)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostError(
                f"the folder {record.folder} of {record.name} cannot be removed: {error.strerror or error}",
                hint="see what holds it; then run `pytest-hyperv gc`.",
            ) from error
        shutil.rmtree(gone, ignore_errors=True)

    def reap(self, also: Callable[[Record], bool] = lambda _: False) -> list[Record]:
        """Remove what dead owners left, and what ``also`` chooses; returns what was removed.

        Safe beside other runs: one reaper works at a time, a second one leaves the work to it.
        """
        if not self.root.is_dir():
            return []
        removed = []
        self.failures = []
        try:
            with FileLock(self.root / REAPER, timeout=0):
                for record in self.records():
                    if (record.abandoned() or also(record)) and self._removed(record):
                        removed.append(record)
                self._remove_remains()
        except Timeout:
            return []
        return removed

    def _remove_remains(self) -> None:
        """Remove the folders of machines that were not written down yet when their maker died, or not any more."""
        for folder in self._folders():
            if folder.name.startswith(GONE) or _is_unborn_of_the_dead(folder):
                shutil.rmtree(folder, ignore_errors=True)
                if folder.exists():
                    self.failures.append(f"what is left of a machine in {folder} cannot be removed")

    def _removed(self, record: Record) -> bool:
        try:
            end_processes(record)
            self._reclaim(record)
            self.close(record)
        except HypervError as error:
            self.failures.append(f"{record.name} ({record.purpose}): {error.message}")
            return False
        return True

    def _folders(self) -> list[Path]:
        return [path for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []


def _current(record: Record) -> Record:
    found = _read(record.folder)
    if found is None:
        raise LeaseLost(f"{record.name} is gone", hint="pytest-hyperv vms lists the machines there are.")
    return found


def _renewed(record: Record) -> Record:
    """The record, what it is kept for beginning now, written down if it is kept."""
    if not record.kept:
        return record
    renewed = replace(record, kept_until=time.time() + record.kept_for if record.kept_for else 0.0)
    try:
        renewed.write()
    except FileNotFoundError as error:
        raise LeaseLost(f"{record.name} is gone, it cannot be kept") from error
    return renewed


def end_processes(record: Record) -> None:
    """End every process that carries the machine's token, those too that are just being started.

    Raises HostError when one does not go.
    """
    waiting = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(KILL), wait=wait_fixed(0.02))
    killed: set[ProcessIdentity] = set()
    try:
        waiting(lambda: _kill_marked(record.token, killed))
    except RetryError as error:
        pid = error.last_attempt.result()[0]
        raise HostError(f"process {pid} of {record.name} cannot be ended", hint="end it by hand.") from None


def _kill_marked(token: str, killed: set[ProcessIdentity]) -> list[int]:
    """Kill what carries the token; the numbers of what did so until now, or else of what may turn out to do so.

    A process that ends loses its environment some time before it is gone, and one that begins has none for a moment.
    """
    loading = [each.pid for each in processes_loading()]
    processes = processes_marked(TOKEN, token)
    killed |= {identity for each in processes if (identity := ProcessIdentity.of(each.pid)) is not None}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return [each.pid for each in processes] or [each.pid for each in killed if each.alive()] or loading


def _read(folder: Path) -> Record | None:
    try:
        facts = json.loads((folder / RECORD).read_text("utf-8"))
        owner = ProcessIdentity(**facts.pop("owner"))
        return Record(owner=owner, folder=folder, **facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_unborn_of_the_dead(folder: Path) -> bool:
    word, _, _ = folder.name.removeprefix(UNBORN).rpartition("-")
    number = word.partition("-")[0]
    if not folder.name.startswith(UNBORN) or not (number.isascii() and number.isdigit()):
        return False
    maker = ProcessIdentity.of(int(number))
    return maker is None or maker.word != word
