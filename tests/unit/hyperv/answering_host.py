"""A host whose only session answers by a function of the test; nothing is simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Call, Runnable
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.result import PowerShellResult

Answer = Callable[[str], list[Any]]
"""The objects that a call of this title gives; may raise CmdletError or SessionLost."""


class _Session:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.lost: SessionLost | None = None

    def call(self, what: Runnable, *, timeout: float = 60.0) -> PowerShellResult:
        assert timeout > 0
        title = Call(what).title
        if title == "Import-Module":
            return PowerShellResult()
        if title.startswith("Hyper-V\\Get-VMHost"):
            return PowerShellResult([PSObject.of(VirtualHardDiskPath="C:\\Hyper-V\\")])
        try:
            return PowerShellResult(self._answer(title))
        except SessionLost as lost:
            self.lost = lost
            raise

    def close(self) -> None:
        self.lost = self.lost or SessionLost("it was closed")


class _Road:
    name, is_local = "HV01", True

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def open(self) -> Session:
        return cast("Session", _Session(self._answer))


def answering(answer: Answer) -> HypervHost:
    """A connected host that answers so."""
    return HypervHost(_Road(answer))
