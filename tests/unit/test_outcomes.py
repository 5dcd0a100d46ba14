"""Why a test failed, told from what it raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_hyperv import errors
from pytest_hyperv.outcomes import outcome_of


def raised_while(handled: BaseException, error: BaseException, *, cause: bool = False) -> BaseException:
    """``error`` as it is when it is raised while ``handled`` is, or from it."""
    try:
        try:
            raise handled
        except BaseException:
            if cause:
                raise error from handled
            raise error  # noqa: B904 - that is the case here
    except BaseException as caught:
        return caught


def by_pytest_timeout() -> BaseException:
    """What pytest-timeout's signal handler raises."""
    try:
        pytest.fail("Timeout (>1.0s) from pytest-timeout.")
    except pytest.fail.Exception as failed:
        return failed


CASES: dict[str, tuple[str, Callable[[], BaseException | None]]] = {
    "an assertion": ("assertion", lambda: AssertionError()),
    "nothing raised, as of a strict xfail that passes": ("assertion", lambda: None),
    "a mistake of the test": ("assertion", lambda: errors.MachineStateError("it is off")),
    "a command that failed": ("assertion", lambda: errors.CommandFailed("no")),
    "pytest.fail": ("assertion", lambda: pytest.fail.Exception("Timeouts are bad")),
    "a crash": ("crash", lambda: errors.GuestCrashed("dead")),
    "a crash behind a lost session": (
        "crash",
        lambda: raised_while(errors.GuestCrashed("dead"), errors.SessionLost("x")),
    ),
    "a command out of time": ("timeout", lambda: errors.CommandTimeout("slow")),
    "a boot out of time": ("timeout", lambda: errors.BootTimeout("slow")),
    "Python's own": ("timeout", lambda: TimeoutError()),
    "pytest-timeout": ("timeout", by_pytest_timeout),
    "an assertion while a time-out is handled": (
        "timeout",
        lambda: raised_while(errors.CommandTimeout("slow"), AssertionError()),
    ),
    "a host": ("infrastructure", lambda: errors.HostUnreachable("gone")),
    "a host that did not answer in time": (
        "infrastructure",
        lambda: raised_while(TimeoutError(), errors.HostUnreachable("gone"), cause=True),
    ),
    "a lease": ("infrastructure", lambda: errors.LeaseLost("taken")),
    "a state whose recipe died of time": (
        "infrastructure",
        lambda: raised_while(errors.CommandTimeout("slow"), errors.StateError("recipe"), cause=True),
    ),
    "a monitor": ("infrastructure", lambda: errors.MachineError("QEMU refused")),
    "a session lost by a living guest": ("infrastructure", lambda: errors.SessionLost("cut")),
}


@pytest.mark.parametrize(("outcome", "make"), CASES.values(), ids=CASES)
def test_it_is_told_apart(outcome: str, make: Callable[[], BaseException | None]) -> None:
    assert outcome_of(make(), untold_crash=False) == outcome


def test_a_dead_guest_that_nobody_was_told_of_is_why() -> None:
    assert outcome_of(AssertionError(), untold_crash=True) == "crash"


def test_an_error_that_is_its_own_context_ends() -> None:
    one, two = AssertionError(), ValueError()
    one.__context__, two.__context__ = two, one
    assert outcome_of(one, untold_crash=False) == "assertion"
