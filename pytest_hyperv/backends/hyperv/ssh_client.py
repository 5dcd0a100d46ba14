"""The program ``ssh``, as it is called for a guest: never asking, never a password, keys of that machine alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv.errors import SettingsError

USER_FORM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]*")
HOST_FORM = re.compile(r"[0-9A-Za-z:][0-9A-Za-z.:%_-]*")

CONNECT = 15
"""Seconds a guest that answers at all may take to answer."""
ALIVE_INTERVAL, ALIVE_COUNT = 15, 4
"""A connection counts as lost after this many questions without an answer, so many seconds apart."""

OPTIONS = {
    "BatchMode": "yes",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "PreferredAuthentications": "publickey",
    "StrictHostKeyChecking": "accept-new",
    "GlobalKnownHostsFile": "none",
    "HashKnownHosts": "no",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ControlMaster": "no",
    "ControlPath": "none",
    "LogLevel": "ERROR",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": str(ALIVE_INTERVAL),
    "ServerAliveCountMax": str(ALIVE_COUNT),
}
"""What a person's own configuration must not decide otherwise (ssh_config(5)); a ProxyJump there counts."""


@dataclass(frozen=True)
class SshLogin:
    """An account of a guest and the file with its private key."""

    user: str
    key: Path


@dataclass(frozen=True)
class SshTarget:
    """One guest's account. ``known_hosts`` is the machine's own file, in which its key is noted under ``alias``.

    A disposable machine's key is new, and its address may have been another one's: neither means anything elsewhere.
    Raises SettingsError for a user or host that ssh could take for an option.
    """

    host: str
    user: str
    key: Path
    known_hosts: Path
    alias: str
    port: int = 22

    def __post_init__(self) -> None:
        for what, value, form in (("user", self.user, USER_FORM), ("host", self.host, HOST_FORM)):
            if not form.fullmatch(value):
                raise SettingsError(f"{value!r} cannot be the {what} of an SSH connection")

    def command(self, remote: Sequence[str], *, timeout: float) -> list[str]:
        """The command line that runs ``remote`` in the guest's shell; it has ``timeout`` seconds to connect."""
        options = {
            **OPTIONS,
            "ConnectTimeout": str(max(1, min(CONNECT, int(timeout)))),
            "UserKnownHostsFile": f'"{_plain(self.known_hosts)}"',
            "HostKeyAlias": self.alias,
        }
        return [
            *("ssh", "-p", str(self.port), "-l", self.user, "-i", _plain(self.key)),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            *("--", self.host, "exec " + shlex.join(remote)),
        ]


def _plain(path: Path) -> str:
    """A path in which ssh finds nothing to expand; it takes forward slashes on Windows too."""
    return path.absolute().as_posix().replace("%", "%%")
