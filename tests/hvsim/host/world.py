"""The door to a simulated host: one folder, one lock, and the world inside."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock as ProcessLock

from tests.hvsim.host.drives import Drives
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.machines import Readiness, VirtualMachine, guest_now, readiness
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.records import decode, fields_of, written
from tests.hvsim.host.settling import settle
from tests.hvsim.host.state import Event, Fault, World, append_events
from tests.hvsim.host.switches import first_switches

__all__ = [
    "Event",
    "Fault",
    "HostFailure",
    "Readiness",
    "SimHost",
    "VirtualMachine",
    "World",
    "guest_now",
    "readiness",
]

STATE_FILE = "world.json"
LOCK_TIMEOUT = 60.0
"""Real seconds to wait for the other processes of the host; they hold the lock for milliseconds."""


@dataclass(frozen=True)
class Loaded:
    """The state as it was read: nothing but time having passed since is no reason to write it."""

    text: str = ""
    now: float = 0.0
    as_of: float = 0.0


class SimHost:
    """One host: its options, its drives, and its state, shared by all processes that name the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options = HostOptions.load(self.folder)
        self.drives = Drives(self.folder)
        self._lock = ProcessLock(self.folder / "world.lock", timeout=LOCK_TIMEOUT)

    @contextmanager
    def transaction(self) -> Iterator[World]:
        """The world, for this process alone, with everything done that was due by now.

        What changed is saved at the end, also when a `HostFailure` leaves the block, since such a refusal is a regular
        end; any other exception leaves the file as it was. Transactions do not nest.
        """
        with self._lock:
            world, before = self._load()
            settle(world)
            try:
                yield world
            except HostFailure:
                self._save(world, before)
                raise
            self._save(world, before)

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass at once."""
        with self._lock:
            world, _ = self._load()
            world.now += seconds
            settle(world)
            self._save(world, Loaded())

    def real_seconds(self, simulated: float) -> float:
        """How long simulated seconds last."""
        return simulated / self.options.speed

    def _load(self) -> tuple[World, Loaded]:
        file = self.folder / STATE_FILE
        real = time.time()
        before = Loaded()
        if file.exists():
            text = file.read_text(encoding="utf-8")
            world = decode(World, json.loads(text))
            before = Loaded(text, world.now, world.as_of)
            world.options, world.folder = self.options, self.folder
        else:
            world = World(now=real, as_of=real, booted_at=real, options=self.options, folder=self.folder)
            first_switches(world)
        world.now += max(0.0, real - world.as_of) * self.options.speed
        world.as_of = real
        return world, before

    def _save(self, world: World, before: Loaded) -> None:
        if world.fresh_events:
            append_events(self.folder, world.fresh_events)
            world.fresh_events = []
        if written({**fields_of(world), "now": before.now, "as_of": before.as_of}) == before.text:
            return
        part = self.folder / f"{STATE_FILE}.part"
        part.write_text(written(world), encoding="utf-8")
        part.replace(self.folder / STATE_FILE)
