"""The saved states of a cache as things on a shelf: how large, how old, what stands on what, and which may go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import Timeout

from pytest_hyperv.errors import StateError
from pytest_hyperv.states.record import StateRecord, last_use, lock_of, read_record, take_away, whole
from pytest_hyperv.states.users import Users

UNKNOWN = StateRecord("", "?", "", "?", "?", "?", "local", "", "", "", 0.0, 0.0)
"""Stands for the record of a state that has none which can be read."""
MARGIN = 8
"""Characters of a key that people may shorten it to."""

Forget = Callable[[StateRecord, Path], None]
"""Removes what a state has outside of its folder, on its hypervisor's host."""


@dataclass(frozen=True)
class Stored:
    """A state on the shelf. ``size`` is the bytes it takes on disk, ``used`` seconds since 1970.

    ``users`` are the living processes that may make machines from it, ``kept`` the machines of it that were
    kept. ``whole`` is false for one that will be built anew when it is needed, as what it stands on is gone or another.
    """

    record: StateRecord
    folder: Path
    size: int
    used: float
    users: tuple[int, ...]
    kept: tuple[str, ...]
    whole: bool

    @property
    def key(self) -> str:
        """Its key, the name of its folder."""
        return self.folder.name


class Shelf:
    """The states below ``root``. ``forget`` removes what a state has outside of its folder."""

    def __init__(self, root: Path, forget: Forget) -> None:
        self._root, self._forget = root, forget
        self._users = Users(root)

    def all(self) -> list[Stored]:
        """Every state, the one used last first."""
        folders = [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []
        stored = [self._stored(path) for path in folders if not path.name.startswith(".")]
        return sorted(stored, key=lambda each: each.used, reverse=True)

    def named(self, name: str) -> list[Stored]:
        """The states that ``name`` means: a recipe's or image's name, "file::name", or a key or the beginning of one.

        Raises StateError when there is none.
        """
        stored = self.all()
        found = [each for each in stored if name in (each.record.name, each.record.recipe)]
        found = found or [each for each in stored if each.key == name]
        found = found or [each for each in stored if len(name) >= MARGIN and each.key.startswith(name)]
        if not found:
            known = ", ".join(sorted({each.record.name for each in stored})) or "none"
            raise StateError(f"there is no state {name!r} in {self._root}", hint=f"there are: {known}.", state=name)
        return found

    def remove(self, chosen: Sequence[Stored], *, children: bool = False) -> list[Stored]:
        """Remove states, with ``children`` also those that stand on them; returns what was removed.

        Raises StateError, and removes nothing, when others stand on one of them or a living process uses one.
        """
        stored = self.all()
        going = {each.key: each for each in chosen}
        above = [each for each in _above(stored, going) if each.key not in going]
        if above and not children:
            names = ", ".join(f"{each.record.name} ({each.key[:MARGIN]})" for each in above)
            raise StateError(
                f"{_named(chosen)} cannot be removed alone: {names} stand on it",
                hint="remove them first, or all of them with --children.",
                state=chosen[0].key,
            )
        going |= {each.key: each for each in above}
        used = [each for each in going.values() if each.users]
        if used:
            raise StateError(
                f"{_named(used)} is used by process {', '.join(map(str, used[0].users))}",
                hint="wait for that run to end.",
                state=used[0].key,
            )
        held = [each for each in going.values() if each.kept]
        if held:
            raise StateError(
                f"{_named(held)} is what the kept machine {', '.join(held[0].kept)} stands on",
                hint="remove what was kept first: pytest-hyperv gc --kept.",
                state=held[0].key,
            )
        removed = []
        for each in _leaves_first(stored):
            if each.key in going:
                if not self._removed(each):
                    raise StateError(
                        f"{_named([each])} is wanted again since a moment ago",
                        hint="wait for the run that uses it to end.",
                        state=each.key,
                    )
                removed.append(each)
        return removed

    def prune(self, limit: int) -> list[Stored]:
        """Remove what was not used for longest until the rest takes at most ``limit`` bytes; returns what was removed.

        A state counts as used when one that stands on it was. What a living process uses, or a kept machine, stays, and
        what that stands on.
        """
        stored = self.all()
        total = sum(each.size for each in stored)
        removed: list[Stored] = []
        for each in sorted(_leaves_first(_as_those_above(stored)), key=lambda one: one.used):
            if total <= limit:
                break
            if self._removed(each):
                total -= each.size
                removed.append(each)
        return removed

    def _removed(self, stored: Stored) -> bool:
        """Take one away, unless somebody builds or uses it, or something stands on it."""
        try:
            with lock_of(self._root, stored.key).acquire(timeout=0):
                used = self._users.of(stored.key) or self._users.kept(stored.key)
                if used or not stored.folder.is_dir() or self._stood_on(stored.key):
                    return False
                self._forget(stored.record, stored.folder)
                take_away(stored.folder)
                return True
        except Timeout:
            return False

    def _stood_on(self, key: str) -> bool:
        records = (read_record(path) for path in self._root.iterdir() if not path.name.startswith("."))
        return any(record.parent == key for record in records if record is not None)

    def _stored(self, folder: Path) -> Stored:
        record = read_record(folder) or replace(UNKNOWN, key=folder.name)
        users, kept = tuple(self._users.of(folder.name)), tuple(self._users.kept(folder.name))
        return Stored(record, folder, size_of(folder), last_use(folder), users, kept, whole(folder))


def tree(stored: Sequence[Stored]) -> Iterator[tuple[int, Stored]]:
    """The states as a tree, by name: each with how deep it stands, those above it right after it."""
    keys = {each.key for each in stored}
    by_name = sorted(stored, key=lambda each: (each.record.name, each.key))

    def standing_on(parent: str, depth: int) -> Iterator[tuple[int, Stored]]:
        for each in by_name:
            if (each.record.parent if each.record.parent in keys else "") == parent:
                yield depth, each
                yield from standing_on(each.key, depth + 1)

    return standing_on("", 0)


def _above(stored: Sequence[Stored], below: dict[str, Stored]) -> list[Stored]:
    """Those that stand on any of ``below``, on one that does, and so on."""
    found: dict[str, Stored] = {}
    more = True
    while more:
        new = [each for each in stored if each.record.parent in below | found and each.key not in found]
        found |= {each.key: each for each in new}
        more = bool(new)
    return list(found.values())


def _leaves_first(stored: Sequence[Stored]) -> list[Stored]:
    return [each for _, each in sorted(tree(stored), key=lambda pair: -pair[0])]


def _as_those_above(stored: Sequence[Stored]) -> list[Stored]:
    """Each as if it had been used whenever one that stands on it was."""
    return [replace(each, used=max(one.used for one in (each, *_above(stored, {each.key: each})))) for each in stored]


def size_of(folder: Path) -> int:
    """The bytes that a folder takes on disk; memory files have holes."""
    total = 0
    for path in folder.rglob("*"):
        facts = os.lstat(path)
        total += getattr(facts, "st_blocks", -(-facts.st_size // 512)) * 512
    return total


def _named(stored: Sequence[Stored]) -> str:
    return ", ".join(f"{each.record.name} ({each.key[:MARGIN]})" for each in stored)
