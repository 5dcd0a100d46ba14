"""The roads that lead to a PowerShell: the same tests run over each of them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import Pipe, ProcessPipe, StreamPipe
from tests.psrp import remote_pipes
from tests.psrp.guest_road import GUEST

PROJECT = Path(__file__).parents[2]
"""The folder from which the peer is started."""


def peer_argv(*options: str) -> list[str]:
    """The command line that stands for ``powershell.exe -NoLogo -NoProfile -s``; to be run in `PROJECT`."""
    return [sys.executable, "-m", "tests.psrp.peer", *options]


@dataclass(frozen=True)
class Road:
    """One way to a PowerShell. ``pipe`` gives a connected pipe and afterwards ends whatever served it alone.

    What serves every pipe of the road is started by ``prepare``, once; it may skip the test. ``sessions`` is for roads
    on which a session is not simply opened on a pipe: it gets how many runspaces are wanted.
    ``real`` is true where an engine answers and not the peer: tests of faults do not run there. A road that cannot be
    taken here says why in ``unavailable``.
    """

    name: str
    pipe: Callable[[], AbstractContextManager[Pipe]]
    real: bool = False
    ahead: bool = False
    unavailable: str = ""
    prepare: Callable[[pytest.Config], object] = bool
    sessions: Callable[[int], AbstractContextManager[Session]] | None = None

    @contextlib.contextmanager
    def session(self, *, max_runspaces: int = 1) -> Iterator[Session]:
        """An open session, closed afterwards."""
        if self.sessions is not None:
            with self.sessions(max_runspaces) as session:
                yield session
            return
        with (
            self.pipe() as pipe,
            Session.open(
                pipe, timeout=60 if self.real else 20, max_runspaces=max_runspaces, ahead=self.ahead
            ) as session,
        ):
            yield session


@contextlib.contextmanager
def process_pipe(*options: str) -> Iterator[Pipe]:
    """The peer as a child process."""
    pipe = ProcessPipe(peer_argv(*options), name="peer", cwd=PROJECT)
    try:
        yield pipe
    finally:
        pipe.close()


@contextlib.contextmanager
def stream_pipe() -> Iterator[Pipe]:
    """The peer at the other end of a loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        argv = peer_argv("--connect", f"127.0.0.1:{listener.getsockname()[1]}")
        with subprocess.Popen(argv, cwd=PROJECT, stderr=subprocess.DEVNULL) as process:
            pipe = StreamPipe(listener.accept()[0], name="peer")
            try:
                yield pipe
            finally:
                pipe.close()
                process.kill()


@contextlib.contextmanager
def pwsh_pipe() -> Iterator[Pipe]:
    """A real PowerShell as a child process."""
    pipe = ProcessPipe([shutil.which("pwsh") or "pwsh", "-NoLogo", "-NoProfile", "-s"], name="pwsh")
    try:
        yield pipe
    finally:
        pipe.close()


ROADS: list[Road] = [
    Road("process", process_pipe),
    Road("process-ahead", process_pipe, ahead=True),
    Road("stream", stream_pipe),
    Road(
        "winrs-basic-https",
        lambda: remote_pipes.winrs_pipe(peer_argv(), "basic", "https"),
        ahead=True,
        prepare=lambda _: remote_pipes.served_by_winrm(tuple(peer_argv())),
    ),
    Road(
        "winrs-ntlm-http",
        lambda: remote_pipes.winrs_pipe(peer_argv(), "ntlm", "http"),
        ahead=True,
        prepare=lambda _: remote_pipes.served_by_winrm(tuple(peer_argv())),
    ),
    Road(
        "psdirect",
        lambda: remote_pipes.psdirect_pipe(peer_argv()),
        unavailable=remote_pipes.UNIX_SOCKETS_MISSING,
        prepare=lambda _: remote_pipes.served_by_psdirect(tuple(peer_argv())),
    ),
    Road("guest", GUEST.pipe, prepare=GUEST.prepare, sessions=GUEST.session),
    Road("pwsh", pwsh_pipe, real=True, unavailable="" if shutil.which("pwsh") else "no pwsh on PATH"),
]


def parameters(*, peers_only: bool = False) -> list[object]:
    """`ROADS` as parameters of a fixture."""
    return [
        pytest.param(road, id=road.name, marks=[pytest.mark.skip(reason=road.unavailable)] if road.unavailable else [])
        for road in ROADS
        if not (peers_only and road.real)
    ]
