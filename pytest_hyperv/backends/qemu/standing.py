"""What another process must know of a machine to attach to it, in the machine's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.base import GuestCrash
from pytest_hyperv.backends.qemu.bundle import Inside
from pytest_hyperv.spec import MachineSpec, OsFamily

FACTS = "machine.json"


@dataclass(frozen=True)
class Standing:
    """How a machine stands: what it is made of, its disk (``below``, ``top`` and the ``count`` of its own layers).

    ``inside`` is what of ours runs in its guest, ``crash`` how that died, if it did.
    """

    spec: MachineSpec
    os_family: OsFamily
    accelerator: str
    below: tuple[Path, ...]
    top: Path | None
    count: int
    disk_node: str
    inside: Inside
    crash: GuestCrash | None = None

    def write(self, folder: Path) -> None:
        """Put it on disk, whole or not at all."""
        new = folder / f"{FACTS}.new"
        new.write_text(json.dumps(asdict(self), default=str), "utf-8")
        new.replace(folder / FACTS)

    @classmethod
    def read(cls, folder: Path) -> Standing | None:
        """How the machine of that folder stands; None when it has not begun to live, or nothing can be read."""
        try:
            return cls._of_data(json.loads((folder / FACTS).read_text("utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @classmethod
    def _of_data(cls, facts: dict[str, Any]) -> Standing:
        dynamic = facts["spec"].pop("dynamic_memory")
        return cls(
            spec=MachineSpec(**facts["spec"], dynamic_memory=tuple(dynamic) if dynamic else None),
            os_family=facts["os_family"],
            accelerator=facts["accelerator"],
            below=tuple(map(Path, facts["below"])),
            top=Path(facts["top"]) if facts["top"] else None,
            count=facts["count"],
            disk_node=facts["disk_node"],
            inside=Inside(**facts["inside"]),
            crash=GuestCrash(**facts["crash"]) if facts["crash"] else None,
        )
