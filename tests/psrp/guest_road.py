"""The road into a QEMU guest: a virtio-serial port, with the peer as ``pwsh -s`` at its other end."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_hyperv.errors import CapabilityMissing, HostError, ImageError
from pytest_hyperv.lab import lab_of
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import Pipe
from tests.psrp.lasting_pipe import LastingPipe

if TYPE_CHECKING:
    from pytest_hyperv.backends.qemu.machine import QemuMachine

OPEN = 120.0
"""Seconds a Python under emulation may take to start on a busy host; it takes 2 to 5."""


class GuestRoad:
    """One machine for all the tests. A session is adopted where the one before it was left, opened where it was lost.

    Whoever asks for the pipe itself gets it with a server of its own.
    """

    def __init__(self) -> None:
        self._machine: QemuMachine | None = None
        self._pipe: Pipe | None = None
        self._left: uuid.UUID | None = None

    def prepare(self, config: pytest.Config) -> None:
        """Make the machine, once; skip the test where there can be none."""
        if self._machine is not None:
            return
        if sys.platform != "linux":
            pytest.skip("QEMU guests run on Linux hosts")
        from tests.psrp.guest_peer import NothingToFetch, PeerMachines

        lab = lab_of(config)
        try:
            self._machine = PeerMachines(lab.cache, lab.progress).clone("the road into a guest")
        except (NothingToFetch, ImageError, HostError, CapabilityMissing) as error:
            pytest.skip(f"no guest with a peer can be had: {error}")
        config.add_cleanup(self._machine.discard)

    @contextlib.contextmanager
    def pipe(self) -> Iterator[Pipe]:
        """The pipe to a server that was just started."""
        self._hang_up()
        with contextlib.closing(self._started()) as pipe:
            yield pipe

    @contextlib.contextmanager
    def session(self, max_runspaces: int) -> Iterator[Session]:
        """A session that nobody has used: the last one under a new client, or a new one."""
        if self._pipe is None or self._left is None or max_runspaces > 1:
            self._hang_up()
            self._pipe = self._started()
            lasting = LastingPipe(self._pipe)
            opened = Session.open(lasting, timeout=OPEN, max_runspaces=max_runspaces)
        else:
            opened = Session.adopt(LastingPipe(self._pipe), self._left)
        self._left = None
        try:
            yield opened
        finally:
            if opened.lost is None and max_runspaces == 1 and opened.settle():
                self._left = opened.leave()
            else:
                opened.close()

    def _started(self) -> Pipe:
        assert self._machine is not None
        return self._machine.powershell_pipe()

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = self._left = None


GUEST = GuestRoad()
