"""Removing a machine from a host with everything it left there, in whatever state its maker left it."""

from __future__ import annotations

from uuid import UUID

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.faults import cause_of
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.seen import AT_REST, OFF, Seen, await_state, find
from pytest_hyperv.errors import CmdletError

STOP_TIMEOUT, MERGE_TIMEOUT = 60.0, 300.0
LOCKS_OUTLIVE = 180.0
"""Seconds that files may stay locked after their machine is gone: checkpoints merge then, up to minutes (Lability)."""


def remove_machine(host: HypervHost, place: Place) -> None:
    """Remove the machines whose files lie in ``place``, then the files. Removing what is not there is fine.

    Raises CmdletError, MachineError.
    """
    for told in host.ask(cmdlets.all_machines()).all:
        seen = Seen.of(told)
        if place.holds(seen.path):
            _remove(host, seen.id)
    for folder in place.folders:
        remove_folder(host, folder)


def remove_folder(host: HypervHost, folder: str) -> None:
    """Remove a folder of the host and all below it, waiting for locks that outlive the machine they belonged to."""

    def once() -> None:
        try:
            host.do(cmdlets.removed(folder))
        except CmdletError as error:
            if error.category != "ObjectNotFound":
                raise

    host.patience.repeat(once, passing=_locked, longest=LOCKS_OUTLIVE)


def _remove(host: HypervHost, ident: UUID) -> None:
    """What hangs on checkpoints is given up before it would be merged: back to the oldest point, then all go."""
    power_off(host, ident)
    if oldest := [point for point in host.ask(cmdlets.points(ident)).all if point.ParentSnapshotId is None]:
        root = UUID(str(oldest[0].Id))
        host.do(cmdlets.point_applied(root))
        settled(host, ident)
        for point in oldest:
            host.do(
                cmdlets.point_removed(UUID(str(point.Id)), with_children=True), achieved=lambda: _none_left(host, ident)
            )
        settled(host, ident)

    def gone() -> bool | None:
        return True if find(host, ident) is None else None

    host.do(cmdlets.machine_removed(ident), achieved=gone)


def power_off(host: HypervHost, ident: UUID) -> None:
    """Cut the power and wait until the machine is off, or saved."""

    def off() -> bool | None:
        seen = find(host, ident)
        return True if seen is None or seen.state in OFF else None

    host.do(cmdlets.turned_off(ident), achieved=off)
    await_state(
        host,
        ident,
        lambda seen: seen.state in AT_REST and not seen.busy,
        what="does not power off",
        timeout=STOP_TIMEOUT,
    )


def settled(host: HypervHost, ident: UUID) -> Seen:
    """Wait until nothing works on the machine's disks any more."""
    return await_state(
        host, ident, lambda seen: not seen.busy, what="is still busy with its disks", timeout=MERGE_TIMEOUT
    )


def _none_left(host: HypervHost, ident: UUID) -> bool | None:
    return None if host.ask(cmdlets.points(ident)).all else True


def _locked(error: CmdletError) -> str:
    """Remove-Item tells a locked file by the id of its error; its message carries no number."""
    if error.error_id.startswith(("RemoveFileSystemItemIOError", "DirectoryNotEmpty")):
        return "file locked after its machine"
    return cause_of(error)
