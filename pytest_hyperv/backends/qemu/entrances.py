"""Through which of its sockets another process enters a machine: each takes one client at a time."""

from __future__ import annotations

from dataclasses import dataclass

from filelock import FileLock, Timeout

from pytest_hyperv.backends.qemu.instance import VISITOR
from pytest_hyperv.errors import MachineStateError
from pytest_hyperv.ledger import Record
from pytest_hyperv.visitors import visitors


@dataclass(frozen=True)
class Entrance:
    """``monitor`` is the socket of the monitor. ``aside``: the road into the guest is the agent alone.

    ``lock`` holds it until it is released.
    """

    monitor: str
    aside: bool
    lock: FileLock


FRONT, SIDE = "monitor", VISITOR


def take(record: Record, *, guest: bool) -> Entrance:
    """An entrance that is free: the one with the better road into the guest when that is wanted, else the other one.

    Raises MachineStateError when there is none.
    """
    held = not record.kept and record.owner.alive()
    for monitor in (SIDE,) if held else (FRONT, SIDE) if guest else (SIDE, FRONT):
        lock = FileLock(record.folder / f".{monitor}.lock", timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            continue
        return Entrance(monitor, monitor == SIDE, lock)
    inside = ", ".join(map(str, visitors(record.folder))) or "unknown"
    raise MachineStateError(
        f"there is no room in {record.name} for another process beside those that are in it: {inside}",
        hint="leave it there first.",
        machine=record.name,
    )
