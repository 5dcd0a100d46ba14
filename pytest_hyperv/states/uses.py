"""What states were used for in a run, and the time that cost and spared."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_hyperv.states.record import StateRecord, read_record
from pytest_hyperv.states.shelf import size_of


@dataclass(frozen=True)
class StateUse:
    """One state in one run; seconds and bytes.

    ``took`` is what building it took, whenever that was, on top of its ``parent``; ``built`` says how often this run
    did so. ``clones`` machines were made from it, in ``cloning`` seconds together. ``size`` is what it takes on disk.
    """

    key: str
    name: str
    recipe: str
    parent: str
    image: str
    machine: str
    backend: str
    host: str
    took: float
    size: int = 0
    built: int = 0
    clones: int = 0
    cloning: float = 0.0

    @classmethod
    def of(cls, record: StateRecord) -> StateUse:
        """A state that nothing was done with yet."""
        return cls(
            record.key,
            record.name,
            record.recipe,
            record.parent,
            record.image,
            record.machine,
            record.backend,
            record.host,
            record.took,
        )

    def with_other(self, other: StateUse) -> StateUse:
        """This and what another process did with the same state."""
        return replace(
            other,
            size=max(self.size, other.size),
            built=self.built + other.built,
            clones=self.clones + other.clones,
            cloning=self.cloning + other.cloning,
        )


class Uses:
    """What one process does with states, counted from all of its threads."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}
        self._uses: dict[str, StateUse] = {}
        self._lock = threading.Lock()

    def count(self, folder: Path, *, built: int = 0, clones: int = 0, cloning: float = 0.0) -> None:
        """Add what was done with the state in ``folder``, and see what it stands on. A removed one does not count."""
        record = read_record(folder)
        while record is not None:
            use = replace(StateUse.of(record), built=built, clones=clones, cloning=cloning)
            with self._lock:
                known = self._uses.get(record.key)
                self._uses[record.key] = known.with_other(use) if known else use
                self._folders[record.key] = folder
                done = not record.parent or record.parent in self._uses
            if done:
                return
            folder = folder.parent / record.parent
            record, built, clones, cloning = read_record(folder), 0, 0, 0.0

    def all(self) -> list[StateUse]:
        """Every state that was used, or that one stands on, with its size now."""
        return [replace(use, size=_size_of(self._folders[key])) for key, use in self._uses.items()]


def _size_of(folder: Path) -> int:
    try:
        return size_of(folder)
    except OSError:  # somebody removes it just now
        return 0


def merged(uses: Iterable[StateUse]) -> dict[str, StateUse]:
    """Uses by their state's key, those of one state added up."""
    found: dict[str, StateUse] = {}
    for use in uses:
        found[use.key] = found[use.key].with_other(use) if use.key in found else use
    return found


def saved(uses: dict[str, StateUse]) -> float:
    """Seconds that cloning spared this run, against building what each machine stands on, for that machine alone."""
    return sum(
        use.clones * sum(step.took for step in chain(uses, use)) - use.cloning - use.built * use.took
        for use in uses.values()
    )


def chain(uses: dict[str, StateUse], use: StateUse) -> list[StateUse]:
    """A state and what it stands on, down to the booted image."""
    found = [use]
    while (below := uses.get(found[-1].parent)) is not None and below not in found:
        found.append(below)
    return found
