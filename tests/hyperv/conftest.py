"""A simulated host for all tests, a backend and a machine for each; afterwards nothing of them may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.simulated import SimulatedLab
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.spec import MachineSpec
from tests.hvsim.host.options import HostOptions
from tests.hyperv.simulation import SPEC, SPEED, Simulation

Clone = Callable[..., HypervMachine]


@pytest.fixture(scope="session")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """The host of most tests, its first state built."""
    lab = SimulatedLab(tmp_path_factory.mktemp("hyperv"), HostOptions(speed=SPEED))
    with pytest.MonkeyPatch.context() as environment:
        enter(lab, environment)
        simulation = Simulation(lab)
        simulation.state()
    return simulation


@pytest.fixture
def host(shared_host: Simulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulation]:
    """The host, calm at first, and in the end with nothing on it that was not there before."""
    enter(shared_host.lab, monkeypatch)
    shared_host.calm()
    before = shared_host.left()
    yield shared_host
    shared_host.calm()
    assert shared_host.left_in_the_end(before) == []


@pytest.fixture
def other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[HostOptions], Simulation]]:
    """Makes a host with other options, for one test."""
    made: list[Simulation] = []

    def make(options: HostOptions) -> Simulation:
        lab = SimulatedLab(tmp_path / str(len(made)), options)
        enter(lab, monkeypatch)
        made.append(Simulation(lab))
        return made[-1]

    yield make
    for simulation in made:
        assert simulation.left_in_the_end() == []


@pytest.fixture
def backend(host: Simulation) -> Iterator[HypervBackend]:
    """A backend of the host."""
    opened = host.open()
    yield opened
    opened.close()


@pytest.fixture
def clone(host: Simulation, backend: HypervBackend) -> Iterator[Clone]:
    """Makes machines that are discarded in the end."""
    made: list[HypervMachine] = []

    def make(spec: MachineSpec = SPEC, purpose: str = "a test") -> HypervMachine:
        made.append(backend.clone(host.state(spec), purpose))
        return made[-1]

    yield make
    host.calm()
    for machine in made:
        machine.discard()


@pytest.fixture
def machine(clone: Clone) -> HypervMachine:
    """A running machine."""
    return clone()


@pytest.fixture
def vm(host: Simulation, machine: HypervMachine) -> VirtualMachine:
    """The same machine as a test holds it."""
    return VirtualMachine(machine, host.image, "hyperv")


def enter(lab: SimulatedLab, environment: pytest.MonkeyPatch) -> None:
    """Let this test, and the processes it starts, find the host."""
    for name, value in lab.environment.items():
        environment.setenv(name, value)
