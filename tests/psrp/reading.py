"""Exactly so many bytes from a pipe."""

from __future__ import annotations

from pytest_hyperv.psrp.pipes import Pipe

PATIENCE = 20.0


def read_exactly(pipe: Pipe, size: int) -> bytes:
    """The next ``size`` bytes; fails when the stream ends before or nothing comes."""
    data = b""
    while len(data) < size:
        more = pipe.receive(PATIENCE)
        assert more, f"{len(data)} of {size} bytes, then {more!r}: {pipe.diagnosis()}"
        data += more
    assert len(data) == size
    return data
