"""The suite on a Hyper-V host that is this machine: its PowerShell is the simulated host's."""

from __future__ import annotations

import os

import pytest

from tests.conformance.features import FEATURES
from tests.conformance_roads.conftest import Road
from tests.conformance_roads.suite import TESTS, SuiteRun


@pytest.fixture(scope="module")
def run(road: Road) -> SuiteRun:
    """The suite's run."""
    return road.run("local", {"PATH": os.pathsep.join([str(road.launcher.parent), os.environ["PATH"]])})


@pytest.mark.parametrize("test", TESTS)
def test_conforms(run: SuiteRun, test: str) -> None:
    run.retell(test)


@pytest.mark.parametrize("feature", FEATURES)
def test_shows(run: SuiteRun, feature: int) -> None:
    assert run.shown(feature), run.said[-4000:]


def test_leaves_no_machine_behind(run: SuiteRun, road: Road) -> None:
    assert run.cases
    assert road.left() == []
