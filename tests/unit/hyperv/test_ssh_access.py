"""The way into a Linux guest: its address as Hyper-V tells it, the account of its image, and what must be there."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from pytest_hyperv.backends.hyperv.credentials import guest_login
from pytest_hyperv.backends.hyperv.guest_access import MachineView, PowerShellAccess
from pytest_hyperv.backends.hyperv.guest_roads import access_to
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.saved_state import SavedState, key_of
from pytest_hyperv.backends.hyperv.ssh_access import SshAccess
from pytest_hyperv.backends.hyperv.ssh_client import SshLogin
from pytest_hyperv.errors import (
    AccessDenied,
    BootTimeout,
    CapabilityMissing,
    GuestCrashed,
    GuestError,
    SessionLost,
    SettingsError,
)
from pytest_hyperv.spec import Image, MachineSpec
from tests.unit.hyperv.ssh_server import SshServer, make_key, ssh_server

NO_HOST = cast(HypervHost, None)
"""For what asks no host."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


class Machine:
    """A machine whose address is what a test says; it dies when it is told to."""

    def __init__(self, folder: Path, *addresses: str) -> None:
        self.addresses, self.asked, self.dead = list(addresses), 0, False
        self.view = MachineView(uuid4(), "machine-1", folder, self.address, self.watch, lambda lost: lost)

    def address(self) -> str:
        self.asked += 1
        return self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]

    def watch(self) -> None:
        if self.dead or self.asked > 100:
            raise GuestCrashed("it is dead")


def access(machine: Machine, server: SshServer, key: Path | None = None) -> SshAccess:
    return SshAccess(machine.view, SshLogin(server.target.user, key or server.key), port=server.port)


def test_a_guest_is_ready_once_it_told_an_address_that_takes_commands(server: SshServer, tmp_path: Path) -> None:
    machine = Machine(tmp_path, "", "", "127.0.0.1")
    way = access(machine, server)
    way.open(60, booting=True)
    assert machine.asked == 3
    assert way.session.run(["echo", "here"]).stdout == "here\n"
    assert machine.asked == 3, "a command asks the host for nothing"
    assert (tmp_path / "known_hosts").read_text().startswith("machine-1 ssh-ed25519 ")


def test_each_life_of_the_guest_is_found_anew(server: SshServer, tmp_path: Path) -> None:
    machine = Machine(tmp_path, "127.0.0.1", "")
    way = access(machine, server)
    assert way.session.run(["true"])
    process = way.session.spawn(["sleep", "300"])
    way.drop()
    with pytest.raises(SessionLost, match="closed"):
        process.wait(30)
    way.open(60, booting=False)
    assert machine.asked == 2, "a restored guest is tried at its last address while its host knows none"
    way.close()
    way.close()


def test_a_guest_that_tells_no_address_is_told_so(server: SshServer, tmp_path: Path) -> None:
    with pytest.raises(BootTimeout, match="told no network address"):
        access(Machine(tmp_path, ""), server).open(0.5, booting=True)


def test_a_guest_that_takes_no_connection_is_told_so(server: SshServer, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        way = SshAccess(Machine(tmp_path, "127.0.0.1").view, SshLogin("root", server.key), port=taken.getsockname()[1])
        with pytest.raises(BootTimeout, match=r"took no SSH connection.*refused"):
            way.open(1, booting=True)


def test_nobody_waits_for_a_dead_machine(server: SshServer, tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    machine.dead = True
    with pytest.raises(GuestCrashed):
        access(machine, server).open(60, booting=True)


def test_a_key_that_the_guest_does_not_know_is_refused_at_once(server: SshServer, tmp_path: Path) -> None:
    way = access(Machine(tmp_path, "127.0.0.1"), server, make_key(tmp_path / "other"))
    with pytest.raises(AccessDenied, match="refused the key"):
        way.open(60, booting=False)


def test_such_a_guest_has_no_powershell(server: SshServer, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="no PowerShell"):
        _ = access(Machine(tmp_path, ""), server).powershell


def state(**other: Any) -> SavedState:
    usual = SavedState(
        host="local",
        folder="C:\\s",
        disk="C:\\s\\state.vhdx",
        spec=MachineSpec(network="nat"),
        image="debian-12-hyperv",
        os_family="linux",
        guest_road="ssh",
        credentials="key:root",
        key="/images/ssh_key",
    )
    return replace(usual, **other)


def test_the_road_of_the_image_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROAD_TEST", "user:password")
    view = Machine(tmp_path, "").view
    assert isinstance(access_to(state(), NO_HOST, native=False)(view), SshAccess)
    winrm = state(guest_road="winrm", credentials="env:ROAD_TEST")
    assert isinstance(access_to(winrm, NO_HOST, native=False)(view), PowerShellAccess)
    with pytest.raises(CapabilityMissing, match="no such road"):
        access_to(state(guest_road="agent"), NO_HOST, native=False)


@pytest.mark.parametrize("network", ["none", "private"])
@pytest.mark.parametrize("road", ["ssh", "winrm"])
def test_a_road_over_a_network_needs_one(network: str, road: str) -> None:
    with pytest.raises(CapabilityMissing, match="over a network"):
        access_to(state(guest_road=road, spec=MachineSpec(network=network)), NO_HOST, native=False)


def test_the_account_is_the_one_the_images_key_opens() -> None:
    assert guest_login("key:root", "i", "/k") == SshLogin("root", Path("/k"))
    for reference, key in (("env:NAME", "/k"), ("key:", "/k"), ("key:root", ""), ("", "/k")):
        with pytest.raises(SettingsError, match="whose key"):
            guest_login(reference, "i", key)


def test_a_state_keeps_the_key_to_its_guests_for_itself(tmp_path: Path) -> None:
    image = Image("i", tmp_path, "sha256:0", 1, "linux", "ssh", "key:root", "uefi-ca", False, "", "2026-01-01", "vhdx")
    assert key_of(image) == ""
    image.ssh_key.write_text("the key")
    folder = tmp_path / "state"
    folder.mkdir()
    state(key=key_of(image)).write(folder)
    image.ssh_key.unlink()
    read = SavedState.read(folder)
    assert read == state(key=str(folder / "ssh_key"))
    assert Path(read.key).read_text() == "the key"
    assert stat.S_IMODE(Path(read.key).stat().st_mode) == 0o600
    assert "the key" not in (folder / "hyperv.json").read_text()


def test_a_state_without_a_key_has_none(tmp_path: Path) -> None:
    plain = state(guest_road="psdirect", os_family="windows", credentials="env:GUEST", key="")
    plain.write(tmp_path)
    assert SavedState.read(tmp_path) == plain
