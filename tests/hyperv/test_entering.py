"""Machines that were kept on a host, entered by another process: by their GUID, with sessions of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.registry import reclaim
from pytest_hyperv.cli import main
from pytest_hyperv.cli.line_shell import PowerShellLines
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.visits import attached, entered
from tests.hyperv.simulation import Simulation


@pytest.fixture
def ledger(host: Simulation) -> Ledger:
    return Ledger(host.cache / "machines", reclaim)


@pytest.fixture
def kept(host: Simulation, backend: HypervBackend, ledger: Ledger) -> Iterator[Record]:
    """A machine that its maker has kept, and left."""
    machine = backend.clone(host.state(), "a test")
    machine.keep("it failed", 3600.0, running=False)
    (record,) = [each for each in ledger.records() if each.name == machine.name]
    yield record
    ledger.reap(also=lambda each: each.id == record.id)


def test_it_is_paused_resumed_for_whoever_enters_and_paused_again(
    host: Simulation, ledger: Ledger, kept: Record, capfd: pytest.CaptureFixture[str]
) -> None:
    with attached(ledger, host.cache, kept) as machine:
        assert machine.state is MachineState.PAUSED
        assert machine.viewers()[0][0] == "vmconnect.exe"
    with entered(ledger, host.cache, kept) as machine:
        assert machine.os_family == "windows"
        assert machine.session.run(["hostname.exe"]).stdout == "SIMGUEST\r\n"
        shell = PowerShellLines(machine.powershell, machine.name)
        assert shell.run("'hello'") == 0
        assert "hello" in capfd.readouterr().out
    with attached(ledger, host.cache, kept) as machine:
        assert machine.state is MachineState.PAUSED


def test_commands_reach_it_and_gc_removes_it(host: Simulation, kept: Record) -> None:
    ran = CliRunner().invoke(main, ["exec", "--cache", str(host.cache), kept.name, "hostname.exe"])
    assert (ran.exit_code, ran.stdout_bytes) == (0, b"SIMGUEST\r\n")
    removed = CliRunner().invoke(main, ["gc", "--kept", "--cache", str(host.cache)])
    assert removed.output == f"removed {kept.name} (a test)\n"
