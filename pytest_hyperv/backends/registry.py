"""Backends by name, and which one this machine uses when nobody says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hyperv.errors import CapabilityMissing, SettingsError
from pytest_hyperv.options import BACKENDS

if TYPE_CHECKING:
    from pytest_hyperv.backends.base import Backend
    from pytest_hyperv.ledger import Record


def automatic() -> str:
    """The backend for this operating system: hyperv on Windows, qemu elsewhere."""
    return "hyperv" if sys.platform == "win32" else "qemu"


def open_backend(name: str, cache: Path, *, host: str = "local", psdirect: str = "host") -> Backend:
    """The backend of that name; the last two are for hyperv: the host's address, and who opens PowerShell Direct.

    Nothing is connected yet. Raises CapabilityMissing when the backend does not run on this machine, SettingsError.
    """
    if name == "hyperv":
        from pytest_hyperv.backends.hyperv.address import HostAddress
        from pytest_hyperv.backends.hyperv.backend import HypervBackend

        return HypervBackend(cache, HostAddress.parse(host), native=psdirect == "native")
    if name == "qemu" and sys.platform == "linux":
        from pytest_hyperv.backends.qemu.backend import QemuBackend

        return QemuBackend(cache)
    reason = f"the qemu backend runs on Linux, this is {sys.platform}" if name == "qemu" else f"there is no {name!r}"
    raise CapabilityMissing(
        reason, hint="choose another with --hyperv-backend, or leave it at auto.", missing={f"backend {name}": reason}
    )


def normal_address(backend: str, text: str) -> str:
    """The one spelling of a host's address for a backend, "" being what it has without one. Raises SettingsError."""
    if backend == "hyperv":
        from pytest_hyperv.backends.hyperv.address import HostAddress

        return str(HostAddress.parse(text))
    if text not in ("", "local"):
        raise SettingsError(f"The {backend} backend runs on this computer alone", hint="leave the address out.")
    return "local"


def open_backend_of(record: Record, cache: Path) -> Backend:
    """The backend that a machine was made by, on the host where that is. Raises as ``open_backend``."""
    host = "local"
    if record.backend == "hyperv":
        from pytest_hyperv.backends.hyperv.places import Place

        place = Place.read(record.folder)
        host = place.host if place is not None else host
    return open_backend(record.backend, cache, host=host)


def reclaim(record: Record) -> None:
    """Remove what a dead run's machine has outside of its folder. Raises HostError when its host cannot be reached."""
    if record.backend == "hyperv":
        from pytest_hyperv.backends.hyperv.reclaim import reclaim as reclaim_from_host

        reclaim_from_host(record)


def lost_machines(cache: Path, host: str, *, remove: bool) -> list[str]:
    """The machines on a Hyper-V host whose run is gone and that no record in ``cache`` names, in words.

    With ``remove`` they are removed. Raises HostError, MachineError when one cannot be.
    """
    from pytest_hyperv.backends.hyperv.address import HostAddress
    from pytest_hyperv.backends.hyperv.backend import HypervBackend

    backend = HypervBackend(cache, HostAddress.parse(host), native=False)
    try:
        found = backend.orphans()
        for orphan in found if remove else ():
            orphan.remove(backend.host)
    finally:
        backend.close()
    return [f"{orphan.name} ({orphan.made})" for orphan in found]


def forget_state(cache: Path, backend: str, host: str, folder: Path) -> None:
    """Remove what the state saved in ``folder`` has on its hypervisor's host; of an unknown backend nothing is known.

    Raises HostError when that host cannot be reached, CapabilityMissing when the backend does not run here.
    """
    if backend not in BACKENDS:
        return
    opened = open_backend(backend, cache, host=host)
    try:
        opened.remove_state(folder)
    finally:
        opened.close()


def forget_unfinished(cache: Path, folder: Path) -> None:
    """Remove what a state, of which only the beginning is in ``folder``, has on its host already.

    Raises HostError when that host cannot be reached.
    """
    from pytest_hyperv.backends.hyperv.saved_state import noted_host

    host = noted_host(folder)
    if host:
        forget_state(cache, "hyperv", host, folder)
