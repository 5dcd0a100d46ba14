"""One life of a simulated guest: its files, its memory, its clock, and whether it is still there.

A life ends with every boot, reset, restore or crash of the machine; whoever holds an older one finds it gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.hvsim.guest.files import GuestFiles
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.machines import VirtualMachine, guest_now
from tests.hvsim.host.states import StateName
from tests.hvsim.host.world import SimHost, World

FROZEN_LOOK = 0.05
"""Real seconds between two looks at a guest that stands still."""
SLICE = 0.1
"""Real seconds that a wait lasts at most before the guest is looked at again."""

ALIVE = frozenset(
    (StateName.Running, StateName.Paused, StateName.Pausing, StateName.Resuming, StateName.PausedCritical)
)
"""States in which a session is not broken, though it may have to wait."""


class GuestGone(Exception):
    """The life has ended: the machine is off, was reset or restored, or its guest crashed."""


@dataclass
class Opened:
    """A guest's machine within one transaction."""

    world: World
    vm: VirtualMachine
    files: GuestFiles

    @property
    def memory(self) -> dict[str, Any]:
        """What the guest holds in memory: JSON data that a restore brings back and a reboot loses."""
        return self.vm.memory

    @property
    def now(self) -> float:
        """The guest's clock, seconds since 1970 UTC."""
        return guest_now(self.vm, self.world.now)


@dataclass
class Pace:
    """How what runs in the guest waits: `sleep` takes real seconds and ends a stopped pipeline, `check` at once."""

    sleep: Callable[[float], None]
    check: Callable[[], None]


class GuestSystem:
    """A life of a machine's guest, seen from what runs in it."""

    def __init__(self, host: SimHost, machine: str, life: str, pace: Pace) -> None:
        self.host = host
        self.machine = machine
        self.life = life
        self.pace = pace

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """The guest for a moment, once it does not stand still. Raises GuestGone. Does not nest."""
        while True:
            with self.host.transaction() as world:
                vm = self._alive(world)
                if vm.state == StateName.Running and not vm.hung:
                    yield Opened(world, vm, self._files(world, vm))
                    return
            self.pace.sleep(FROZEN_LOOK)

    def is_gone(self) -> bool:
        """Whether the life has ended."""
        with self.host.transaction() as world:
            try:
                self._alive(world)
            except GuestGone:
                return True
        return False

    def wait(self, seconds: float) -> None:
        """Let seconds of the guest's time pass. Raises GuestGone when its life ends meanwhile."""
        left = self.host.real_seconds(seconds)
        while left > 0:
            self.pace.sleep(min(left, SLICE))
            left -= SLICE
            self.attend()

    def attend(self) -> None:
        """Return when the guest runs: at once, or when it is resumed. Raises GuestGone."""
        self.pace.check()
        with self.open():
            return

    def utc_now(self) -> datetime:
        """The guest's clock."""
        with self.open() as guest:
            return datetime.fromtimestamp(guest.now, UTC)

    def set_clock(self, when: datetime) -> None:
        """Set the guest's clock; the host's time synchronisation does not touch it again."""
        with self.open() as guest:
            guest.vm.clock_behind = guest.world.now - when.timestamp()
            guest.vm.clock_synced_at = float("inf")

    def _alive(self, world: World) -> VirtualMachine:
        vm = world.machines.get(self.machine)
        if vm is None or vm.life != self.life or vm.state not in ALIVE:
            raise GuestGone
        return vm

    def _files(self, world: World, vm: VirtualMachine) -> GuestFiles:
        return GuestFiles(GuestDisk(world, vm.top_disk, guest_now(vm, world.now)))
