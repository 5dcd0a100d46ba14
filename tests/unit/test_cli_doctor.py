"""The command line: ``doctor``, where there is nothing, where QEMU is, and where a host cannot be reached."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.backends.qemu import tools
from pytest_hyperv.capabilities import NAMES
from pytest_hyperv.cli import main

HIDDEN = "hunter2"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what it finds elsewhere depends on the machine")


@pytest.fixture(autouse=True)
def nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, a cache of its own, a Linux that is no WSL."""
    for name in (
        "PYTEST_HYPERV_HOST",
        "PYTEST_HYPERV_INVENTORY",
        "PYTEST_HYPERV_HOST_PASSWORD",
        "PYTEST_HYPERV_POWERSHELL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("platform.release", lambda: "6.1.0-18-amd64")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    tools.program.cache_clear()
    return folder


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def read(result: Result) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.mark.usefixtures("bare")
def test_where_nothing_can_run_both_backends_say_why_and_the_status_is_1() -> None:
    told = doctor()
    assert told.exit_code == 1
    hyperv, qemu = told.stdout.split("\n\n")
    assert hyperv.startswith("hyperv: cannot run machines\n  this Linux is no Hyper-V host")
    assert "\n  fix: Name a host: --hyperv-host winrm://user@host" in hyperv
    assert qemu.startswith("qemu: cannot run machines\n")
    assert "\n  fix: " in qemu


@pytest.mark.usefixtures("bare")
def test_a_program_gets_the_same_in_facts() -> None:
    told = doctor("--json")
    assert told.exit_code == 1
    facts = read(told)
    assert facts["usable"] is False
    hyperv, qemu = facts["backends"]
    assert (hyperv["backend"], qemu["backend"]) == ("hyperv", "qemu")
    for one in (hyperv, qemu):
        assert set(one) == {
            *("backend", "host", "usable", "summary", "reason", "fix"),
            *("facts", "details", "prerequisites", "capabilities"),
        }
        assert one["usable"] is False
        assert one["reason"]
        assert one["fix"]
        assert one["facts"] is None


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="QEMU is not installed")
def test_where_qemu_runs_the_status_is_0_unless_hyperv_alone_was_asked() -> None:
    told = doctor("--backend", "qemu", "--json")
    assert told.exit_code == 0, told.output
    (qemu,) = read(told)["backends"]
    assert qemu["usable"] is True
    assert qemu["facts"]["os"] == "linux"
    assert qemu["facts"]["memory"] > 0
    assert set(qemu["capabilities"]) <= set(NAMES)
    for found in qemu["capabilities"].values():
        assert found["available"] or found["reason"]
    assert read(doctor("--json"))["usable"] is True
    assert doctor("--backend", "hyperv").exit_code == 1
    assert doctor("--host", "local").exit_code == 1


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="QEMU is not installed")
def test_people_get_yes_and_no_with_reasons() -> None:
    lines = doctor("--backend", "qemu").stdout.splitlines()
    assert lines[0] == "qemu: can run machines"
    assert lines[1].startswith("  QEMU ")
    assert " GiB of memory, " in lines[2]
    assert any(line.split()[:2] == ["yes", "uefi"] for line in lines)
    assert any(line.split(maxsplit=2)[:2] == ["NO", "sr-iov"] and "SR-IOV" in line for line in lines)


def test_a_host_alone_is_looked_at_when_it_is_named(bare: Path) -> None:
    told = doctor("--host", "ssh://tester@hv01")
    assert told.exit_code == 1
    assert told.stdout.startswith("hyperv on ssh://tester@hv01: cannot run machines\n")
    assert "qemu" not in told.stdout
    ssh = bare / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2; exit 255\n")
    ssh.chmod(0o755)
    told = doctor("--host", "ssh://tester@hv01")
    assert "hv01 refused the account: " in told.stdout
    assert "\n  fix: SSH asks for no password here" in told.stdout


@pytest.mark.usefixtures("bare")
def test_the_host_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_HOST", "ssh://tester@hv02")
    assert [one["host"] for one in read(doctor("--json"))["backends"]] == ["ssh://tester@hv02", "local"]


@pytest.mark.usefixtures("bare")
def test_a_host_without_a_password_names_the_variable() -> None:
    told = doctor("--host", "winrm://tester@hv01")
    assert told.exit_code == 1
    assert "No password is known for tester on hv01" in told.stdout
    assert "PYTEST_HYPERV_HOST_PASSWORD" in told.stdout


@pytest.mark.parametrize("text", [f"winrm://admin:{HIDDEN}@hv01", HIDDEN])
def test_what_is_no_address_is_wrong_use(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = doctor("--host", text)
    assert told.exit_code == 2
    assert "The address of a host" in told.stderr
    assert HIDDEN not in told.output
    monkeypatch.setenv("PYTEST_HYPERV_HOST", text)
    assert doctor().exit_code == 2
    assert doctor("--backend", "vmware").exit_code == 2


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A file of two hosts that cannot be reached."""
    path = tmp_path / "hosts.toml"
    path.write_text(
        """
        [hosts.hv01]
        address = "ssh://tester@hv01"
        tags = ["gpu", "fast"]
        limits = { memory = "8GiB", vms = 4 }

        [hosts.here]
        backend = "qemu"
        """
    )
    return path


@pytest.mark.usefixtures("bare")
def test_every_host_of_an_inventory_is_looked_at(inventory: Path) -> None:
    told = doctor("--inventory", str(inventory))
    assert told.exit_code == 1
    first, second = told.stdout.split("\n\n")
    assert first.startswith(
        "[hv01] tags fast, gpu; limits memory=8192MiB,vms=4\nhyperv on ssh://tester@hv01: cannot run"
    )
    assert second.startswith("[here]\nqemu: cannot run machines\n")


@pytest.mark.usefixtures("bare")
def test_a_program_gets_every_host_with_its_name(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_INVENTORY", str(inventory))
    hosts = read(doctor("--json"))["hosts"]
    assert [(host["name"], host["backend"], host["host"]) for host in hosts] == [
        ("hv01", "hyperv", "ssh://tester@hv01"),
        ("here", "qemu", "local"),
    ]
    assert hosts[0]["tags"] == ["fast", "gpu"]
    assert hosts[0]["limits"] == {"memory": 8 * 2**30, "cpus": None, "vms": 4}
    assert [host["name"] for host in read(doctor("--json", "--host", "here"))["hosts"]] == ["here"]
    assert [host["name"] for host in read(doctor("--json", "--backend", "hyperv"))["hosts"]] == ["hv01"]


@pytest.mark.usefixtures("bare")
def test_an_inventory_that_is_wrong_is_wrong_use(inventory: Path) -> None:
    assert doctor("--inventory", str(inventory), "--host", "here", "--backend", "hyperv").exit_code == 2
    assert doctor("--inventory", str(inventory), "--host", "hv99").exit_code == 2
    inventory.write_text("[hosts.a]\naddress = 'nowhere'")
    told = doctor("--inventory", str(inventory))
    assert told.exit_code == 2
    assert "hosts.a.address" in told.stderr
