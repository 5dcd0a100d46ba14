"""The fixtures. Their work is done in ``lab``, which is imported when the first of them is used."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_hyperv.capabilities import Offer
    from pytest_hyperv.lending import MachineFactory
    from pytest_hyperv.machine import VirtualMachine
    from pytest_hyperv.powershell import PowerShell


@pytest.fixture
def hyperv_image(request: pytest.FixtureRequest) -> str:
    """The golden image of machines whose marker names none. Override it to choose one for a package or module."""
    from pytest_hyperv.stash import SETTINGS

    return request.config.stash[SETTINGS].image


@pytest.fixture
def hyperv_vm(request: pytest.FixtureRequest, hyperv_image: str) -> VirtualMachine:
    """A running machine made as the test's ``hyperv`` marker says: this test's own, or shared as its ``reset`` says."""
    from pytest_hyperv.lab import lab_of
    from pytest_hyperv.lending import machine_for
    from pytest_hyperv.stash import WISH
    from pytest_hyperv.wishes import read_wish, report_machines

    if WISH not in request.node.stash:  # asked for by name, while the test runs
        report_machines(request.config)
        lab_of(request.config).gate(read_wish(request.node))
    return machine_for(request.node, hyperv_image)


@pytest.fixture
def hyperv_vm_factory(request: pytest.FixtureRequest, hyperv_image: str) -> Generator[MachineFactory]:
    """A function that makes machines: ``a, b = hyperv_vm_factory(2, memory="1GiB")``. They end with the test."""
    from pytest_hyperv.lending import factory_for

    with factory_for(request.node, hyperv_image) as factory:
        yield factory


@pytest.fixture
def psdirect(hyperv_vm: VirtualMachine, request: pytest.FixtureRequest) -> PowerShell:
    """The PowerShell session of ``hyperv_vm``.

    Skipped on a guest without PowerShell, failed with ``--hyperv-strict``.
    """
    from pytest_hyperv.lab import lab_of

    lab_of(request.config).require_powershell(hyperv_vm)
    return hyperv_vm.powershell


@pytest.fixture(scope="session")
def hyperv_host(request: pytest.FixtureRequest) -> Offer:
    """What the host is and can do: ``facts`` in bytes and counts, ``capabilities`` with reasons."""
    from pytest_hyperv.lab import lab_of
    from pytest_hyperv.wishes import report_machines

    report_machines(request.config)
    return lab_of(request.config).offer()
