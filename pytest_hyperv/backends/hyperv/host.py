"""A connected Hyper-V host: one PowerShell process there that takes this backend's commands, opened again when lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.faults import Patience
from pytest_hyperv.errors import (
    AccessDenied,
    CapabilityMissing,
    CmdletError,
    CommandTimeout,
    HostError,
    HostUnreachable,
    SessionLost,
)
from pytest_hyperv.psrp.calls import Command, Runnable, Select
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.result import PowerShellResult

MODULE_TIMEOUT = 180.0
"""Seconds the Hyper-V module may take to load: tens of seconds have been reported on a cold host."""
CALL_TIMEOUT = 300.0
"""Seconds one command may take: making a machine has been seen to take minutes under load."""
STORE = "pytest-hyperv"
"""Folder below the host's folder for virtual hard disks, where everything of ours lies."""


class Road(Protocol):
    """Opens PowerShell processes on a host."""

    @property
    def name(self) -> str:
        """The host, for messages."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether files of this machine are files of the host under the same path."""
        ...

    def open(self) -> Session:
        """A session in a process of its own. Raises HostUnreachable or AccessDenied."""
        ...


class HypervHost:
    """See the module. Safe to use from several threads; ``calls`` counts the pipelines that were sent.

    Commands run one at a time: Hyper-V's provider takes no more, and the module is loaded once, in one runspace.
    """

    def __init__(self, road: Road) -> None:
        self.road = road
        self.patience = Patience()
        self.calls = 0
        self._session: Session | None = None
        self._store = ""
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The host, for messages."""
        return self.road.name

    @property
    def store(self) -> str:
        """The folder on the host below which everything of ours lies.

        Raises CapabilityMissing without the module, AccessDenied without rights, HostUnreachable, HostError when the
        module does not load in time.
        """
        self._connected()
        return self._store

    def open_process(self) -> Session:
        """Another PowerShell process on the host, for its caller to use and close."""
        return self.road.open()

    def ask(self, what: Runnable, *, timeout: float = CALL_TIMEOUT) -> PowerShellResult:
        """Run what changes nothing: said again over a new connection when the old one is lost.

        Raises CmdletError, CommandTimeout, HostUnreachable.
        """
        try:
            return self._once(what, timeout)
        except SessionLost:
            return self._last_time(what, timeout)

    def do(self, what: Runnable, *, achieved: Callable[[], Any] = lambda: None, timeout: float = CALL_TIMEOUT) -> Any:
        """Run what changes something, and again while it fails for a passing reason.

        A lost connection leaves open whether it was done: ``achieved`` looks, and what it returns, unless None, is the
        result in place of a second run. It may also clear away what was half done, and return None.
        Raises CmdletError, CommandTimeout, HostUnreachable.
        """

        def work() -> Any:
            try:
                return self._once(what, timeout)
            except SessionLost:
                self.patience.counts["reply lost"] += 1
                done = achieved()
                return self._last_time(what, timeout) if done is None else done

        return self.patience.repeat(work, achieved=achieved)

    def run(
        self, what: Runnable, *, timeout: float = CALL_TIMEOUT, input: Iterable[Any] | None = None
    ) -> PowerShellResult:
        """Run something once; errors are in the result. Raises HostUnreachable when the connection is lost."""
        self.calls += 1
        try:
            return self._connected().run(what, timeout=timeout, input=input)
        except SessionLost as lost:
            raise self._unreachable(lost) from lost

    def close(self) -> None:
        """End the process on the host; idempotent."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _once(self, what: Runnable, timeout: float) -> PowerShellResult:
        self.calls += 1
        return self._connected().call(what, timeout=timeout)

    def _last_time(self, what: Runnable, timeout: float) -> PowerShellResult:
        try:
            return self._once(what, timeout)
        except SessionLost as lost:
            raise self._unreachable(lost) from lost

    def _unreachable(self, lost: SessionLost) -> HostUnreachable:
        return HostUnreachable(
            f"the PowerShell process on {self.name} was lost twice: {lost.message}",
            hint="see whether the host is up and has memory left; `pytest-hyperv doctor` tries it.",
            host=self.name,
        )

    def _connected(self) -> Session:
        with self._lock:
            if self._session is None or self._session.lost is not None:
                self._session = self._open()
            return self._session

    def _open(self) -> Session:
        session = self.road.open()
        try:
            session.call(Command("Import-Module", Name="Hyper-V"), timeout=MODULE_TIMEOUT)
            host = session.call(cmdlets.hyperv("Get-VMHost") | Select("VirtualHardDiskPath")).one
        except CmdletError as error:
            session.close()
            raise self._refused(error) from error
        except CommandTimeout as late:
            session.close()
            raise HostError(
                f"the Hyper-V module on {self.name} did not load in {late.timeout:.0f} s",
                hint="see the host's load and its service vmms, then try it there: Import-Module Hyper-V; Get-VMHost.",
                host=self.name,
            ) from late
        except BaseException:
            session.close()
            raise
        self._store = f"{host.VirtualHardDiskPath.rstrip(chr(92))}\\{STORE}"
        return session

    def _refused(self, error: CmdletError) -> Exception:
        if error.category == "PermissionDenied":
            return AccessDenied(
                f"the account may not use Hyper-V on {self.name}: {error.message}",
                hint="add it to the group Hyper-V Administrators (or Administrators), and log on again.",
                host=self.name,
            )
        if error.command.startswith("Import-Module"):
            reason = f"the Hyper-V module for PowerShell is not installed on {self.name}"
            return CapabilityMissing(
                f"{reason}: {error.message}",
                hint="server: Install-WindowsFeature Hyper-V -IncludeManagementTools; client: "
                "Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V -All",
                missing={"backend hyperv": reason},
            )
        return error
