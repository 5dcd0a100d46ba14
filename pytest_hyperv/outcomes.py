"""Why a test failed, in one word: the guest died, time ran out, what carries machines failed, or the test itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from pytest_hyperv import errors

Outcome = Literal["crash", "timeout", "infrastructure", "assertion"]
TOLD = {"crash": "guest crash", "timeout": "time-out", "infrastructure": "infrastructure"}
"""How a report's summary begins; a failure of the test itself needs no word."""
_TIMEOUTS = (errors.CommandTimeout, errors.BootTimeout, TimeoutError)
_INFRASTRUCTURE = (
    errors.HostError,
    errors.PoolError,
    errors.ImageError,
    errors.StateError,
    errors.SettingsError,
    errors.SessionLost,
)
_BY_PYTEST_TIMEOUT = "Timeout ("
"""How pytest-timeout's failure begins (its ``signal`` method; ``thread`` ends the process, with no word from us)."""


def outcome_of(error: BaseException | None, *, untold_crash: bool) -> Outcome:
    """What a test failed of. ``untold_crash``: a machine of it is dead, and no call has told the test so.

    An error that says nothing of this kind is what the one says that it was raised from, or while that was handled.
    """
    chain = list(_chain(error))
    if untold_crash or any(isinstance(each, errors.GuestCrashed) for each in chain):
        return "crash"
    for each in chain:
        if isinstance(each, _INFRASTRUCTURE) or type(each) is errors.MachineError:
            return "infrastructure"
        if isinstance(each, _TIMEOUTS) or _is_pytest_timeout(each):
            return "timeout"
    return "assertion"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_pytest_timeout(error: BaseException) -> bool:
    return isinstance(error, pytest.fail.Exception) and str(error.msg).startswith(_BY_PYTEST_TIMEOUT)
