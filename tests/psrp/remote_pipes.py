"""Pipes to a program behind a WinRM service and behind PowerShell Direct; the doubles serve until the tests end."""

from __future__ import annotations

import atexit
import contextlib
import functools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_hyperv.psrp.hvsocket import Connect, open_psdirect
from pytest_hyperv.psrp.pipes import Pipe
from pytest_hyperv.psrp.psdirect_handshake import Login
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.starting import WINDOWS_POWERSHELL
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme
from pytest_hyperv.psrp.winrs import open_winrs
from tests.psrp import direct_broker, winrm_endpoint
from tests.psrp.loopback_certificate import write_certificate
from tests.psrp.winrm_fixtures import target

PATIENCE = 20.0


@functools.cache
def _until_exit() -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack


@functools.cache
def served_by_winrm(argv: tuple[str, ...]) -> tuple[winrm_endpoint.Endpoint, Path]:
    """A WinRM service in which ``powershell.exe`` is ``argv``, and the file with its certificate."""
    folder = Path(_until_exit().enter_context(tempfile.TemporaryDirectory()))
    certificate = write_certificate(folder / "localhost.pem", "localhost")
    plan = winrm_endpoint.Plan({"powershell": list(argv)}, str(certificate), max_shells=1000)
    return _until_exit().enter_context(winrm_endpoint.running(plan)), certificate


@functools.cache
def served_by_psdirect(argv: tuple[str, ...]) -> Connect:
    """A guest in which PowerShell Direct starts ``argv``."""
    folder = _until_exit().enter_context(direct_broker.short_directory())
    return _until_exit().enter_context(direct_broker.running(direct_broker.Plan(folder, list(argv))))


@contextlib.contextmanager
def winrs_pipe(argv: list[str], transport: Authentication, scheme: Scheme) -> Iterator[Pipe]:
    """``argv`` in a shell of a WinRM service."""
    endpoint, certificate = served_by_winrm(tuple(argv))
    with contextlib.closing(
        open_winrs(target(endpoint, certificate, transport, scheme), WINDOWS_POWERSHELL, timeout=PATIENCE)
    ) as pipe:
        yield pipe


@contextlib.contextmanager
def psdirect_pipe(argv: list[str]) -> Iterator[Pipe]:
    """``argv`` at the other end of PowerShell Direct's two connections."""
    login = Login("tester", Secret("pä$$"))
    connect = served_by_psdirect(tuple(argv))
    with contextlib.closing(open_psdirect(connect, login, name="guest", timeout=PATIENCE)) as pipe:
        yield pipe


UNIX_SOCKETS_MISSING = "" if sys.platform != "win32" else "the double of a guest needs Unix sockets"
"""Why PowerShell Direct's double cannot run here; empty where it can."""
