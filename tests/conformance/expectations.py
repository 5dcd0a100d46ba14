"""What several modules of the suite look at in the same way."""

from __future__ import annotations

import time

from pytest_hyperv import MachineState, VirtualMachine
from tests.conformance.guests import guest_of

NEARLY = 10.0
"""Seconds that the clocks of the guest and of this machine may be apart."""


def is_in(vm: VirtualMachine, state: MachineState) -> bool:
    """Whether the machine is in this state now."""
    return vm.state is state


def knows_the_time(vm: VirtualMachine) -> bool:
    """Whether the guest's clock is right."""
    return abs(guest_of(vm).clock(vm) - time.time()) < NEARLY
