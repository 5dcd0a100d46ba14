"""How a guest comes up, goes on from where its memory was put aside, and is gone."""

from __future__ import annotations

from tests.hvsim.host.disk_files import load
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.machines import NEVER, VirtualMachine, new_id
from tests.hvsim.host.state import WORKER_LOG, World

HEARTBEAT_SHARE = 2 / 3
"""The part of the time to PowerShell Direct that the heartbeat needs."""
FIRST_BOOT_WINDOW = 3.0
"""Simulated seconds for which a fresh guest refuses its own credential, in field mode."""
CLOCK_SYNC = 30.0
"""Simulated seconds after which the time synchronisation service has set a resumed guest's clock."""


def boot(world: World, vm: VirtualMachine, moment: float) -> None:
    """Begin a new life at `moment`: nothing in memory; heartbeat, PowerShell Direct and logging on come later."""
    mark_dead(vm)
    vm.booted_at = moment
    if not _has_system(world, vm):
        world.log(WORKER_LOG, 18603, vm, f"'{vm.name}' failed to boot an operating system.", 2)
        return
    GuestDisk(world, vm.top_disk, moment).touch()
    vm.heartbeat_at = moment + world.options.boot * HEARTBEAT_SHARE
    vm.direct_at = moment + world.options.boot
    vm.login_at = vm.direct_at + (0.0 if vm.booted_before or not world.options.field else FIRST_BOOT_WINDOW)
    vm.booted_before = True
    world.log(WORKER_LOG, 18601, vm, f"'{vm.name}' has successfully booted an operating system.")


def _has_system(world: World, vm: VirtualMachine) -> bool:
    try:
        return bool(vm.top_disk) and load(world.drives, vm.top_disk).system
    except HostFailure:
        return False


def resume_memory(world: World, vm: VirtualMachine, moment: float) -> None:
    """Go on from where the memory was put aside; the guest's clock is behind by the time in between."""
    put_aside = vm.resumption
    if put_aside is None:
        boot(world, vm, moment)
        return
    vm.resumption = None
    vm.booted_at = moment - put_aside.uptime
    vm.heartbeat_at = moment + put_aside.heartbeat
    vm.direct_at = moment + put_aside.direct
    vm.login_at = moment + put_aside.login
    vm.clock_behind = moment - put_aside.put_aside
    synchronised = vm.settings.services.get("TimeSync", False)
    vm.clock_synced_at = max(moment, vm.heartbeat_at) + CLOCK_SYNC if synchronised else NEVER


def mark_dead(vm: VirtualMachine) -> None:
    """The guest is gone: nothing in memory, nothing answers, and sessions into it belong to an old life."""
    vm.life = new_id()
    vm.memory = {}
    vm.resumption = None
    vm.hung = False
    vm.booted_at = vm.heartbeat_at = vm.direct_at = vm.login_at = NEVER
    vm.clock_behind, vm.clock_synced_at = 0.0, NEVER
