"""How a machine ends or restarts from inside: crashes, faults of the worker, a full disk, the guest's own wish."""

from __future__ import annotations

from tests.hvsim.host.booting import boot, mark_dead
from tests.hvsim.host.machines import Transition, VirtualMachine
from tests.hvsim.host.power import SHUTDOWN
from tests.hvsim.host.state import VMMS_LOG, WORKER_LOG, World
from tests.hvsim.host.states import StateName


def worker_dies(world: World, vm: VirtualMachine) -> None:
    """The worker process of a machine is gone, and the machine with it."""
    mark_dead(vm)
    vm.state, vm.transition = StateName.Off, None
    message = f"Virtual machine '{vm.name}' could not be accessed: its worker process ended unexpectedly."
    world.log(VMMS_LOG, 14070, vm, message, 2)


def bugcheck(
    world: World, vm: VirtualMachine, code: str, parameters: tuple[str, ...] = ("0x0", "0x0", "0x0", "0x0")
) -> None:
    """The guest stops with a bugcheck, reports it, and boots again."""
    listed = ", ".join(parameters)
    message = (
        f"'{vm.name}' has encountered a fatal error. The guest operating system reported that it failed with the "
        f"following error codes: ErrorCode0: {code}, ErrorCode1-4: {listed}."
    )
    world.log(WORKER_LOG, 18590, vm, message, 2, (code, *parameters))
    boot(world, vm, world.now)


def triple_fault(world: World, vm: VirtualMachine) -> None:
    """The virtual processor gives up: the machine is off."""
    mark_dead(vm)
    vm.state, vm.transition = StateName.Off, None
    message = f"'{vm.name}' was reset because an unrecoverable error occurred on a virtual processor: triple fault."
    world.log(WORKER_LOG, 18539, vm, message, 2)


def fill_disk(world: World) -> None:
    """The host's disk is full: every running machine is paused until there is room."""
    world.disk_filled = True
    for vm in world.machines.values():
        if vm.state == StateName.Running:
            vm.state, vm.transition = StateName.PausedCritical, None
            message = f"'{vm.name}' has been paused because it has run out of disk space on 'C:\\'."
            world.log(WORKER_LOG, 16060, vm, message, 2)


def empty_disk(world: World) -> None:
    """There is room on the host's disk again: machines that were paused for want of it run on by themselves."""
    world.disk_filled = False
    for vm in world.machines.values():
        if vm.state == StateName.PausedCritical:
            vm.state = StateName.Running


def guest_shuts_down(world: World, vm: VirtualMachine) -> None:
    """The guest goes down by itself: the machine will be off in a moment."""
    vm.state = StateName.Stopping
    vm.transition = Transition(int(StateName.Off), world.now + SHUTDOWN, "shut down by guest")


def guest_restarts(world: World, vm: VirtualMachine) -> None:
    """The guest restarts by itself: the machine runs on, in a new life."""
    world.log(WORKER_LOG, 18514, vm, f"'{vm.name}' was reset by the guest operating system.")
    boot(world, vm, world.now)
