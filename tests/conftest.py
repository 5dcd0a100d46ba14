"""What all the tests share: pytester, which runs pytest on small suites, and an order in which workers end together."""

from __future__ import annotations

import gc
import os
import sys

import pytest

pytest_plugins = ["pytester"]
LONGEST_FIRST = ("vm", "conformance_roads", "conformance", "hyperv", "examples", "psrp", "page", "plugin")
"""Folders whose files take long. Begun last, one of them would leave the other workers with nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of machines come first; within a file nothing changes."""
    items.sort(key=_rank)


def pytest_collection_finish() -> None:
    """Settle what the tests to come would pay for, or stumble over, each time.

    Nothing is compiled into files any more: tests write modules, and write them anew within the same second. And what
    is loaded by now is not looked through again for garbage, which each pytest within a test does five times.
    """
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    gc.freeze()


def _rank(item: pytest.Item) -> int:
    folders = item.nodeid.partition("::")[0].split("/")
    return next((rank for rank, name in enumerate(LONGEST_FIRST) if name in folders), len(LONGEST_FIRST))
