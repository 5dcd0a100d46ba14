"""What happens by itself as simulated time passes: transitions, merges, locks and jobs that come to their end."""

from __future__ import annotations

from tests.hvsim.host.merging import finish_merge, merge_of
from tests.hvsim.host.mishaps import strike_machines
from tests.hvsim.host.power import finish_transition
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OperationalStatus


def settle(world: World) -> None:
    """Do everything that was due by `world.now`, in the order it was due."""
    due: list[tuple[float, int, str]] = []
    due += [
        (vm.transition.at, 0, vm.id)
        for vm in world.machines.values()
        if vm.transition is not None and vm.transition.at <= world.now
    ]
    due += [(merge.until, 1, merge.machine) for merge in world.merges if merge.until <= world.now]
    for _, kind, machine in sorted(due):
        if kind == 0:
            finish_transition(world, world.machines[machine])
        else:
            finish_merge(world, next(merge for merge in world.merges if merge.machine == machine))
    for vm in world.machines.values():
        if 0 < vm.busy_until <= world.now:
            vm.busy_until = 0.0
            merging = merge_of(world, vm.id) is not None
            vm.status = (
                [OperationalStatus.InService, OperationalStatus.MergingDisks] if merging else [OperationalStatus.Ok]
            )
    strike_machines(world)
    world.locks = [lock for lock in world.locks if lock.until > world.now]
    world.jobs = [job for job in world.jobs if job.until > world.now]
