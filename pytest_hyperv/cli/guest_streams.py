"""A guest's program on this process's own standard streams."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pytest_hyperv.errors import HypervError
from pytest_hyperv.guest import GuestProcess, GuestSession

PIECE = 1 << 16
FOREVER = 365 * 86400.0
"""Seconds that stand for no deadline, where a road into a guest wants one."""
INTERRUPTED = 130
STDIN = 0


def run_on_streams(
    session: GuestSession, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a program of the guest: bytes pass as they are, Ctrl-C ends it (130). Its exit code.

    Where the road into the guest cannot stream, input is read whole before, and output comes at the end.
    """
    if not session.streams_input:
        data = None if sys.stdin is None or os.isatty(STDIN) else sys.stdin.buffer.read()
        try:
            return session.run(argv, input=data, cwd=cwd, env=env, timeout=FOREVER, on_output=show).returncode
        except KeyboardInterrupt:
            return INTERRUPTED
    process = session.spawn(argv, cwd=cwd, env=env)
    try:
        threading.Thread(target=_feed, args=(process,), daemon=True).start()
        while (piece := process.read()) is not None:
            show(*piece)
        return process.wait()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        process.kill()


def show(stream: int, data: bytes) -> None:
    """Put output where it belongs, at once."""
    target = sys.stdout if stream == 1 else sys.stderr
    target.flush()
    target.buffer.write(data)
    target.buffer.flush()


def _feed(process: GuestProcess) -> None:
    """Pass standard input on until it ends, or the program does."""
    with suppress(HypervError, OSError, ValueError):
        while data := os.read(STDIN, PIECE):
            process.write(data)
        process.close_stdin()
