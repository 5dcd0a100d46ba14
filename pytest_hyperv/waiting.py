"""Waits for what a guest comes to by itself, instead of sleeps."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from tenacity import RetryError, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.errors import CommandTimeout, SessionLost
from pytest_hyperv.guest import CommandResult, FileFacts

POLL = 0.1


def wait_until_succeeds(run: Callable[[], CommandResult], argv: Sequence[str], timeout: float) -> CommandResult:
    """Run ``argv`` by ``run`` until it returns 0. Raises CommandTimeout with the last result when it does not in time.

    A guest that reboots meanwhile is waited for; one that dies ends the wait at once.
    """
    last: list[CommandResult] = []

    def attempt() -> CommandResult:
        last[:] = [run()]
        return last[0]

    waiting = Retrying(
        retry=retry_if_result(lambda result: not result) | retry_if_exception_type(SessionLost),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(POLL),
    )
    try:
        return waiting(attempt)
    except RetryError as error:
        seen = f"last seen: {last[0].explain()}" if last else f"last seen: {error.last_attempt.exception()}"
        raise CommandTimeout(
            f"`{shlex.join(argv)}` did not succeed in {timeout:g} s; {seen}", timeout=timeout
        ) from None


def wait_for_file(look: Callable[[], FileFacts | None], path: str, timeout: float) -> None:
    """Wait until ``look`` finds something at ``path``. Raises CommandTimeout."""
    waiting = Retrying(
        retry=retry_if_result(lambda facts: facts is None), stop=stop_after_delay(timeout), wait=wait_fixed(POLL)
    )
    try:
        waiting(look)
    except RetryError:
        raise CommandTimeout(f"{path} did not appear in {timeout:g} s", timeout=timeout) from None
