"""The suite on a Hyper-V host that is reached through WinRM: each process there is the simulated host's PowerShell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.features import FEATURES
from tests.conformance_roads.conftest import Road
from tests.conformance_roads.suite import TESTS, SuiteRun
from tests.psrp.winrm_endpoint import PASSWORD, USER, Plan, running
from tests.psrp.winrm_fixtures import certificate as certificate


@pytest.fixture(scope="module")
def run(road: Road, certificate: Path) -> SuiteRun:
    """The suite's run, while the WinRM service runs."""
    with running(Plan({"powershell": [str(road.launcher), "*"]}, str(certificate))) as endpoint:
        address = f"winrm://{USER}@localhost:{endpoint.https_port}/?ca={certificate}"
        return road.run(address, {"PYTEST_HYPERV_HOST_PASSWORD": PASSWORD})


@pytest.mark.parametrize("test", TESTS)
def test_conforms(run: SuiteRun, test: str) -> None:
    run.retell(test)


@pytest.mark.parametrize("feature", FEATURES)
def test_shows(run: SuiteRun, feature: int) -> None:
    assert run.shown(feature), run.said[-4000:]


def test_leaves_no_machine_behind(run: SuiteRun, road: Road) -> None:
    assert run.cases
    assert road.left() == []
