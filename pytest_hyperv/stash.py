"""What the plugin keeps on pytest's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_hyperv.errors import MarkerError
    from pytest_hyperv.figures import Figures, Run
    from pytest_hyperv.loan import Loan
    from pytest_hyperv.markers import Wish
    from pytest_hyperv.settings import Settings
    from pytest_hyperv.timeline import Timeline

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
"""On the config: what this run was told."""
WISH: pytest.StashKey[Wish] = pytest.StashKey()
"""On an item: what the test asked for."""
WRONG: pytest.StashKey[MarkerError] = pytest.StashKey()
"""On an item: what is wrong with the markers that it got after it was collected."""
LOANS: pytest.StashKey[list[Loan]] = pytest.StashKey()
"""On an item: the machines in its hands, in the order it got them; they are gone once its teardown is over."""
RUN: pytest.StashKey[Run] = pytest.StashKey()
"""On the config: what this process holds, once a test has needed a machine."""
FIGURES: pytest.StashKey[Figures] = pytest.StashKey()
"""On the config: what this process and its workers made, for the summary."""
TIMELINE: pytest.StashKey[Timeline] = pytest.StashKey()
"""On the config: when this process did what, in a run that a page is asked of."""
CANNOT, NONE_CAN = "this host cannot: ", "no host can: "
"""How the reason begins of a test that is skipped for what the host cannot do, or all hosts of an inventory."""
WATCHED_KEY = "hyperv_watched"
"""In an xdist worker's input: whether there is a terminal report that its progress may be told beside."""
WORKER_KEY = "hyperv_figures"
"""In an xdist worker's output: its figures."""
HOST_FAILED = "hyperv_host_failed"
"""The attribute of a test's report that says that what carries its machines failed while it ran."""
