"""Choose UEFI firmware from the descriptors that distributions install.

Source: docs/interop/firmware.json of QEMU; every distribution puts the files into the folders below, and a file in an
earlier folder hides one of the same name in a later one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_hyperv.errors import HostError
from pytest_hyperv.spec import SecureBoot

FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))


@dataclass(frozen=True)
class Firmware:
    """One build of the firmware: its code, the template of its variables, and whether it needs SMM."""

    code: Path
    variables: Path
    smm: bool


def choose(secure_boot: SecureBoot, folders: tuple[Path, ...] = FOLDERS) -> Firmware:
    """The firmware for a machine with or without Secure Boot.

    Both "windows" and "uefi-ca" want Microsoft's keys enrolled: one variable template holds both certificates.
    Raises HostError when no installed firmware fits.
    """
    for descriptor in _descriptors(folders):
        features = set(descriptor.get("features", ()))
        if not _for_q35(descriptor) or _flash(descriptor) is None:
            continue
        wanted = {"secure-boot", "enrolled-keys"}
        if (wanted <= features) if secure_boot != "off" else not ({"secure-boot", "requires-smm"} & features):
            return Firmware(*_files(descriptor), smm="requires-smm" in features)
    kind = "with Microsoft's Secure Boot keys" if secure_boot != "off" else "without Secure Boot"
    raise HostError(
        f"no UEFI firmware {kind} is described in {' or '.join(map(str, folders))}",
        hint="run `pytest-hyperv setup`, which installs OVMF.",
    )


def _descriptors(folders: tuple[Path, ...]) -> list[dict[str, Any]]:
    by_name: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            by_name.setdefault(path.name, path)
    return [json.loads(by_name[name].read_text("utf-8")) for name in sorted(by_name)]


def _for_q35(descriptor: dict[str, Any]) -> bool:
    return any(
        target.get("architecture") == "x86_64" and any("q35" in machine for machine in target.get("machines", ()))
        for target in descriptor.get("targets", ())
    )


def _flash(descriptor: dict[str, Any]) -> dict[str, Any] | None:
    mapping: dict[str, Any] = descriptor.get("mapping", {})
    usable = mapping.get("device") == "flash" and "nvram-template" in mapping
    raw = all(mapping.get(part, {}).get("format") == "raw" for part in ("executable", "nvram-template"))
    return mapping if usable and raw and all(path.is_file() for path in _paths(mapping)) else None


def _paths(mapping: dict[str, Any]) -> tuple[Path, Path]:
    return Path(mapping["executable"]["filename"]), Path(mapping["nvram-template"]["filename"])


def _files(descriptor: dict[str, Any]) -> tuple[Path, Path]:
    return _paths(descriptor["mapping"])
