"""Patience with a guest that boots: the way into it is tried again and again while its machine lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from pytest_hyperv.backends.hyperv.opening import NotYet
from pytest_hyperv.errors import AccessDenied, BootTimeout

Result = TypeVar("Result")

ONE_TRY = 60.0
"""Seconds one try may take before it counts as hung."""
REOPEN = 300.0
"""Seconds a guest that reboots may take until it takes a session again."""
CREDENTIAL_GRACE = 60.0
"""Seconds for which a booting guest may refuse a right password: its accounts are not there yet."""


def patiently(
    attempt: Callable[[float], Result],
    *,
    watch: Callable[[], None],
    name: str,
    timeout: float,
    booting: bool,
    hint: str,
) -> Result:
    """The first result of ``attempt``, which is given the seconds it may take and raises NotYet to be tried again.

    ``watch`` raises when the machine has died: asked before each try, so that nobody waits for its guest, and after the
    last one, which may have hung for that reason. ``booting`` bears a refused credential for a while.

    Raises BootTimeout with the last refusal and ``hint``.
    """
    began = time.monotonic()

    def once() -> Result:
        watch()
        left = began + timeout - time.monotonic()
        try:
            return attempt(max(1.0, min(ONE_TRY, left)))
        except AccessDenied as refused:
            if booting and time.monotonic() < began + CREDENTIAL_GRACE:
                raise NotYet(refused.message) from refused
            raise

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NotYet),
        stop=tenacity.stop_after_delay(timeout),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
        reraise=True,
    )
    try:
        return retrying(once)
    except NotYet as last:
        watch()
        raise BootTimeout(
            f"{name} took no session in {timeout:.0f} s; the last try: {last.message}", hint=hint, machine=name
        ) from last
