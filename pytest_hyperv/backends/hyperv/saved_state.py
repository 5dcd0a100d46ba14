"""A state of this backend: a disk on the host whose system has booted once and was shut down, and a note of it here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_hyperv.errors import StateError
from pytest_hyperv.spec import SSH_KEY, GuestRoad, Image, MachineSpec, OsFamily

NOTE = "hyperv.json"


@dataclass(frozen=True)
class SavedState:
    """``disk`` is the parent of the machines' disks, in ``folder`` on ``host``; the rest is what a machine needs.

    ``key`` is the file here with the private key of the guest's account, "" when it takes none.
    """

    host: str
    folder: str
    disk: str
    spec: MachineSpec
    image: str
    os_family: OsFamily
    guest_road: GuestRoad
    credentials: str
    key: str = ""

    def write(self, folder: Path) -> None:
        """Note it in the state's folder of this machine, with a copy of the key: an image may be replaced.

        It is noted before anything of it is on the host, so that what a killed run has made there can be found.
        """
        if self.key:
            with os.fdopen(os.open(folder / SSH_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
                kept.write(Path(self.key).read_bytes())
        told = {name: value for name, value in asdict(self).items() if name != "key"}
        (folder / NOTE).write_text(json.dumps(told), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> SavedState:
        """The state noted in ``folder``. Raises StateError."""
        try:
            told = json.loads((folder / NOTE).read_text("utf-8"))
            spec = told.pop("spec")
            memory = spec.pop("dynamic_memory")
            key = folder / SSH_KEY
            return cls(
                spec=MachineSpec(**spec, dynamic_memory=tuple(memory) if memory else None),
                key=str(key) if key.is_file() else "",
                **told,
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateError(f"the state in {folder} cannot be read: {error}", state=folder.name) from error


def noted_host(folder: Path) -> str:
    """The host of the state noted in ``folder``; "" when there is no whole note, and so nothing on any host."""
    try:
        return SavedState.read(folder).host
    except StateError:
        return ""


def key_of(image: Image) -> str:
    """The file with the private key that an image carries, "" when it carries none."""
    return str(image.ssh_key) if image.ssh_key.is_file() else ""
