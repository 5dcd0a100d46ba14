"""A state of this backend: a disk on the host whose system has booted once and was shut down, and a note of it here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_hyperv.errors import StateError
from pytest_hyperv.spec import GuestRoad, MachineSpec, OsFamily

NOTE = "hyperv.json"


@dataclass(frozen=True)
class SavedState:
    """``disk`` is the parent of the machines' disks, in ``folder`` on ``host``; the rest is what a machine needs."""

    host: str
    folder: str
    disk: str
    spec: MachineSpec
    image: str
    os_family: OsFamily
    guest_road: GuestRoad
    credentials: str

    def write(self, folder: Path) -> None:
        """Note it in the state's folder of this machine."""
        (folder / NOTE).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> SavedState:
        """The state noted in ``folder``. Raises StateError."""
        try:
            told = json.loads((folder / NOTE).read_text("utf-8"))
            spec = told.pop("spec")
            memory = spec.pop("dynamic_memory")
            return cls(spec=MachineSpec(**spec, dynamic_memory=tuple(memory) if memory else None), **told)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateError(f"the state in {folder} cannot be read: {error}", state=folder.name) from error
