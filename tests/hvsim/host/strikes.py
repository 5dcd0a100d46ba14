"""When something goes wrong: planned faults waiting for their occasion, and chance in field mode."""

from __future__ import annotations

from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.state import Fault, World

KINDS = {
    "process-dies-at-start": "powershell.exe ends with an access violation before it answers",
    "slow-module": "Import-Module Hyper-V takes `seconds` longer",
    "host-reboots": "all processes die; machines go off or are saved, by their stop action; the host is back at once",
    "worker-dies": "the machine's worker process dies: event 14070, the machine is off",
    "guest-bugcheck": "the guest crashes with `code`: event 18590, then it boots again",
    "triple-fault": "the virtual processor triple faults: event 18539, the machine is off",
    "disk-full": "a running machine goes PausedCritical, new disks fail with 0x80070070, until cleared",
    "reply-lost": "the command runs, then the process dies before it answers",
    "psdirect-hangs": "opening a session into the guest never returns",
    "guest-hangs": "the guest stops answering: heartbeat lost",
    "credential-invalid": "opening a session fails with 'The credential is invalid.'",
    "sharing-violation": "the cmdlet fails with 0x80070020",
    "pending-job": "a job blocks changes of the machine for `seconds`: 32775",
    "access-denied": "the cmdlet fails for want of rights",
}
"""Every kind of fault, and what it does."""

FIELD_RATES = {
    "sharing-violation": 0.06,
    "pending-job": 0.05,
    "credential-invalid": 0.08,
    "slow-merge": 0.30,
    "late-lock": 0.20,
    "late-event": 0.30,
}
"""How often a transient fault happens by itself in field mode, at each opportunity."""


def strike(world: World, kind: str, *, on: str | None = None, vm: VirtualMachine | None = None) -> Fault | None:
    """The planned fault of `kind` for this occasion, used up by one time; None when there is none.

    `on` names the cmdlet or occasion, `vm` the machine it is about.
    """
    for fault in world.faults:
        if fault.kind == kind and _fits(fault, on, vm):
            fault.times -= 1
            if fault.times <= 0:
                world.faults.remove(fault)
            world.struck[kind] = world.struck.get(kind, 0) + 1
            return fault
    return None


def _fits(fault: Fault, on: str | None, vm: VirtualMachine | None) -> bool:
    if fault.on is not None and (on is None or fault.on.casefold() != on.casefold()):
        return False
    if fault.machine is None:
        return True
    return vm is not None and fault.machine.casefold() in (vm.name.casefold(), vm.id)


def field_strikes(world: World, kind: str) -> bool:
    """Whether a fault of field mode happens at this opportunity."""
    if not world.options.field or world.draw() >= FIELD_RATES[kind]:
        return False
    world.struck[kind] = world.struck.get(kind, 0) + 1
    return True
