"""What a simulated host is like: version, edition, hardware, rights and pace."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

GIB = 1024**3
OPTIONS_FILE = "options.json"


@dataclass(frozen=True)
class HostOptions:
    """A host as its maker wants it.

    Sizes are bytes; times are simulated seconds. `speed` is how many of them pass in one real second. `boot` is the
    time from Start-VM to PowerShell Direct, of which the heartbeat needs two thirds; `merge` is what a disk merge takes
    after the call that caused it has returned. `field` lets all transient faults happen at random, drawn from `seed`.
    `user` and `password` are the account of every simulated guest.
    """

    version: Literal["2019", "2022", "2025"] = "2025"
    edition: Literal["server", "client"] = "server"
    culture: str = "en-US"
    speed: float = 20.0
    memory: int = 64 * GIB
    processors: int = 16
    disk: int = 500 * GIB
    rights: Literal["administrator", "hyperv-administrator", "none"] = "administrator"
    module: bool = True
    slat: bool = True
    virtualization: bool = True
    nested: bool = True
    sriov: bool = False
    partitionable_gpu: bool = False
    boot: float = 12.0
    merge: float = 4.0
    field: bool = False
    seed: int = 1
    user: str = "Administrator"
    password: str = "Gu3st-Pässwörd"

    def save(self, folder: Path) -> None:
        """Write the options down in a host's folder."""
        (folder / OPTIONS_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> HostOptions:
        """The options of the host in `folder`; the defaults when none were written down."""
        file = folder / OPTIONS_FILE
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else cls()
