"""The host: what it is, what it can do, and how a test learns that it cannot."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_hyperv import MachineFactory, Offer
from pytest_hyperv.capabilities import NAMES

pytestmark = pytest.mark.feature(15)
GIB = 1024**3
DOCTOR = (sys.executable, "-c", "from pytest_hyperv.cli import main; main()", "doctor", "--json")


def test_the_facts_of_the_host_are_told(hyperv_host: Offer) -> None:
    facts = hyperv_host.facts
    assert facts.memory > GIB
    assert facts.cpus >= 1
    assert facts.disk > GIB
    assert facts.os in ("linux", "windows")
    assert facts.host in ("server", "client")


def test_every_capability_that_is_not_there_has_a_reason(hyperv_host: Offer) -> None:
    told = hyperv_host.capabilities
    assert set(told) <= set(NAMES)
    assert told["uefi"].available
    assert [name for name, capability in told.items() if not capability.available and not capability.reason] == []


def test_a_machine_that_the_host_cannot_hold_is_refused_with_both_sizes(
    hyperv_vm_factory: MachineFactory, hyperv_host: Offer
) -> None:
    wanted = (hyperv_host.facts.memory // GIB + 2) * GIB
    if wanted > 4096 * GIB:
        pytest.skip("this host holds the largest machine there may be")
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match=r"GiB needed, the host has"):
        hyperv_vm_factory(memory=wanted)


@pytest.mark.hyperv_requires("uefi", "checkpoints", memory="1GiB", cpus=1, disk="1GiB")
def test_what_a_test_requires_is_there_when_it_runs(hyperv_host: Offer) -> None:
    assert all(hyperv_host.capabilities[name].available for name in ("uefi", "checkpoints"))
    assert hyperv_host.facts.disk >= GIB


def test_the_doctor_says_the_same(hyperv_host: Offer, pytestconfig: pytest.Config) -> None:
    address = pytestconfig.getoption("hyperv_host") or pytestconfig.getini("hyperv_host")
    chosen = ["--host", str(address)] if address and hyperv_host.backend == "hyperv" else []
    done = subprocess.run(
        [*DOCTOR, "--backend", hyperv_host.backend, *chosen], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = json.loads(done.stdout)["backends"]
    assert told["usable"]
    assert {name: found["available"] for name, found in told["capabilities"].items()} == {
        name: capability.available for name, capability in hyperv_host.capabilities.items()
    }
