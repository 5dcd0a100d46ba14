"""Who uses which states: processes that may still make machines from them, and machines that were kept."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.ledger import RECORD


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

    def keep(self, key: str, machine: str, folder: Path) -> None:
        """Have a machine that stands on a state among its users for as long as it is written down in ``folder``."""
        mark = self._root / f".{key}.{machine}.kept"
        mark.write_text(json.dumps({"machine": machine, "folder": str(folder)}), "utf-8")

    def kept(self, key: str) -> list[str]:
        """The names of the machines that were kept and stand on a state."""
        return sorted(filter(None, map(_kept, self._root.glob(f".{key}.*.kept"))))

    def sweep(self) -> None:
        """Remove the marks of dead processes, and of machines that are gone."""
        for mark in self._root.glob(".*.kept"):
            if not _kept(mark):
                mark.unlink(missing_ok=True)
        for mark in self._root.glob(".*.user"):
            owner = _owner(mark)
            alive = _runs(mark.suffixes[-2]) if owner is None else owner.alive()
            if not alive:
                mark.unlink(missing_ok=True)


def _runs(number: str) -> bool:
    """Whether the process runs whose number ends the name of a mark that was not written to its end."""
    return not number[1:].isdigit() or ProcessIdentity.of(int(number[1:])) is not None


def _owner(mark: Path) -> ProcessIdentity | None:
    try:
        return ProcessIdentity(**json.loads(mark.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _kept(mark: Path) -> str:
    """The machine's name, "" when it is gone."""
    try:
        told = json.loads(mark.read_text("utf-8"))
        return str(told["machine"]) if (Path(told["folder"]) / RECORD).is_file() else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""
