"""Which processes use which states, so that none is removed that a living run may still make machines from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from pytest_hyperv.identity import ProcessIdentity


class Users:
    """The living processes that use states below ``root``. A mark is a file; that of a dead process counts nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._marks: set[Path] = set()

    def enter(self, key: str) -> None:
        """Have this process among the users of a state. The state's lock is held."""
        mark = self._root / f".{key}.{os.getpid()}.user"
        mark.write_text(json.dumps(asdict(ProcessIdentity.own())), "utf-8")
        self._marks.add(mark)

    def has_entered(self, key: str) -> bool:
        """Whether this process is among the users already."""
        return self._root / f".{key}.{os.getpid()}.user" in self._marks

    def leave(self) -> None:
        """Have this process use nothing any more."""
        while self._marks:
            self._marks.pop().unlink(missing_ok=True)

    def of(self, key: str) -> list[int]:
        """The numbers of the living processes that use a state, this one included."""
        found = {mark: _owner(mark) for mark in self._root.glob(f".{key}.*.user")}
        return sorted(owner.pid for owner in found.values() if owner is not None and owner.alive())

    def sweep(self) -> None:
        """Remove the marks of dead processes."""
        for mark in self._root.glob(".*.user"):
            owner = _owner(mark)
            if owner is not None and not owner.alive():
                mark.unlink(missing_ok=True)


def _owner(mark: Path) -> ProcessIdentity | None:
    try:
        return ProcessIdentity(**json.loads(mark.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
