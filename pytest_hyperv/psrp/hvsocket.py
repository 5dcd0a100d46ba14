"""PowerShell Direct as a pipe: two connections over a Hyper-V socket, the broker's and then the session's.

Facts: RemoteSessionHyperVSocket.cs of PowerShell; address and options: Hyper-V sockets' documentation of Windows.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from pytest_hyperv.errors import AccessDenied, CapabilityMissing, SessionLost
from pytest_hyperv.psrp.pipes import StreamPipe
from pytest_hyperv.psrp.psdirect_handshake import Conversation, Downgrade, Login, Opened, broker_client, token_client

BROKER_SERVICE = UUID("999e53d4-3d5c-4c3e-8779-bed06ec056e1")
"""The guest service that takes the credential."""
SESSION_SERVICE = UUID("a5201c21-2770-4c11-a68e-f182edb29220")
"""The guest service behind which PowerShell waits for its session."""

Connect = Callable[[UUID, float], socket.socket]
"""Connects to the service of that id within so many seconds; raises OSError (TimeoutError when the time is over)."""

Result = TypeVar("Result")

_REPLY_SIZE = 1024
_LONGEST_CONNECT_MS = 300_000


def open_psdirect(connect: Connect, login: Login, *, name: str, timeout: float, require_v2: bool = False) -> StreamPipe:
    """Open a PowerShell session in a guest within ``timeout`` seconds and return its pipe.

    ``name`` is the machine's, for messages. A guest that only speaks version 1 is spoken to in version 1, unless
    ``require_v2`` (Windows' own switch for it is RequirePsDirectAuthentication). Raises AccessDenied when the guest
    refuses the credential, SessionLost when it does not answer, hangs up or speaks another version.
    Open one session of a machine at a time: openings in parallel are known to crash (PowerShell issue 15098).
    """
    deadline = time.monotonic() + timeout
    opened = _speak_to_broker(connect, login, name, deadline, version=2)
    if isinstance(opened, Downgrade):
        if require_v2:
            raise AccessDenied(
                f"{name} speaks PowerShell Direct version 1 (it answered {opened.reply} to VERSION), "
                "version 2 is required",
                hint="Update the guest, or allow version 1: RequirePsDirectAuthentication is set.",
                host=name,
            )
        opened = _speak_to_broker(connect, login, name, deadline, version=1)
    if isinstance(opened, Downgrade):
        raise SessionLost(f"{name} asked twice for an older version of PowerShell Direct than version 1")
    connection = _connected(connect, SESSION_SERVICE, name, deadline)
    try:
        if opened.token is not None:
            _converse(connection, token_client(opened.token), name, deadline)
        return StreamPipe(connection, name=f"PowerShell Direct of {name}")
    except BaseException:
        connection.close()
        raise


def hyperv_connect(vm_id: UUID) -> Connect:
    """Connects to services of the running machine ``vm_id`` of this host.

    Raises CapabilityMissing where Hyper-V sockets cannot be used: they need Windows and Python 3.12 or newer.
    """
    missing = _what_lacks(sys.platform, hasattr(socket, "AF_HYPERV"))
    if missing:
        raise CapabilityMissing(
            f"PowerShell Direct from Python needs Hyper-V sockets, {missing}",
            hint="Go through the host's PowerShell instead (New-PSSession -VMId), which needs no Hyper-V socket here.",
            missing={"psdirect-socket": missing},
        )

    def connect(service: UUID, timeout: float) -> socket.socket:
        family, protocol, option = (getattr(socket, known) for known in _HYPERV_CONSTANTS)
        connection = socket.socket(family, socket.SOCK_STREAM, protocol)
        try:
            patience = max(1, min(int(timeout * 1000), _LONGEST_CONNECT_MS))
            connection.setsockopt(protocol, option, patience)
            connection.connect((str(vm_id), str(service)))
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


_HYPERV_CONSTANTS = ("AF_HYPERV", "HV_PROTOCOL_RAW", "HVSOCKET_CONNECT_TIMEOUT")


def _what_lacks(platform: str, family_known: bool) -> str:
    if platform != "win32":
        return f"which only Windows has; this is {platform}"
    return "" if family_known else f"which Python knows from 3.12 on; this is {sys.version.split()[0]}"


def _speak_to_broker(connect: Connect, login: Login, name: str, deadline: float, *, version: int) -> Opened | Downgrade:
    with contextlib.closing(_connected(connect, BROKER_SERVICE, name, deadline)) as connection:
        return _converse(connection, broker_client(login, version=version), name, deadline)


def _connected(connect: Connect, service: UUID, name: str, deadline: float) -> socket.socket:
    which = "broker" if service == BROKER_SERVICE else "session"
    try:
        return connect(service, _left(deadline))
    except OSError as error:
        raise SessionLost(
            f"{name} did not take the connection to PowerShell Direct's {which}: {error}",
            hint="The machine must be running Windows and booted; while it boots, try again a little later.",
        ) from error


def _converse(connection: socket.socket, conversation: Conversation[Result], name: str, deadline: float) -> Result:
    try:
        outgoing = conversation.begin()
        while True:
            connection.settimeout(_left(deadline))
            if outgoing:
                connection.sendall(outgoing)
            if conversation.finished:
                return conversation.result()
            outgoing = conversation.take(connection.recv(_REPLY_SIZE))
    except TimeoutError as error:
        raise SessionLost(
            f"{name} stopped answering in the PowerShell Direct handshake",
            hint="A guest that is still booting does this; try again with a deadline.",
        ) from error
    except AccessDenied as error:
        raise AccessDenied(f"{name}: {error.message}", hint=error.hint, host=name) from error
    except SessionLost as error:
        raise SessionLost(f"{name}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise SessionLost(f"{name} broke off the PowerShell Direct handshake: {error}", hint="Try again.") from error


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time to open the session was over")
    return left
