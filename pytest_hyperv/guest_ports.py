"""Whether a TCP port answers, asked from within a guest: no network between it and the host is needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from tenacity import RetryError, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.errors import CommandTimeout, SessionLost
from pytest_hyperv.guest import CommandResult
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.spec import Image

POLL = 0.1
ATTEMPT = 10.0
"""Seconds for one attempt: a port behind a firewall that drops packets never answers."""
LINUX = """
if command -v bash > /dev/null; then exec bash -c 'exec 3<> "/dev/tcp/$1/$2"' bash "$1" "$2"; fi
if command -v nc > /dev/null; then exec nc -z "$1" "$2"; fi
exec python3 -c 'import socket, sys; socket.create_connection(sys.argv[1:3])' "$1" "$2"
"""
WINDOWS = """
param([string] $Name, [int] $Port, [int] $Milliseconds)
$ErrorActionPreference = 'Stop'
$client = New-Object Net.Sockets.TcpClient
try {
    if (-not $client.ConnectAsync($Name, $Port).Wait($Milliseconds)) { throw 'no answer in time' }
} finally { $client.Dispose() }
"""
"""Not yet run on a real Windows guest."""


class _Asked(Protocol):
    """A machine, as far as it is needed here."""

    @property
    def image(self) -> Image: ...
    def run(self, argv: Sequence[str], *, timeout: float) -> CommandResult: ...
    def ps(self, script: str, *, timeout: float, **params: Any) -> PowerShellResult: ...


def wait_for_port(vm: _Asked, port: int, host: str, timeout: float) -> None:
    """Wait until ``vm``'s guest can connect to a TCP port. Raises CommandTimeout, GuestCrashed."""
    if not 0 < port < 65536:
        raise ValueError(f"a TCP port is a number from 1 to 65535, not {port}")
    deadline, last = time.monotonic() + timeout, ["it was not asked"]

    def answers() -> bool:
        within = min(ATTEMPT, max(deadline - time.monotonic(), POLL))
        try:
            last[:] = [_refusal(vm, port, host, within)]
        except (CommandTimeout, SessionLost) as error:
            last[:] = [error.message]
            raise
        return not last[0]

    waiting = Retrying(
        retry=retry_if_result(lambda answered: not answered) | retry_if_exception_type((CommandTimeout, SessionLost)),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(POLL),
    )
    try:
        waiting(answers)
    except RetryError:
        raise CommandTimeout(
            f"port {port} of {host} did not answer in {timeout:g} s; last seen: {last[0]}",
            hint="see whether the service runs, on which address it listens, and what the guest's firewall drops.",
            timeout=timeout,
        ) from None


def _refusal(vm: _Asked, port: int, host: str, within: float) -> str:
    """Why no connection came about, "" when one did."""
    if vm.image.os_family == "windows":
        told = vm.ps(WINDOWS, timeout=within + ATTEMPT, Name=host, Port=port, Milliseconds=int(within * 1000))
        return str(told.errors[-1]) if told.errors else ""
    result = vm.run(["sh", "-c", LINUX, "sh", host, str(port)], timeout=within)
    return "" if result else result.stderr.strip() or f"the attempt returned {result.returncode}"
