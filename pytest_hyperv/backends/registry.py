"""Backends by name, and which one this machine uses when nobody says."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.errors import CapabilityMissing


def automatic() -> str:
    """The backend for this operating system: hyperv on Windows, qemu elsewhere."""
    return "hyperv" if sys.platform == "win32" else "qemu"


def open_backend(name: str, cache: Path) -> Backend:
    """The backend of that name. Raises CapabilityMissing when it does not run on this machine."""
    if name == "qemu" and sys.platform == "linux":
        from pytest_hyperv.backends.qemu.backend import QemuBackend

        return QemuBackend(cache)
    reason = {
        "qemu": f"the qemu backend runs on Linux, this is {sys.platform}",
        "hyperv": "the hyperv backend needs a Windows host with Hyper-V, and is not part of this version yet",
    }.get(name, f"there is no backend {name!r}")
    raise CapabilityMissing(
        reason, hint="choose another with --hyperv-backend, or leave it at auto.", missing={f"backend {name}": reason}
    )
