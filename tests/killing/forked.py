"""A life in a process of its own, forked from one without threads: what it tells, and how it ends."""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

from pytest_hyperv.errors import HypervError

LIFE_TIMEOUT = 300.0
"""Seconds a life may take; one under emulation on a busy machine takes 2 to 20, a boot a minute or two."""
GREEN, TOLD, BROKEN = 0, 3, 4
"""Exit codes: it went well; it ended in one of our errors; it ended in an error nobody foresaw."""


class End(NamedTuple):
    """``code`` is an exit code, negative for a signal; ``text`` the error's, with its hint or its traceback."""

    code: int
    text: str

    @property
    def killed(self) -> bool:
        """Whether it died by ``kill -9``."""
        return self.code == -signal.SIGKILL


class Forked:
    """A child that runs ``life``; what that tells is heard by `finish`."""

    def __init__(self, life: Callable[[], None]) -> None:
        hearing, telling = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(hearing)
            _live(life, telling)
        os.close(telling)
        self._hearing = hearing

    def finish(self, timeout: float = LIFE_TIMEOUT) -> End:
        """Wait for the end; a child that does not come to one is killed, and told as broken."""
        said, late = self._hear(timeout)
        _, status = os.waitpid(self.pid, 0)
        if late:
            return End(BROKEN, f"did not end in {timeout:.0f} s")
        return End(os.waitstatus_to_exitcode(status), said)

    def _hear(self, timeout: float) -> tuple[str, bool]:
        deadline, heard = time.monotonic() + timeout, b""
        try:
            while select.select([self._hearing], [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(self._hearing, 65536)
                if not piece:
                    return heard.decode("utf-8", "replace"), False
                heard += piece
            os.kill(self.pid, signal.SIGKILL)
            return heard.decode("utf-8", "replace"), True
        finally:
            os.close(self._hearing)


def forked(life: Callable[[], None], timeout: float = LIFE_TIMEOUT) -> End:
    """Run ``life`` in a child to its end."""
    return Forked(life).finish(timeout)


def _live(life: Callable[[], None], telling: int) -> None:
    """The child's whole life; never returns."""
    code, text = GREEN, ""
    try:
        life()
    except HypervError as error:
        code, text = TOLD, f"{type(error).__name__}: {error}"
    except BaseException:
        code, text = BROKEN, traceback.format_exc()
    finally:
        os.write(telling, text.encode()[-4000:])
        os._exit(code)
