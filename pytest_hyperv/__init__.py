"""Disposable virtual machines for tests: Hyper-V, or QEMU on any Linux machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_hyperv.backends.base import Checkpoint, GuestCrash, MachineState
    from pytest_hyperv.capabilities import Offer
    from pytest_hyperv.guest import CommandResult, GuestProcess
    from pytest_hyperv.guest_events import GuestEvent
    from pytest_hyperv.lending import MachineFactory
    from pytest_hyperv.machine import VirtualMachine
    from pytest_hyperv.powershell import PowerShell
    from pytest_hyperv.psrp.result import PowerShellResult
    from pytest_hyperv.states.declared import State, hyperv_state

__version__ = "0.1.0"
__all__ = [
    "Checkpoint",
    "CommandResult",
    "GuestCrash",
    "GuestEvent",
    "GuestProcess",
    "MachineFactory",
    "MachineState",
    "Offer",
    "PowerShell",
    "PowerShellResult",
    "State",
    "VirtualMachine",
    "hyperv_state",
]
_HOMES = {
    "Checkpoint": "backends.base",
    "CommandResult": "guest",
    "GuestCrash": "backends.base",
    "GuestEvent": "guest_events",
    "GuestProcess": "guest",
    "MachineFactory": "lending",
    "MachineState": "backends.base",
    "Offer": "capabilities",
    "PowerShell": "powershell",
    "PowerShellResult": "psrp.result",
    "State": "states.declared",
    "VirtualMachine": "machine",
    "hyperv_state": "states.declared",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest loads this package in every run, machines or not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
