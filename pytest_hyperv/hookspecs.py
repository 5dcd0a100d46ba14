"""Hooks that other plugins may implement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_hyperv.backends.base import Backend
    from pytest_hyperv.machine import VirtualMachine


@pytest.hookspec(firstresult=True)
def pytest_hyperv_backend(name: str, cache: Path, host: str) -> Backend | None:
    """A backend of the given name that keeps its files below ``cache``; None when the name is somebody else's.

    ``host`` is the address of the host that it is to make machines on, "local" for this computer.
    """


@pytest.hookspec
def pytest_hyperv_machine_ready(machine: VirtualMachine, nodeid: str) -> None:
    """A machine was leased to the test ``nodeid`` and its test is about to run.

    An exception is an error in its setup.
    """
