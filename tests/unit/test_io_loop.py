"""The event loop that asyncio clients share."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_hyperv.backends.qemu.io_loop import event_loop, submit

ANSWER = 20.0


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail(error: Exception) -> None:
    raise error


def test_callers_of_any_thread_get_their_own_results_from_one_loop() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: submit(double(number), ANSWER), range(50))) == list(range(0, 100, 2))
        assert len(set(pool.map(lambda _: id(event_loop()), range(20)))) == 1
    assert len([thread for thread in threading.enumerate() if thread.name == "pytest-hyperv-io"]) == 1


def test_what_a_coroutine_raises_its_caller_gets_even_when_it_is_a_time_out_of_its_own() -> None:
    for error in (ZeroDivisionError("no"), TimeoutError("its own")):
        with pytest.raises(type(error)) as caught:
            submit(fail(error), ANSWER)
        assert caught.value.args == error.args


def test_a_deadline_raises_and_cancels() -> None:
    cancelled = threading.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        submit(wait_for_ever(), 0.05)
    assert cancelled.wait(ANSWER)
