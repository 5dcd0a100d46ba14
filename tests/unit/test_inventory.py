"""The file of hosts: what it says, what is wrong with it, and which hosts a run may use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.inventory import Host, read_inventory
from pytest_hyperv.leases import Limits
from pytest_hyperv.settings import Settings, resolve
from pytest_hyperv.spec import GIB

Write = Callable[[str], Path]
TWO = """
[hosts.hv01]
address = 'winrm://LAB\\admin@hv01/?verify=yes'
tags = ["gpu", "fast"]
limits = { memory = "64GiB", cpus = 16, vms = 12 }

[hosts.here]
backend = "qemu"
limits = { vms = 2 }
"""
HIDDEN = "hunter2"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an inventory."""

    def put(text: str) -> Path:
        path = tmp_path / "hosts.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def resolved(path: Path, **line: str) -> Settings:
    """The settings of a run with this inventory and these options."""
    lines = {f"hyperv_{name}": value for name, value in {"inventory": str(path), **line}.items()}
    return resolve(lines.get, {}, lambda _: "")


def names(settings: Settings) -> list[str]:
    return [host.name for host in settings.hosts]


def test_everything_said_of_a_host_is_read(write: Write) -> None:
    assert read_inventory(write(TWO)) == (
        Host("hv01", "winrm://LAB\\admin@hv01", "hyperv", frozenset({"gpu", "fast"}), Limits(64 * GIB, 16, 12)),
        Host("here", "local", "qemu", frozenset(), Limits(vms=2)),
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "hosts names no host"),
        ("[hosts]", "hosts names no host"),
        ("[machines.a]", "machines is unknown"),
        ("[hosts]\na = 'local'", "hosts.a is no table"),
        ("[hosts.'a b']\naddress='local'", "hosts.a b is no name"),
        ("[hosts.a]\nadress = 'local'", "hosts.a.adress is unknown"),
        ("[hosts.a]", "hosts.a.address cannot be used"),
        ("[hosts.a]\naddress = 5", "hosts.a.address is no text"),
        ("[hosts.a]\naddress = 'telnet://a'", "hosts.a.address cannot be used"),
        ("[hosts.a]\nbackend = 'vmware'", "hosts.a.backend is none of hyperv, qemu"),
        ("[hosts.a]\nbackend = 'qemu'\naddress = 'ssh://b'", "hosts.a.address cannot be used"),
        ("[hosts.a]\naddress = 'local'\ntags = 'gpu'", "hosts.a.tags is no list"),
        ("[hosts.a]\naddress = 'local'\ntags = ['a b']", "hosts.a.tags is no list"),
        ("[hosts.a]\naddress = 'local'\nlimits = 3", "hosts.a.limits is no table"),
        ("[hosts.a]\naddress = 'local'\nlimits = {ram = 1}", "hosts.a.limits.ram is unknown"),
        ("[hosts.a]\naddress = 'local'\nlimits = {vms = 0}", "hosts.a.limits.vms cannot be used"),
        ("[hosts.a]\naddress = 'local'\nlimits = {vms = true}", "hosts.a.limits.vms cannot be used"),
        ("[hosts.a]\naddress = 'local'\nlimits = {memory = 'lots'}", "hosts.a.limits.memory cannot be used"),
        ("[hosts.a]\naddress='ssh://x'\n[hosts.b]\naddress='ssh://x'", "hosts.b has the address of hosts.a"),
        ("hosts = ", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_naming_it_and_the_key(write: Write, text: str, key: str) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as refused:
        resolved(path)
    assert refused.value.message.startswith("--hyperv-inventory (command line): the inventory ")
    assert str(path) in refused.value.message
    assert key in refused.value.message
    assert refused.value.hint or "limits" in key


@pytest.mark.parametrize(
    "text",
    [
        f"[hosts.a]\naddress = 'winrm://admin:{HIDDEN}@a'",
        f"[hosts.a]\naddress = 'local'\npassword = '{HIDDEN}'",
        f"[hosts.a]\naddress = 'local'\nlimits = {{ Passwd = '{HIDDEN}' }}",
        f"[hosts.a.credentials]\nuser = '{HIDDEN}'",
    ],
)
def test_a_password_is_refused_without_repeating_it(write: Write, text: str) -> None:
    with pytest.raises(SettingsError, match="password") as refused:
        read_inventory(write(text))
    assert HIDDEN not in str(refused.value)
    assert "PYTEST_HYPERV_HOST_PASSWORD" in refused.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read") as refused:
        resolved(tmp_path / "nowhere.toml")
    assert "[hosts.NAME]" in refused.value.hint


def test_without_a_name_all_hosts_may_be_used_and_with_one_only_that(write: Write) -> None:
    path = write(TWO)
    assert names(resolved(path)) == ["hv01", "here"]
    assert names(resolved(path, host="here")) == ["here"]
    assert names(resolved(path, host="hv01", backend="hyperv")) == ["hv01"]


def test_an_address_is_taken_beside_names_and_is_the_host_of_that_address(write: Write) -> None:
    path = write(TWO)
    assert resolved(path, host="winrm://LAB\\admin@hv01").hosts[0].limits.vms == 12
    assert resolved(path, host="ssh://other").hosts == (Host("ssh://other", "ssh://other"),)


def test_a_name_that_is_not_in_the_inventory_is_refused_with_those_that_are(write: Write) -> None:
    with pytest.raises(SettingsError, match=r"^--hyperv-host \(command line\): The inventory") as refused:
        resolved(write(TWO), host="hv02")
    assert "hv01, here" in refused.value.hint


def test_a_name_needs_an_inventory() -> None:
    with pytest.raises(SettingsError, match=r"--hyperv-host .* no inventory gives it a name"):
        resolve({"hyperv_host": "hv01"}.get, {}, lambda _: "")


def test_a_host_of_another_backend_than_the_one_chosen_is_refused(write: Write) -> None:
    with pytest.raises(SettingsError, match="here is a host of qemu, not of hyperv"):
        resolved(write(TWO), host="here", backend="hyperv")
