"""The checkpoints of one machine: the hidden one it is reset to, and those a test takes."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any
from uuid import UUID

from pytest_hyperv.backends.base import Checkpoint
from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.removal import settled
from pytest_hyperv.backends.hyperv.seen import Seen
from pytest_hyperv.errors import MachineError
from pytest_hyperv.psrp.calls import Call, Command

BASE = "pytest-hyperv: clean"


class Points:
    """Checkpoints on the host.

    ``base`` is the one that a reset goes back to, None before it is taken; ``strangers`` says whether there may be
    others.
    """

    def __init__(self, host: HypervHost, ident: UUID) -> None:
        self._host, self._ident = host, ident
        self.base: UUID | None = None
        self._memory: dict[str, bool] = {}
        self.strangers = False

    def take_base(self) -> Seen:
        """Take the checkpoint that a reset goes back to; how the machine is then."""
        taken, seen = self._take(BASE, "Standard")
        self.base = UUID(taken.id)
        return seen

    def take(self, name: str, *, memory: bool, running: bool) -> Checkpoint:
        """A point with memory, or without: then the guest flushes its file systems, or the checkpoint fails."""
        self.strangers = True
        taken, _ = self._take(name, "Standard" if memory or not running else "ProductionOnly")
        self._memory[taken.id] = memory and running
        return self._fact(taken)

    def all(self) -> tuple[Checkpoint, ...]:
        """The points that tests took, oldest first."""
        told = [_point(each) for each in self._host.ask(cmdlets.points(self._ident)).all]
        return tuple(
            self._fact(each) for each in sorted(told, key=lambda each: each.created) if each.id != str(self.base)
        )

    def remove(self, ident: str) -> None:
        """Forget a point, and wait until its disk is merged."""
        self.require(ident)
        self._host.do(cmdlets.point_removed(UUID(ident)), achieved=lambda: self._gone(ident))
        settled(self._host, self._ident)

    def remove_all(self) -> None:
        """Forget every point, the clean one too, and wait until the disk is one file again."""
        for each in self._host.ask(cmdlets.points(self._ident)).all:
            ident = str(UUID(str(each.Id)))
            self._host.do(cmdlets.point_removed(UUID(ident)), achieved=partial(self._gone, ident))
            settled(self._host, self._ident)
        self.base = None

    def way_back(self, ident: UUID, *, alone: bool = False) -> Call:
        """What cuts the power and goes back to a point, for one round trip; with ``alone`` every other point goes.

        A point that is not there any more fails before the power is cut. The machine is then saved, or off when the
        point has no memory.
        """
        there = cmdlets.point(ident) | Command("Out-Null")
        call = there.then(cmdlets.turned_off(self._ident)).then(cmdlets.point_applied(ident))
        return call.then(cmdlets.others_removed(self._ident, ident)) if alone and self.strangers else call

    def require(self, ident: str) -> None:
        """Raise MachineError when no test took a point of that id."""
        known = {point.id: point.name for point in self.all()}
        if ident not in known:
            raise MachineError(
                f"this machine has no such checkpoint; it has: {', '.join(known.values()) or 'none'}",
                hint="take checkpoints with vm.checkpoint(), and use what that returns.",
            )

    def _take(self, name: str, kind: str) -> tuple[Checkpoint, Seen]:
        call = cmdlets.checkpoint_type(self._ident, kind).then(cmdlets.checkpoint_taken(self._ident, name))
        before = {str(each.Id) for each in self._host.ask(cmdlets.points(self._ident)).all}

        def taken() -> Any:
            new = [each for each in self._host.ask(cmdlets.points(self._ident)).all if str(each.Id) not in before]
            return new[0] if new else None

        done = self._host.do(call, achieved=taken)
        seen = settled(self._host, self._ident)
        return _point(done.one if hasattr(done, "one") else done), seen

    def _fact(self, point: Checkpoint) -> Checkpoint:
        parent = "" if point.parent == str(self.base) else point.parent
        return Checkpoint(point.id, point.name, self._memory.get(point.id, point.memory), parent, point.created)

    def _gone(self, ident: str) -> bool | None:
        return None if any(str(each.Id) == ident for each in self._host.ask(cmdlets.points(self._ident)).all) else True


def _point(told: Any) -> Checkpoint:
    created = told.CreationTime
    return Checkpoint(
        id=str(UUID(str(told.Id))),
        name=str(told.Name),
        memory=str(told.SnapshotType) == "Standard",
        parent="" if told.ParentSnapshotId is None else str(UUID(str(told.ParentSnapshotId))),
        created=created.timestamp() if isinstance(created, datetime.datetime) else 0.0,
    )
