"""Machines go when all else of a teardown is over, so that what fails there can still be seen in them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

ENDS = pytest.StashKey[list[Callable[[], None]]]()
"""On the session: what is to be called when the teardown under way is over, in this order."""


def end_later(session: pytest.Session, end: Callable[[], None]) -> None:
    """Have ``end`` called after all finalizers of the teardown under way."""
    session.stash.setdefault(ENDS, []).append(end)


@contextmanager
def ending(session: pytest.Session) -> Generator[None]:
    """Call what was put off meanwhile, all of it, whatever the body and the others raise.

    Raises what the body raised, or else the first failure; the others are told with it.
    """
    try:
        yield
    except BaseException as error:
        for failure in end_all(session):
            error.add_note(str(failure))
        raise
    failures = end_all(session)
    if failures:
        first, *others = failures
        for failure in others:
            first.add_note(str(failure))
        raise first


def end_all(session: pytest.Session) -> list[Exception]:
    """Call what was put off; the failures."""
    ends, failures = session.stash.get(ENDS, []), []
    while ends:
        try:
            ends.pop(0)()
        except Exception as error:
            failures.append(error)
    return failures
