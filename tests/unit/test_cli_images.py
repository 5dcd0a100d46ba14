"""The command line: ``images`` on real disks; ``setup`` with programs on PATH that record how they are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.cli import COMMANDS, main
from pytest_hyperv.cli.setup import PACKAGES
from pytest_hyperv.spec import MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk of 2 MiB."""
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(510) + b"\x55\xaa" + os.urandom(5000))
    os.truncate(path, 2 * MIB)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def imported(disk: Path, *options: str) -> dict[str, object]:
    told = run("images", "import", "mine", disk, *(options or ("--os", "linux")), "--json")
    assert told.exit_code == 0, told.output
    facts: dict[str, object] = json.loads(told.stdout)
    return facts


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    script = (
        "import sys; from pytest_hyperv.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not [name for name in sys.modules if name.startswith('pytest_hyperv.cli.') or name == 'rich']"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout
        assert run(name, "--help").exit_code == 0


def test_a_wrong_command_or_option_ends_with_2() -> None:
    assert run("imagse").exit_code == 2
    assert run("images", "import", "x", "y").exit_code == 2
    assert run("images", "list", "--nonsense").exit_code == 2


@pytest.mark.usefixtures("cache")
def test_an_error_is_one_paragraph_with_its_hint_and_ends_with_1() -> None:
    told = run("images", "export", "debian-12", "out.vhdx")
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: The image debian-12 has not been built on this machine yet.\nHint: Run: ")
    assert "Traceback" not in told.output


@pytest.mark.usefixtures("cache")
def test_import_list_verify_export_remove(disk: Path, tmp_path: Path) -> None:
    facts = imported(disk)
    assert (facts["os_family"], facts["guest_road"], facts["secure_boot"]) == ("linux", "agent", "off")

    listed = run("images", "list")
    assert "mine" in listed.stdout
    assert "not built yet" in listed.stdout
    assert json.loads(run("images", "list", "--json").stdout)[0]["digest"] == facts["digest"]

    assert run("images", "verify").stdout == "mine: whole\n"
    assert run("images", "export", "mine", tmp_path / "out.vhdx").exit_code == 0
    assert (tmp_path / "out.vhdx").read_bytes()[:8] == b"vhdxfile"
    assert run("images", "export", "mine", tmp_path / "out.disk").exit_code == 2

    assert run("images", "remove", "mine").stdout == "mine: removed\n"
    assert run("images", "verify", "mine").exit_code == 1


@pytest.mark.usefixtures("cache")
def test_a_windows_disk_gets_the_facts_windows_needs(disk: Path) -> None:
    facts = imported(disk, "--os", "windows", "--credentials", "env:LAB_ADMIN")
    assert facts["guest_road"] == "psdirect"
    assert facts["secure_boot"] == "windows"
    assert facts["powershell"] is True
    assert facts["credentials"] == "env:LAB_ADMIN"


@pytest.mark.usefixtures("cache")
def test_a_guest_reached_by_ssh_brings_its_key(disk: Path, tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("private")
    facts = imported(disk, "--os", "linux", "--road", "ssh", "--credentials", "key:root", "--ssh-key", str(key))
    assert (facts["guest_road"], facts["credentials"], facts["format"]) == ("ssh", "key:root", "vhdx")
    assert "private" not in str(facts)


@pytest.mark.usefixtures("cache")
def test_verify_tells_a_damaged_image_and_ends_with_1(disk: Path) -> None:
    kept = Path(str(imported(disk)["disk"]))
    kept.chmod(0o600)
    os.truncate(kept, kept.stat().st_size - 1)
    told = run("images", "verify", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["mine"]["whole"] is False


class FakeSystem:
    """A folder on PATH with a dpkg-query that knows some packages and an apt-get that records its argv."""

    def __init__(self, root: Path) -> None:
        self.programs = root / "bin"
        self.programs.mkdir()
        self.installed, self.calls = root / "installed", root / "calls"
        self.calls.touch()
        self.installed.touch()
        self.program("dpkg-query", f'while read -r name; do echo "$name installed"; done < {self.installed}')
        self.program("env", 'echo "env $1" >> ' + str(self.calls) + '\nshift\nexec "$@"')
        self.apt_get("")

    def program(self, name: str, script: str) -> None:
        """A program of that name, as a shell script."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    def apt_get(self, then: str) -> None:
        """An apt-get that records how it is called, and then does what the script says."""
        self.program("apt-get", f'echo "apt-get $*" >> {self.calls}\n{then}')

    def has(self, *names: str) -> None:
        """What dpkg-query knows as installed."""
        self.installed.write_text("".join(name + "\n" for name in names))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    system = FakeSystem(tmp_path)
    monkeypatch.setenv("PATH", str(system.programs))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return system


ALL = [package.name for package in PACKAGES]


def test_setup_with_everything_there_calls_no_apt_get(system: FakeSystem) -> None:
    system.has(*ALL)
    assert run("setup").exit_code == 0
    assert system.calls.read_text() == ""


def test_setup_takes_a_package_under_its_newer_name(system: FakeSystem) -> None:
    system.has(*(name for name in ALL if name != "libelf1"), "libelf1t64")
    assert run("setup", "--check").exit_code == 0


def test_setup_check_only_tells_what_is_missing_and_why(system: FakeSystem) -> None:
    system.has(*(name for name in ALL if name != "swtpm"))
    told = run("setup", "--check")
    assert told.exit_code == 1
    assert "swtpm: TPM 2.0" in told.stdout
    assert "ovmf" not in told.stdout
    assert system.calls.read_text() == ""


def test_setup_installs_what_is_missing_without_questions(system: FakeSystem) -> None:
    system.has(*(name for name in ALL if name not in ("swtpm", "ovmf")))
    system.apt_get(f'case "$*" in *install*) printf "%s\\n" {" ".join(ALL)} > {system.installed};; esac')
    told = run("setup")
    assert told.exit_code == 0, told.output
    options = "--quiet -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3"
    assert system.calls.read_text().splitlines() == [
        "env DEBIAN_FRONTEND=noninteractive",
        f"apt-get {options} update",
        "env DEBIAN_FRONTEND=noninteractive",
        f"apt-get {options} install --yes --no-install-recommends ovmf swtpm",
    ]


def test_setup_uses_sudo_when_not_root_and_says_so_when_there_is_none(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    told = run("setup")
    assert told.exit_code == 1
    assert "there is no sudo" in told.stderr
    system.program("sudo", f'echo "sudo $1" >> {system.calls}\nshift\nexec "$@"')
    run("setup")
    assert system.calls.read_text().startswith("sudo --non-interactive\nenv ")


def test_setup_tells_a_failing_apt_get_and_one_that_did_not_install(system: FakeSystem) -> None:
    told = run("setup")
    assert told.exit_code == 1
    assert "these packages are still not installed: qemu-system-x86" in told.stderr
    system.apt_get("exit 100")
    told = run("setup")
    assert told.exit_code == 1
    assert "apt-get update failed with status 100" in told.stderr


def test_setup_elsewhere_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = run("setup")
    assert told.exit_code == 1
    assert "neither Debian nor Ubuntu" in told.stderr
