"""Export-VM, Export-VMSnapshot and Import-VM."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.cmdlets.arguments import each_machine, flag, text
from tests.hvsim.cmdlets.checkpoints import chosen
from tests.hvsim.cmdlets.machine_objects import checkpoint_object, machine_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import state_conflict
from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.merging import merge_of
from tests.hvsim.host.moving import ImportPaths, export, export_point, import_copy, import_in_place
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World


def export_vm(inv: Invocation) -> Iterable[object]:
    """Export-VM: everything below -Path\\NAME, in any state; a running machine is exported as off."""

    def run(world: World, vm: VirtualMachine) -> object:
        refuse_while_busy(world, vm, "export")
        if merge_of(world, vm.id) is not None:
            raise state_conflict("export", vm.name, vm.id)
        export(world, vm, text(inv, "Path"))
        return machine_object(world, vm)

    shown = [result for _, result in each_machine(inv, run, name_parameter="Name")]
    return shown if flag(inv, "Passthru") else []


def export_snapshot(inv: Invocation) -> Iterable[object]:
    """Export-VMSnapshot: a checkpoint as a machine of its own, below -Path\\NAME."""
    with inv.host.transaction() as world:
        shown = []
        for vm, point in chosen(inv, world):
            export_point(world, vm, point, text(inv, "Path"))
            shown.append(checkpoint_object(world, vm, point))
    return shown if flag(inv, "Passthru") else []


def import_vm(inv: Invocation) -> Iterable[object]:
    """Import-VM: in place, or with -Copy as copies, with -GenerateNewId under ids of their own."""
    with inv.host.transaction() as world:
        if flag(inv, "Copy"):
            paths = ImportPaths(
                text(inv, "VirtualMachinePath"), text(inv, "VhdDestinationPath"), text(inv, "SnapshotFilePath")
            )
            vm = import_copy(world, text(inv, "Path"), paths, new_identity=flag(inv, "GenerateNewId"))
        else:
            vm = import_in_place(world, text(inv, "Path"))
        return [machine_object(world, vm)]
