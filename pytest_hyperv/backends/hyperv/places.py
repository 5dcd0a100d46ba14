"""Where a machine of ours lies on a host, written down beside its record before anything of it exists there.

A machine is ours because its files lie in the folder that its record names; its name proves nothing.
"""

from __future__ import annotations

import json
import ntpath
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PureWindowsPath

from pytest_hyperv.ledger import Record

PLACE = "hyperv.json"


@dataclass(frozen=True)
class Place:
    """``host`` is the address as a setting writes it, ``folder`` the machine's own folder there, ``disk`` its disk.

    The disk may lie in another folder, which then is removed with the machine unless it is `without_disk`.
    """

    host: str
    folder: str
    disk: str

    @classmethod
    def of(cls, record: Record, host: str, store: str, *, disk: str = "") -> Place:
        """The place of a new machine, written down; its disk lies in its folder unless ``disk`` says where."""
        folder = f"{store}\\machines\\{record.folder.name}"
        return cls(host, folder, disk or f"{folder}\\{record.name}.vhdx").written(record)

    @classmethod
    def read(cls, folder: Path) -> Place | None:
        """The place written down in a record's folder; None when nothing was made on a host yet."""
        try:
            return cls(**json.loads((folder / PLACE).read_text("utf-8")))
        except FileNotFoundError:
            return None

    @property
    def folders(self) -> tuple[str, ...]:
        """What is removed from the host with the machine."""
        beside = str(PureWindowsPath(self.disk).parent) if self.disk else ""
        return (self.folder,) if not beside or self.holds(self.disk) else (self.folder, beside)

    def without_disk(self, record: Record) -> Place:
        """The same place once the disk belongs to somebody else, written down."""
        return replace(self, disk="").written(record)

    def written(self, record: Record) -> Place:
        """This place, put on disk whole or not at all."""
        new = record.folder / f"{PLACE}.new"
        new.write_text(json.dumps(asdict(self)), "utf-8")
        new.replace(record.folder / PLACE)
        return self

    def holds(self, path: str) -> bool:
        """Whether a path of the host is the machine's folder or lies in it."""
        return f"{ntpath.normpath(path)}\\".casefold().startswith(f"{self.folder}\\".casefold())
