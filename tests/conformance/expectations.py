"""What several modules of the suite look at in the same way."""

from __future__ import annotations

import time

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv import GuestEvent, MachineState, VirtualMachine
from tests.conformance.guests import guest_of

NEARLY = 10.0
"""Seconds that the clocks of the guest and of this machine may be apart."""

ARRIVAL = 30.0
"""Seconds that a word on the serial port may take to where it is read."""


def is_in(vm: VirtualMachine, state: MachineState) -> bool:
    """Whether the machine is in this state now."""
    return vm.state is state


def knows_the_time(vm: VirtualMachine) -> bool:
    """Whether the guest's clock is right."""
    return abs(guest_of(vm).clock(vm) - time.time()) < NEARLY


def arrives_in_log(vm: VirtualMachine, word: str, since: float) -> GuestEvent:
    """The log's entry with the word in it. Raises tenacity.RetryError when it does not come."""
    waiting = Retrying(
        retry=retry_if_result(lambda found: not found), stop=stop_after_delay(ARRIVAL), wait=wait_fixed(0.1)
    )
    (entry,) = waiting(lambda: [event for event in vm.events(since) if word in event.text])
    return entry


def arrives_on_console(vm: VirtualMachine, word: str) -> str:
    """The console's text once the word is in it. Raises tenacity.RetryError when it does not come."""
    waiting = Retrying(
        retry=retry_if_result(lambda text: word not in text), stop=stop_after_delay(ARRIVAL), wait=wait_fixed(0.1)
    )
    return waiting(vm.console_text)
