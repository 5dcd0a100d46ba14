"""What goes wrong: faults planned one by one, and in field mode transient ones at random.

Who obeys what: the cmdlets of the Hyper-V module raise `HostFailure` themselves. Three things concern the whole process
and are for the program that runs it: `ProcessDies` raised by a cmdlet, `at_process_start` and `module_delay`, which the
program calls itself, and `boot_of`, which it compares with the boot it began in: a process of an earlier boot is dead.
The guest asks `strike` for "psdirect-hangs" and "credential-invalid".
"""

from __future__ import annotations

from pathlib import Path

from tests.hvsim.host.crashes import empty_disk
from tests.hvsim.host.state import Fault
from tests.hvsim.host.strikes import FIELD_RATES, KINDS, field_strikes, strike
from tests.hvsim.host.world import SimHost

__all__ = [
    "FIELD_RATES",
    "KINDS",
    "Fault",
    "ProcessDies",
    "at_process_start",
    "boot_of",
    "clear_faults",
    "field_strikes",
    "module_delay",
    "plan_fault",
    "strike",
]

ACCESS_VIOLATION = 0xC0000005


class ProcessDies(Exception):
    """The PowerShell process is gone at this instant: nothing more is sent. `exit_code` is what it leaves."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def plan_fault(folder: Path, fault: Fault) -> None:
    """Let `fault` happen on the host in `folder`, at its next occasions. Raises `ValueError` for an unknown kind."""
    if fault.kind not in KINDS:
        raise ValueError(f"unknown fault {fault.kind!r}: one of {', '.join(KINDS)}")
    with SimHost(folder).transaction() as world:
        world.faults.append(fault)


def clear_faults(folder: Path) -> None:
    """Forget all planned faults, and mend what they left broken: a full disk has room again."""
    with SimHost(folder).transaction() as world:
        world.faults.clear()
        if world.disk_filled:
            empty_disk(world)


def at_process_start(host: SimHost) -> None:
    """To be called by a new process before it answers anything. Raises `ProcessDies` when that fault is planned."""
    with host.transaction() as world:
        fault = strike(world, "process-dies-at-start")
    if fault is not None:
        raise ProcessDies("access violation at start", ACCESS_VIOLATION)


def module_delay(host: SimHost) -> float:
    """Simulated seconds that loading the Hyper-V module takes longer than usual."""
    with host.transaction() as world:
        fault = strike(world, "slow-module", on="Import-Module")
        return fault.seconds if fault else 0.0


def boot_of(host: SimHost) -> int:
    """How often the host has booted: a process that began in an earlier boot is dead."""
    with host.transaction() as world:
        return world.boots
