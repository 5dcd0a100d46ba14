"""A saved machine on disk: what clones start from. States and checkpoints are both bundles.

Files in the folder: ``bundle.json`` (facts below), ``overlay.qcow2`` (an empty overlay to copy), ``vars.fd``, and with
memory
``ram`` (sparse, mapped copy-on-write by every clone) and ``device.state``; without memory ``tpm/`` when there is a TPM.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.qemu.unanswered import Unanswered
from pytest_hyperv.errors import StateError
from pytest_hyperv.spec import MachineSpec, OsFamily

FORMAT = 1
"""Raised whenever older bundles no longer fit the command line or the guest server."""
FACTS = "bundle.json"
RAM = "ram"
DEVICES = "device.state"
DAMAGED = "damaged"
"""There when the files are whole, but machines made from them turned out to be of no use; says why."""


@dataclass(frozen=True)
class Inside:
    """What of ours runs inside a saved guest: the kept server, and the GUID of an open PowerShell session or ""."""

    server: bool = False
    powershell: str = ""


@dataclass(frozen=True)
class Bundle:
    """Where a saved machine lies and what it is.

    ``layers`` are the read-only qcow2 files under a clone's own overlay, oldest first; those in ``folder`` itself are
    written down without it, so that a bundle can be built in one place and published in another. ``sizes`` maps each
    file of the folder, and each layer elsewhere that a state stands on, to its bytes, so that a truncated one is
    noticed before any process starts.
    """

    folder: Path
    spec: MachineSpec
    os_family: OsFamily
    layers: tuple[Path, ...]
    memory: bool
    inside: Inside
    accelerator: str
    sizes: dict[str, int]

    @property
    def ram(self) -> Path:
        """The file of guest memory."""
        return self.folder / RAM

    @property
    def devices(self) -> Path:
        """The file of the devices' state."""
        return self.folder / DEVICES

    def _written(self, layer: Path) -> str:
        return layer.name if layer.parent == self.folder else str(layer)

    def write(self) -> None:
        """Record the facts, last of all: a folder without them is not a bundle."""
        facts = asdict(self) | {"format": FORMAT, "layers": [self._written(layer) for layer in self.layers]}
        del facts["folder"]
        temporary = self.folder / f"{FACTS}.new"
        temporary.write_text(json.dumps(facts, indent=1), "utf-8")
        temporary.chmod(0o600)
        temporary.replace(self.folder / FACTS)


@contextlib.contextmanager
def condemned_if_unanswered(bundle: Bundle | None) -> Iterator[None]:
    """Let nobody read the bundle any more, so that it is made anew, when the block shows that it is of no use."""
    try:
        yield
    except Unanswered as error:
        if bundle is not None:
            with contextlib.suppress(OSError):
                (bundle.folder / DAMAGED).write_text(error.message, "utf-8")
        raise Unanswered(
            f"the PowerShell session that was saved with the machine does not answer: {error.message}",
            hint="run the test again: the state is built anew for the next machine.",
        ) from error


def measured(folder: Path, sealed: tuple[Path, ...] = ()) -> dict[str, int]:
    """The sizes in bytes of the files that make up a bundle, and of ``sealed`` files elsewhere by their whole paths."""
    own = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != FACTS]
    sizes = {path.name: path.stat().st_size for path in own}
    return sizes | {str(path): path.stat().st_size for path in sealed}


def seal(folder: Path) -> None:
    """Put every byte on disk and take away the right to write; QEMU before 8.2 opens the memory file for writing."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.chmod(0o600 if path.name == RAM else 0o400)


def read(folder: Path) -> Bundle:
    """The bundle in ``folder``. Raises StateError when it is not whole, naming the file that is wrong."""
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
        if facts.pop("format") != FORMAT:
            raise StateError(f"{folder} was saved in another format", state=folder.name)
        spec = facts.pop("spec")
        if spec["dynamic_memory"] is not None:
            spec["dynamic_memory"] = tuple(spec["dynamic_memory"])
        layers = tuple(folder / layer for layer in facts.pop("layers"))
        inside = Inside(**facts.pop("inside"))
        bundle = Bundle(folder=folder, spec=MachineSpec(**spec), layers=layers, inside=inside, **facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{folder} holds no readable saved machine: {error}", state=folder.name) from error
    _check(bundle)
    return bundle


def _check(bundle: Bundle) -> None:
    if (bundle.folder / DAMAGED).is_file():
        why = (bundle.folder / DAMAGED).read_text("utf-8")
        raise StateError(f"{bundle.folder} is of no use: {why}", state=bundle.folder.name)
    for name, size in bundle.sizes.items():
        path = bundle.folder / name
        seen = path.stat().st_size if path.is_file() else None
        if seen != size:
            what = "is missing" if seen is None else f"has {seen} bytes instead of {size}"
            raise StateError(f"{path} {what}", state=bundle.folder.name)
    for layer in bundle.layers:
        if not layer.is_file():
            raise StateError(f"the disk {layer} under it is missing", state=bundle.folder.name)
