"""A Debian package, tested as its users meet it: installed, upgraded, removed and purged, each from a clean machine.

The folder ``greeter`` is the package as dpkg-deb takes it; ``@VERSION@`` stands for its version.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine

SOURCE = Path(__file__).parent / "greeter"
CONFIGURATION = "/etc/greeter.conf"
SAID = "/run/greeter/said"
BOOKS = (" /var/lib/dpkg/", " /var/log/")
"""Where dpkg and systemd write down what they did; a package leaves nothing there."""


def build_package(version: str, folder: Path) -> Path:
    """Build ``greeter_VERSION_all.deb`` in ``folder``, owned by root throughout, without being root."""
    tree = folder / version
    shutil.copytree(SOURCE, tree)
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        if path.is_file():
            path.write_text(path.read_text().replace("@VERSION@", version))
    package = folder / f"greeter_{version}_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return package


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The package in versions 1.0 and 1.1."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is needed to build the packages; it is in the package dpkg of most systems")
    folder = tmp_path_factory.mktemp("packages")
    return [build_package(version, folder) for version in ("1.0", "1.1")]


@pytest.fixture
def vm(hyperv_vm: VirtualMachine, packages: list[Path]) -> VirtualMachine:
    """The test's machine, both packages lying in /srv."""
    for package in packages:
        hyperv_vm.copy_in(package, "/srv/")
    return hyperv_vm


def install(vm: VirtualMachine, version: str) -> None:
    vm.run(["dpkg", "--install", "--force-confdef", "--force-confold", f"/srv/greeter_{version}_all.deb"]).check()


def listing(vm: VirtualMachine) -> set[str]:
    """Each file of the root file system in a line: kind, mode, owner, size (not of folders), path, target of a link."""
    folders = ["-type", "d", "-printf", "%y %m %U:%G - %p\\n"]
    others = ["-not", "-type", "d", "-printf", "%y %m %U:%G %s %p %l\\n"]
    found = vm.run(["find", "/", "-xdev", *folders, "-o", *others]).check()
    return {line for line in found.stdout.splitlines() if not any(book in line for book in BOOKS)}


def test_install_puts_files_in_place_and_starts_the_service(vm: VirtualMachine) -> None:
    install(vm, "1.0")
    assert vm.run(["systemctl", "is-active", "greeter"]).stdout == "active\n"
    assert vm.run(["systemctl", "is-enabled", "greeter"]).stdout == "enabled\n"
    vm.wait_for_file(SAID, timeout=10)
    assert vm.read_text(SAID) == "hello, world, says greeter 1.0\n"
    facts = vm.run(["stat", "--format=%A %U:%G %n", "/usr/bin/greeter", CONFIGURATION]).check()
    assert facts.stdout == "-rwxr-xr-x root:root /usr/bin/greeter\n-rw-r--r-- root:root /etc/greeter.conf\n"


def test_upgrade_restarts_the_service_and_keeps_data(vm: VirtualMachine) -> None:
    install(vm, "1.0")
    install(vm, "1.1")
    vm.wait_until_succeeds(["grep", "-q", "hello, world, says greeter 1.1", SAID], timeout=10)
    assert vm.read_text("/var/lib/greeter/history") == "none -> 1.0\n1.0 -> 1.1\n"
    assert "What greeter 1.1 says" in vm.read_text(CONFIGURATION), "nobody changed it, so the new one replaces it"


def test_upgrade_keeps_a_changed_configuration(vm: VirtualMachine) -> None:
    install(vm, "1.0")
    vm.write_text(CONFIGURATION, "GREETING=welcome\nNAME=Ada\n")
    install(vm, "1.1")
    assert vm.read_text(CONFIGURATION) == "GREETING=welcome\nNAME=Ada\n"
    assert "What greeter 1.1 says" in vm.read_text(f"{CONFIGURATION}.dpkg-dist")
    vm.wait_until_succeeds(["grep", "-q", "welcome, Ada, says greeter 1.1", SAID], timeout=10)


def test_remove_keeps_configuration_and_data(vm: VirtualMachine) -> None:
    install(vm, "1.0")
    vm.run(["dpkg", "--remove", "greeter"]).check()
    assert vm.run(["systemctl", "is-active", "greeter"]).stdout == "inactive\n"
    for gone in ("/usr/bin/greeter", SAID):
        assert not vm.run(["test", "-e", gone])
    assert "NAME=world" in vm.read_text(CONFIGURATION)
    assert vm.read_text("/var/lib/greeter/history") == "none -> 1.0\n"


def test_purge_leaves_nothing_behind(vm: VirtualMachine) -> None:
    before = listing(vm)
    install(vm, "1.0")
    assert listing(vm) > before, "the package added files and changed none that were there"
    installed = vm.checkpoint("installed")
    for upgraded in (False, True):
        vm.restore(installed)
        if upgraded:
            install(vm, "1.1")
        vm.run(["dpkg", "--purge", "greeter"]).check()
        changed = sorted(listing(vm) ^ before)
        assert not changed, "\n".join([f"left behind or changed, {upgraded=}:", *changed])
    assert [child.name for child in vm.checkpoints.root.children] == ["installed"]
