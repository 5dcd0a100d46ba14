"""PowerShell processes on a Hyper-V host: on this machine, through WinRM, through SSH; each call opens one more."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import Credential
from pytest_hyperv.errors import AccessDenied, CapabilityMissing, HostUnreachable, SessionLost, SettingsError
from pytest_hyperv.psrp.client import OPEN_TIMEOUT, Session
from pytest_hyperv.psrp.pipes import ProcessPipe
from pytest_hyperv.psrp.remote import open_remote
from pytest_hyperv.psrp.secret import NO_SECRET
from pytest_hyperv.psrp.starting import ATTEMPTS, WINDOWS_POWERSHELL, first_that_opens
from pytest_hyperv.psrp.winrm_target import WinRMTarget

PROGRAM = "PYTEST_HYPERV_POWERSHELL"
"""The variable that names another program than Windows PowerShell, with its arguments."""
WSL_POWERSHELL = Path("/mnt/c/Windows/System32/WindowsPowerShell/v1.0/powershell.exe")
"""Where WSL shows the host's PowerShell when Windows' own PATH is not appended to that of Linux."""

SSH_OPTIONS = ("BatchMode=yes", "ServerAliveInterval=15", "ServerAliveCountMax=4", "LogLevel=ERROR")
"""No question is ever asked on a terminal, and a host that is gone is noticed within a minute (ssh_config(5))."""
SSH_REFUSED = ("Permission denied", "Too many authentication failures")
SSH_UNREACHED = (
    "Could not resolve hostname",
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Host key verification failed",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
)
"""What OpenSSH says when trying again would change nothing; it is not localised."""

NOBODY = Credential("", NO_SECRET)


def open_host_session(
    address: HostAddress,
    credential: Credential = NOBODY,
    *,
    timeout: float = OPEN_TIMEOUT,
    max_runspaces: int = 1,
) -> Session:
    """A session in a new PowerShell process on the host, each attempt to start it within ``timeout`` seconds.

    Raises HostUnreachable (the host, the program or its answer is missing), AccessDenied (the account was refused),
    HostError (the WinRM service failed), SettingsError (an address or account that could not work), CapabilityMissing
    (this machine has no Windows).
    """
    try:
        if address.road == "winrm":
            return _open_winrm(address, credential, timeout, max_runspaces)
        argv = _ssh(address, timeout) if address.road == "ssh" else local_program()
        return _open_process(argv, address, timeout, max_runspaces)
    except SessionLost as lost:
        raise HostUnreachable(
            f"{_process(address)} could not be started: {lost.message}",
            hint="Run it there by hand: powershell.exe -NoLogo -NoProfile -Command Get-VMHost. "
            f"Another program is named by {PROGRAM}.",
            host=address.name,
        ) from lost


@dataclass(frozen=True)
class HostRoad:
    """The road to one host: what opens its PowerShell processes, with the account looked up once."""

    address: HostAddress
    credential: Credential = NOBODY
    timeout: float = OPEN_TIMEOUT

    @property
    def name(self) -> str:
        """The host, for messages."""
        return self.address.name

    @property
    def is_local(self) -> bool:
        """Whether the host's files are files of this machine under the same path: not so in WSL."""
        return self.address.is_local and sys.platform == "win32"

    def open(self, *, max_runspaces: int = 1) -> Session:
        """A session in a process of its own. Raises as :func:`open_host_session`."""
        return open_host_session(self.address, self.credential, timeout=self.timeout, max_runspaces=max_runspaces)


def program(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The command line of PowerShell on a host: Windows PowerShell, or what PYTEST_HYPERV_POWERSHELL says.

    That is split at blanks outside of quotes; a backslash is a backslash, as in Windows paths. Raises SettingsError.
    """
    text = (os.environ if environment is None else environment).get(PROGRAM, "")
    words = shlex.shlex(text, posix=True)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    try:
        return tuple(words) or WINDOWS_POWERSHELL
    except ValueError:
        raise SettingsError(f"{PROGRAM} has a quote that is not closed") from None


def local_program() -> tuple[str, ...]:
    """The command line for this machine, its program found.

    Raises CapabilityMissing where there is no Windows, HostUnreachable where its PowerShell is not found.
    """
    argv = program()
    if shutil.which(argv[0]):
        return argv
    if argv != WINDOWS_POWERSHELL:
        raise HostUnreachable(
            f"There is no program {argv[0]}, which {PROGRAM} names", hint=f"Correct {PROGRAM}, or unset it."
        )
    if in_wsl():
        if WSL_POWERSHELL.exists():
            return (str(WSL_POWERSHELL), *argv[1:])
        raise HostUnreachable(
            "powershell.exe is not on PATH in this WSL: its interop with Windows is switched off",
            hint="Set enabled=true and appendWindowsPath=true under [interop] in /etc/wsl.conf, then: wsl --shutdown.",
        )
    if sys.platform == "win32":
        raise HostUnreachable(
            "powershell.exe is not on PATH", hint=r"Add %SystemRoot%\System32\WindowsPowerShell\v1.0 to PATH."
        )
    reason = f"this {platform.system()} is no Hyper-V host: powershell.exe is on PATH on Windows and inside WSL only"
    raise CapabilityMissing(
        reason,
        hint="Name a host: --hyperv-host winrm://user@host or ssh://user@host; or use --hyperv-backend qemu.",
        missing={"backend hyperv": reason},
    )


def in_wsl() -> bool:
    """Whether this Linux runs inside WSL, whose host is a Windows that its interop reaches."""
    return sys.platform == "linux" and "microsoft" in platform.release().lower()


def _process(address: HostAddress) -> str:
    return "PowerShell" if address.is_local else f"PowerShell on {address.name}"


def _open_process(argv: tuple[str, ...], address: HostAddress, timeout: float, max_runspaces: int) -> Session:
    def attempt() -> Session:
        pipe = ProcessPipe(argv, name=_process(address))
        try:
            return Session.open(pipe, timeout=timeout, max_runspaces=max_runspaces, host=address.name)
        except SessionLost as lost:
            if address.road == "ssh":
                _give_up_on(lost, address)
            raise

    return first_that_opens(attempt, ATTEMPTS)


def _open_winrm(address: HostAddress, credential: Credential, timeout: float, max_runspaces: int) -> Session:
    target = WinRMTarget(
        address.host,
        credential.user or address.user,
        credential.password,
        address.transport,
        address.scheme,
        address.port,
        verify=address.verify,
        ca_bundle=address.ca,
        certificate=address.cert,
        certificate_key=address.key,
    )
    try:
        return open_remote(target, program(), timeout=timeout, max_runspaces=max_runspaces)
    except AccessDenied as denied:
        if not credential.source:
            raise
        raise AccessDenied(
            f"{denied.message}; the account is {target.user}, its password came from {credential.source}",
            hint=denied.hint,
            host=address.name,
        ) from denied


def _ssh(address: HostAddress, timeout: float) -> tuple[str, ...]:
    """The command line of ssh. What runs on the host is one word to ssh: the host's own shell takes it apart."""
    if not shutil.which("ssh"):
        raise HostUnreachable(
            f"{address.name} cannot be reached through SSH: there is no program ssh on PATH",
            hint="Install the OpenSSH client.",
            host=address.name,
        )
    if any(word.startswith("-") for word in (address.user, address.host)):
        raise SettingsError("Neither the user nor the host of an ssh:// address may begin with '-'")
    options = (*SSH_OPTIONS, f"ConnectTimeout={max(1, int(timeout))}")
    told = [word for option in options for word in ("-o", option)]
    port = ["-p", str(address.port)] if address.port else []
    user = ["-l", address.user] if address.user else []
    return ("ssh", "-T", *told, *port, *user, "--", address.host, subprocess.list2cmdline(program()))


def _give_up_on(lost: SessionLost, address: HostAddress) -> None:
    """Raise what another attempt would meet again."""
    lines = lost.message.splitlines()
    refused = _line_with(SSH_REFUSED, lines)
    if refused:
        raise AccessDenied(
            f"{address.name} refused the account: {refused}",
            hint="SSH asks for no password here: give the account a key that needs none, or one in ssh-agent.",
            host=address.name,
        ) from lost
    unreached = _line_with(SSH_UNREACHED, lines)
    if unreached:
        raise HostUnreachable(
            f"{address.name} cannot be reached through SSH: {unreached}",
            hint=f"Try it by hand, where ssh can ask: ssh {address.host}",
            host=address.name,
        ) from lost


def _line_with(phrases: Sequence[str], lines: Sequence[str]) -> str:
    return next((line for line in lines if any(phrase in line for phrase in phrases)), "")
