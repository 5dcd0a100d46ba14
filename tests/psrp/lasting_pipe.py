"""A pipe on which one session after the other can be held."""

from __future__ import annotations

from pytest_hyperv.psrp.pipes import Pipe

SLICE = 0.05
"""Seconds until the reader of a session that was left has seen it."""


class LastingPipe:
    """An end that a session may close: the pipe itself stays open."""

    def __init__(self, inner: Pipe) -> None:
        self.inner = inner
        self.open = True

    @property
    def name(self) -> str:
        return self.inner.name

    def send(self, data: bytes, timeout: float) -> None:
        self.inner.send(data, timeout)

    def receive(self, timeout: float) -> bytes | None:
        return self.inner.receive(min(timeout, SLICE)) if self.open else b""

    def diagnosis(self) -> str:
        return self.inner.diagnosis()

    def close(self) -> None:
        self.open = False
