"""Start-VM, Stop-VM, Save-VM, Suspend-VM, Resume-VM, Restart-VM, Remove-VMSavedState."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.hvsim.cmdlets.arguments import checkpoint_of, each_machine, flag, given, number, wait_until
from tests.hvsim.cmdlets.machine_objects import machine_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host import power
from tests.hvsim.host.failures import HostFailure, invalid_state
from tests.hvsim.host.machines import VirtualMachine, readiness
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OFF, StateName

PATIENCE = 60.0
GRACE = 300.0
"""Simulated seconds that a change of state may take, and that Stop-VM gives a guest to shut down."""

Change = Callable[[World, VirtualMachine], bool]


def _settled(_world: World, vm: VirtualMachine) -> bool:
    return vm.transition is None


def changer(change: Change, *, wanted: frozenset[StateName] | None = None) -> Callable[[Invocation], Iterable[object]]:
    """A cmdlet that changes the state of machines and waits until that is done.

    `change` returns False when the machine is in the state already, which is a warning. A machine that settles in a
    state other than `wanted` is an error.
    """

    def run(inv: Invocation) -> Iterable[object]:
        for one, begun in each_machine(inv, change, name_parameter="Name"):
            if begun:
                wait_until(inv, one, _settled, PATIENCE)
            else:
                inv.warn(power.ALREADY)
            yield from _outcome(inv, one, wanted if begun else None)

    return run


def _outcome(inv: Invocation, one: str, wanted: frozenset[StateName] | None) -> Iterable[object]:
    with inv.host.transaction() as world:
        vm = world.machine(one)
        if wanted is not None and vm.state not in wanted:
            raise HostFailure(
                f"'{vm.name}' failed to change state. (Virtual machine ID {vm.id.upper()})", target=vm.name
            )
        return [machine_object(world, vm)] if flag(inv, "Passthru") else []


start_vm = changer(power.start)
save_vm = changer(power.save)
suspend_vm = changer(power.pause)
resume_vm = changer(power.unpause)


def stop_vm(inv: Invocation) -> Iterable[object]:
    """Stop-VM: -TurnOff cuts the power, -Save saves, else the guest is asked and given five minutes.

    A guest that does not obey is turned off with -Force, and is an error without.
    """
    if flag(inv, "TurnOff"):
        return changer(power.turn_off)(inv)
    if flag(inv, "Save"):
        return changer(power.save)(inv)
    return _shut_down(inv)


def _shut_down(inv: Invocation) -> Iterable[object]:
    for one, begun in each_machine(inv, power.shut_down, name_parameter="Name"):
        if not begun:
            inv.warn(power.ALREADY)
        elif not wait_until(inv, one, lambda _world, vm: vm.state in OFF, GRACE):
            _insist(inv, one)
        yield from _outcome(inv, one, None)


def _insist(inv: Invocation, one: str) -> None:
    with inv.host.transaction() as world:
        vm = world.machine(one)
        if not flag(inv, "Force"):
            raise HostFailure(
                f"Failed to stop virtual machine '{vm.name}': the guest did not shut down in time.", target=vm.name
            )
        power.turn_off(world, vm)
    wait_until(inv, one, _settled, PATIENCE)


def restart_vm(inv: Invocation) -> Iterable[object]:
    """Restart-VM: the hard way; with -Wait until the heartbeat is there."""

    def reset(world: World, vm: VirtualMachine) -> bool:
        power.reset(world, vm)
        return True

    for one, _ in each_machine(inv, reset, name_parameter="Name"):
        if flag(inv, "Wait"):
            seconds = float(number(inv, "Timeout", -1))
            limit = seconds if seconds >= 0 else float("inf")
            wait_until(inv, one, lambda world, vm: readiness(vm, world.now).heartbeat, limit)
        yield from _outcome(inv, one, None)


def remove_saved_state(inv: Invocation) -> Iterable[object]:
    """Remove-VMSavedState: the machine is off, or the checkpoint keeps no memory."""
    if given(inv, "VMSnapshot"):
        with inv.host.transaction() as world:
            vm, point = checkpoint_of(world, inv.bound.values["VMSnapshot"])
            if point.memory is None:
                raise invalid_state(f"The checkpoint '{point.name}' of '{vm.name}' has no saved state.", point.name)
            point.memory = point.resumption = None
        return

    def discard(world: World, vm: VirtualMachine) -> bool:
        power.discard_saved(world, vm)
        return True

    for _ in each_machine(inv, discard):
        yield from ()
