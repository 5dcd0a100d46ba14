"""A machine in a test's hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_hyperv.errors import HostError
from pytest_hyperv.machine import VirtualMachine


@dataclass(frozen=True)
class Loan:
    """``give_back`` ends it. ``state`` names the state the machine was made from, "" for the booted image.

    ``host`` is the name of the host it is on, ``host_failed`` says that a host is of no more use: this one, maybe.
    """

    vm: VirtualMachine
    give_back: Callable[[], None]
    state: str = ""
    host: str = "local"
    host_failed: Callable[[HostError], None] = lambda _: None
