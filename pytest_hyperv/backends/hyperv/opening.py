"""Ways to open one line into a guest. Each tries once; patience is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.line import Line, NestedLine, StraightLine
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import AccessDenied, CommandTimeout, HypervError, MachineStateError, SessionLost
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import Credential
from pytest_hyperv.psrp.hvsocket import hyperv_connect, open_psdirect
from pytest_hyperv.psrp.psdirect_handshake import Login
from pytest_hyperv.psrp.remote import open_remote
from pytest_hyperv.psrp.winrm_target import WinRMTarget

NOT_RUNNING = "InvalidVMState"
"""Begins the id of the error of New-PSSession -VMId for a machine that is not exactly Running."""
BAD_CREDENTIAL = "PSDirectException"
"""Reason in the error of a refused credential (newrunspacecommand.cs): its id is any refusal's, its words vary."""


class NotYet(HypervError):
    """The guest refused, as one that boots does: another try may succeed."""


class Opener(Protocol):
    """Opens lines into one guest."""

    def open(self, timeout: float) -> Line:
        """One try. Raises NotYet, AccessDenied (the credential), MachineStateError (not running), HostUnreachable."""
        ...

    def close(self) -> None:
        """End what is kept for the next opening; idempotent."""
        ...


class ThroughHost:
    """PowerShell Direct by way of the host: a process there for each line, used again for the guest's next life."""

    def __init__(self, host: HypervHost, ident: UUID, name: str, credential: Callable[[], Credential]) -> None:
        self._host, self._ident, self._name, self._credential = host, ident, name, credential
        self._idle: list[Session] = []

    def open(self, timeout: float) -> Line:
        """Start a process on the host and have it open its session into the guest."""
        process = self._idle.pop() if self._idle else self._host.open_process()
        try:
            self._enter(process, timeout)
        except BaseException:
            process.close()
            raise
        return NestedLine(process, self._name, self._idle.append)

    def close(self) -> None:
        """End the processes that nothing uses."""
        while self._idle:
            self._idle.pop().close()

    def _enter(self, process: Session, timeout: float) -> None:
        script = Script(text("open-session"), VMId=self._ident, Credential=self._credential())
        try:
            result = process.run(script, timeout=timeout)
        except (CommandTimeout, SessionLost) as lost:
            raise NotYet(f"opening a session with {self._name} came to no end: {lost.message}") from lost
        if not result.errors:
            return
        error = result.errors[0]
        if error.error_id.startswith(NOT_RUNNING):
            raise MachineStateError(
                f"{self._name} must be running to open a session with it: {error.message}",
                hint="call vm.start() or vm.resume() first.",
                machine=self._name,
            )
        if error.reason == BAD_CREDENTIAL:
            raise credential_refused(self._name)
        raise NotYet(f"{self._name} refused a session: {error}")


class Native:
    """PowerShell Direct over a Hyper-V socket of this machine, which is the host."""

    def __init__(self, ident: UUID, name: str, credential: Callable[[], Credential]) -> None:
        self._connect = hyperv_connect(ident)
        self._name, self._credential = name, credential

    def close(self) -> None:
        """Nothing is kept."""

    def open(self, timeout: float) -> Line:
        """Speak to the guest's broker and open a session behind it."""
        credential = self._credential()
        domain, _, user = credential.user.rpartition("\\")
        login = Login(user=user, password=credential.password, domain=domain or "localhost")
        try:
            pipe = open_psdirect(self._connect, login, name=self._name, timeout=timeout)
            return StraightLine(Session.open(pipe, timeout=timeout, host=self._name))
        except AccessDenied as error:
            raise credential_refused(self._name) from error
        except (SessionLost, OSError) as error:
            raise NotYet(f"{self._name} refused a session: {error}") from error


class Network:
    """WinRM in the guest, for one that PowerShell Direct cannot reach. ``address`` asks for it at each opening."""

    def __init__(self, address: Callable[[], str], name: str, credential: Callable[[], Credential]) -> None:
        self._address, self._name, self._credential = address, name, credential

    def close(self) -> None:
        """Nothing is kept."""

    def open(self, timeout: float) -> Line:
        """Start PowerShell through the guest's WinRM service, messages sealed by NTLM."""
        address = self._address()
        if not address:
            raise NotYet(f"{self._name} has told no network address yet")
        credential = self._credential()
        target = WinRMTarget(address, credential.user, credential.password, scheme="http")
        try:
            return StraightLine(open_remote(target, timeout=timeout, attempts=1))
        except AccessDenied as error:
            raise credential_refused(self._name) from error
        except (SessionLost, HypervError) as error:
            raise NotYet(f"the WinRM service of {self._name} at {address} does not answer: {error.message}") from error


def credential_refused(name: str) -> AccessDenied:
    """The guest does not know the account, or not with this password."""
    return AccessDenied(
        f"the guest of {name} refused the credential",
        hint="see what the image's `credentials` name (pytest-hyperv images list); domain users write DOMAIN\\user.",
        host=name,
    )
