"""Fixtures of the PSRP tests."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from pytest_hyperv.psrp.client import Session
from tests.psrp import roads

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session", params=roads.parameters())
def road(request: pytest.FixtureRequest) -> roads.Road:
    """Each road that leads to a PowerShell."""
    taken: roads.Road = request.param
    taken.prepare(request.config)
    return taken


@pytest.fixture(scope="session", params=roads.parameters(peers_only=True))
def peer_road(request: pytest.FixtureRequest) -> roads.Road:
    """Each road at whose end the peer stands, which has faults on demand."""
    taken: roads.Road = request.param
    taken.prepare(request.config)
    return taken


@pytest.fixture
def session(road: roads.Road) -> Iterator[Session]:
    """An open session over each road."""
    with road.session() as opened:
        yield opened
