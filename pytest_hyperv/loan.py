"""A machine in a test's hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_hyperv.machine import VirtualMachine


@dataclass(frozen=True)
class Loan:
    """``give_back`` ends it. ``state`` names the state the machine was made from, "" for the booted image."""

    vm: VirtualMachine
    give_back: Callable[[], None]
    state: str = ""
