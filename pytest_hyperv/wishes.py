"""What each test asked for, read from its markers and kept on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_hyperv.options import MARKERS
from pytest_hyperv.stash import SETTINGS, WISH

if TYPE_CHECKING:
    from pytest_hyperv.markers import Wish

FIXTURES = frozenset({"hyperv_vm", "hyperv_vm_factory", "psdirect"})


def asks_for_machine(item: pytest.Item) -> bool:
    """Whether a test has a marker of ours or uses one of the fixtures, its fixtures' fixtures included."""
    if not FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return True
    return any(mark.name in MARKERS for mark in item.iter_markers())


def read_wish(item: pytest.Item) -> Wish:
    """Read a test's markers as they are now. Raises MarkerError; the test then has no wish."""
    from pytest_hyperv.markers import marks_of, wish_of

    if WISH in item.stash:
        del item.stash[WISH]
    wish = item.stash[WISH] = wish_of(marks_of(item), item.config.stash[SETTINGS])
    return wish


def report_machines(config: pytest.Config) -> None:
    """Have tests gated and reported as those with machines are, from now on."""
    from pytest_hyperv import reporting

    if not config.pluginmanager.is_registered(reporting):
        config.pluginmanager.register(reporting, reporting.__name__)
