"""A Linux machine of the Hyper-V backend: the simulated host, and a real SSH server in place of its guests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.backends.hyperv import guest_roads
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.guest_access import MachineView
from pytest_hyperv.backends.hyperv.ssh_access import SshAccess
from pytest_hyperv.backends.hyperv.ssh_client import SshLogin
from pytest_hyperv.errors import GuestError
from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import MachineSpec
from tests.hvsim.creation import make_host
from tests.hvsim.host.options import HostOptions
from tests.unit.hyperv.ssh_server import SshServer, ssh_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """Its `date` sets no clock: it notes what it was asked for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "date").write_text(f'#!/bin/sh\necho "$@" >> {programs / "dates"}\n')
    (programs / "date").chmod(0o755)
    with ssh_server(tmp_path / "sshd", programs) as running:
        yield running


@pytest.fixture
def backend(tmp_path: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HypervBackend]:
    """Its guests are at this machine's server as soon as the simulated ones have told an address."""

    class Here(SshAccess):
        def __init__(self, machine: MachineView, login: SshLogin) -> None:
            told = machine.address
            view = replace(machine, address=lambda: "127.0.0.1" if told() else "")
            super().__init__(view, login, port=server.port)

    launcher = make_host(tmp_path / "host", HostOptions(edition="client"))
    monkeypatch.setenv("PATH", f"{launcher.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
    monkeypatch.setattr(guest_roads, "SshAccess", Here)
    backend = HypervBackend(tmp_path / "cache", HostAddress(), native=False)
    yield backend
    backend.close()


def test_a_linux_machine_is_made_used_reset_and_removed(
    backend: HypervBackend, server: SshServer, tmp_path: Path
) -> None:
    disk = tmp_path / "golden.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(disk), "64M"], check=True, timeout=60)
    facts = DiskFacts("linux", "ssh", f"key:{server.target.user}", secure_boot="uefi-ca")
    store = ImageStore(tmp_path / "cache" / "images")
    image = store.import_disk("linux", disk, facts, Silent(), ssh_key=server.key)
    state = tmp_path / "state"
    state.mkdir()
    backend.build_state(image, MachineSpec(image="linux", network="nat"), state, Silent())
    machine = backend.clone(state, "a test")
    try:
        folder = tmp_path / "cache" / "machines"
        assert machine.session.run(["echo", "up"]).stdout == "up\n"
        assert [path.read_text().split()[0] for path in folder.rglob("known_hosts")] == [machine.name]
        with pytest.raises(GuestError, match="no PowerShell"):
            _ = machine.powershell
        point = machine.checkpoint("point", memory=True)
        machine.restore(point)
        assert machine.session.run(["echo", "again"]).stdout == "again\n"
        assert machine.recycle()
        assert machine.session.run(["echo", "clean"]).stdout == "clean\n"
        machine.shutdown(60)
        assert machine.state is MachineState.OFF
        machine.start(60)
        assert machine.session.run(["true"])
    finally:
        machine.discard()
    asked = (tmp_path / "programs" / "dates").read_text().splitlines()
    assert len(asked) >= 3
    assert all(line.startswith("-u -s @") for line in asked)
    assert not list(folder.iterdir())
