"""What stands in the way of a session is told before a machine is made for it."""

from __future__ import annotations

import sys

import pytest

from benchmarks.simulated import CREDENTIALS
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.errors import CapabilityMissing, SettingsError
from tests.hyperv.simulation import Simulation


@pytest.mark.skipif(sys.platform == "win32", reason="there Hyper-V sockets may be had")
def test_sessions_from_this_computer_want_it_to_be_the_host(host: Simulation) -> None:
    backend = HypervBackend(host.cache, HostAddress(), native=True)
    with pytest.raises(CapabilityMissing, match="Hyper-V socket"):
        backend.clone(host.state(), "a test")
    backend.close()
    assert host.records() == []


def test_a_guest_that_nobody_can_log_on_to_is_not_made(host: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    state = host.state()
    monkeypatch.delenv(CREDENTIALS)
    backend = host.open()
    with pytest.raises(SettingsError, match=CREDENTIALS):
        backend.clone(state, "a test")
    backend.close()
    assert host.records() == []
