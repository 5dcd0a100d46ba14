"""A machine saved with its memory, and files that go into a guest through Hyper-V itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.backends.hyperv import cmdlets, guest_session
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.guest_session import PowerShellGuest
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.errors import CopyError
from tests.hyperv.simulation import Simulation

GIVEN = "C:\\given\\big.bin"
TARGET = "C:\\driver\\big.bin"


@pytest.fixture
def given(host: Simulation) -> Iterator[Path]:
    """Where a test may put the file ``GIVEN`` of the host."""
    with host.world() as world:
        file = world.drives.resolve(GIVEN)
    file.parent.mkdir()
    yield file
    file.unlink()
    file.parent.rmdir()


def test_a_saved_machine_is_off_and_goes_on_where_it_was(machine: HypervMachine) -> None:
    machine.session.run(["cmd.exe", "/d", "/c", "start /b ping.exe -n 1000 127.0.0.1"]).check()
    machine.save()
    assert machine.state is MachineState.OFF
    machine.start(60)
    assert b"ping" in machine.session.run(["tasklist.exe"]).check().stdout_bytes.lower()
    machine.kill()
    machine.start(60)
    assert b"ping" not in machine.session.run(["tasklist.exe"]).check().stdout_bytes.lower()


def test_a_file_of_the_host_goes_into_the_guest_through_hyper_v(given: Path, machine: HypervMachine) -> None:
    given.write_bytes(bytes(range(256)) * 1000)
    machine.copy_from_host(GIVEN, TARGET, 30)
    assert b"".join(machine.session.read_file(TARGET, timeout=30)) == bytes(range(256)) * 1000


def test_a_guest_without_that_service_refuses_files_of_the_host(
    given: Path, machine: HypervMachine, backend: HypervBackend
) -> None:
    given.write_bytes(b"x")
    service = cmdlets.service(UUID(machine.id), cmdlets.GUEST_FILES)
    backend.host.do(service | cmdlets.hyperv("Disable-VMIntegrationService"))
    with pytest.raises(CopyError, match=r"big\.bin"):
        machine.copy_from_host(GIVEN, TARGET, 30)


def test_a_large_file_takes_that_road_and_is_checked_afterwards(
    given: Path, machine: HypervMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only on a Windows host is a path of this computer one of the host; here the file is put there by hand."""
    monkeypatch.setattr(guest_session, "LARGE", 1000)
    source = tmp_path / "big.bin"
    source.write_bytes(b"whole" * 1000)

    def through_hyper_v(path: str, target: str, timeout: float) -> None:
        given.write_bytes(Path(path).read_bytes()[: cut or None])
        machine.copy_from_host(GIVEN, target, timeout)

    assert isinstance(machine.session, PowerShellGuest)
    monkeypatch.setattr(machine.session, "_copy_file", through_hyper_v)
    cut = 0
    assert machine.session.take_file(source, TARGET, timeout=30)
    assert b"".join(machine.session.read_file(TARGET, timeout=30)) == b"whole" * 1000
    cut = 4000
    with pytest.raises(CopyError, match="differs"):
        machine.session.take_file(source, TARGET, timeout=30)
    (tmp_path / "small").write_bytes(b"little")
    assert not machine.session.take_file(tmp_path / "small", TARGET, timeout=30)
