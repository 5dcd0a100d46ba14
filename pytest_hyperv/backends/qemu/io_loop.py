"""The one event loop of a process, on a daemon thread of its own, for clients that are asyncio inside (QMP, the agent).

Callers stay synchronous: they hand a coroutine in and get its result, its exception, or TimeoutError at their deadline.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_owner_pid = 0
_loop: asyncio.AbstractEventLoop | None = None


def event_loop() -> asyncio.AbstractEventLoop:
    """The running loop, started at the first call; a forked child starts its own, as threads do not survive a fork."""
    global _loop, _owner_pid
    with _lock:
        if _loop is None or _owner_pid != os.getpid():
            _loop = asyncio.new_event_loop()
            _owner_pid = os.getpid()
            threading.Thread(target=_loop.run_forever, name="pytest-hyperv-io", daemon=True).start()
        return _loop


def submit(coroutine: Coroutine[Any, Any, T], timeout: float | None) -> T:
    """Run a coroutine on the loop and return what it returns, or raise what it raises.

    After ``timeout`` seconds (None: no deadline), and when the waiting caller is interrupted, the coroutine is
    cancelled; the deadline raises TimeoutError. Must not be called from the loop's own thread.
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, event_loop())
    try:
        return future.result(timeout)
    except concurrent.futures.TimeoutError:
        if future.done() and not future.cancelled():
            return future.result()
        raise TimeoutError(f"no answer within {timeout:g} s") from None
    finally:
        future.cancel()
