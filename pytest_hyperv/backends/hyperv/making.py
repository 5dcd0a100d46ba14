"""Making a machine on a host: a differencing disk, the machine, what New-VM cannot say, and its start."""

from __future__ import annotations

import hashlib
from pathlib import Path, PureWindowsPath
from uuid import UUID

from filelock import FileLock

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.removal import remove_machine
from pytest_hyperv.backends.hyperv.seen import Seen
from pytest_hyperv.spec import MachineSpec

PARENT_TIMEOUT = 120.0
"""Seconds to wait for others who make a child of the same disk."""


def make(host: HypervHost, place: Place, name: str, spec: MachineSpec, *, parent: str, locks: Path, notes: str) -> UUID:
    """A machine of the second generation that is off, on a child of the disk ``parent``.

    Two children of one disk made at once collide (openvmm issue 1600), so they are made one after the other. A failed
    attempt is removed whole before the next one. Raises CmdletError.
    """
    call = (
        cmdlets.folder(place.folder)
        .then(cmdlets.folder(str(PureWindowsPath(place.disk).parent)))
        .then(cmdlets.child_disk(place.disk, parent))
        .then(cmdlets.created(name, spec, disk=place.disk, path=place.folder))
    )
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(locks / f"{_digest(host.name, parent)}.lock", timeout=PARENT_TIMEOUT):
        made = host.do(call, achieved=lambda: remove_machine(host, place))
    ident = UUID(str(made.all[-1].Id))
    host.do(cmdlets.configured(ident, spec, notes, console=f"{name}-com1", guest_files=True))
    return ident


def start(host: HypervHost, ident: UUID) -> tuple[object, Seen]:
    """Start the machine, or resume it from its saved state: the host's time before that, and how it is now."""

    def achieved() -> object:
        told = host.ask(cmdlets.now().then(cmdlets.seen(ident))).all
        return told if Seen.of(told[-1]).state in ("Running", "Starting", "Resuming") else None

    done = host.do(cmdlets.started(ident), achieved=achieved)
    told = done if isinstance(done, list) else done.all
    return told[0], Seen.of(told[-1])


def _digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
