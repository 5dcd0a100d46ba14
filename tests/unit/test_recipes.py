"""What the recipe of the golden image is made of, as far as it shows without building one."""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_hyperv.progress import Task
from pytest_hyperv.recipes import debian, ssh_server
from pytest_hyperv.recipes.guest_files import guest_tree
from pytest_hyperv.recipes.kbuild import pack_kbuild


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("PYTEST_HYPERV_MIRROR", raising=False)
    return folder


TRUSTED: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
"""Extraction of archives made here; Python before 3.11.4 has no filters."""


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o700)


def test_a_debian_12_host_gives_its_own_mirrors_and_nothing_else_it_uses(programs: Path) -> None:
    program(
        programs,
        "apt-get",
        "printf '%s\\n' 'http://near/debian/ bookworm main' 'http://near/debian/ bookworm contrib' "
        "'http://near/security/ bookworm-security main' 'http://vendor/apt stable main' "
        "'http://near/debian/ bookworm main'",
    )
    assert debian._mirrors() == [
        "deb http://near/debian/ bookworm main",
        "deb http://near/security/ bookworm-security main",
    ]


def test_another_host_takes_debians_own_mirror(programs: Path) -> None:
    program(programs, "apt-get", "echo 'http://archive.example/ubuntu noble main'")
    assert debian._mirrors() == [
        "deb http://deb.debian.org/debian bookworm main",
        "deb http://deb.debian.org/debian bookworm-updates main",
        "deb http://deb.debian.org/debian-security bookworm-security main",
    ]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("named", "security"),
    [("http://m/debian/", "http://m/debian-security"), ("http://m/debian http://s/sec", "http://s/sec")],
)
def test_a_named_mirror_wins(monkeypatch: pytest.MonkeyPatch, named: str, security: str) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_MIRROR", named)
    assert debian._mirrors() == [
        "deb http://m/debian bookworm main",
        "deb http://m/debian bookworm-updates main",
        f"deb {security} bookworm-security main",
    ]


def test_the_hosts_way_of_fetching_is_kept_and_the_rest_of_its_apt_is_not(programs: Path) -> None:
    program(
        programs,
        "apt-config",
        """printf '%s\\n' 'Acquire::http::Proxy "http://user:word@proxy:3128";' 'APT::Install-Recommends "1";' """
        """'Acquire::Check-Valid-Until "false";' 'DPkg::Post-Invoke:: "rm -rf /";'""",
    )
    settings = debian._apt_settings()
    assert 'Acquire::http::Proxy "http://user:word@proxy:3128";' in settings
    assert 'Acquire::Check-Valid-Until "false";' in settings
    assert "Post-Invoke" not in settings
    assert "Recommends" not in settings


def test_the_guests_files_belong_to_root_and_stay_inside(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(guest_tree())) as tree:
        entries = tree.getmembers()
    assert {(entry.uid, entry.gid) for entry in entries} == {(0, 0)}
    assert not [entry.name for entry in entries if entry.name.startswith("/") or ".." in entry.name]
    assert len({entry.name for entry in entries}) == len(entries)
    login = next(entry for entry in entries if entry.name.endswith("console-login"))
    assert login.mode == 0o755
    with tarfile.open(fileobj=io.BytesIO(guest_tree())) as tree:
        tree.extractall(tmp_path, **TRUSTED)
    subprocess.run(["sh", "-n", str(tmp_path / "usr/local/sbin/console-login")], check=True, timeout=30)


def headers(folder: Path, package: str, files: dict[str, str]) -> None:
    """Build a small package of that name with the real dpkg-deb."""
    tree = folder / package
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "DEBIAN").mkdir()
    control = (
        f"Package: {package}\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody <n@example.org>\nDescription: x\n"
    )
    (tree / "DEBIAN/control").write_text(control)
    command = ["dpkg-deb", "--build", str(tree), str(folder / f"{package}_1_amd64.deb")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_the_build_tree_is_packed_without_other_processors_and_works_from_any_folder(tmp_path: Path) -> None:
    own, shared = "usr/src/linux-headers-6.1.0-9-cloud-amd64", "usr/src/linux-headers-6.1.0-9-common"
    headers(
        tmp_path,
        "linux-headers-6.1.0-9-cloud-amd64",
        {
            f"{own}/Makefile": f"include /{shared}/Makefile\n",
            f"{own}/.kernelvariables": "override ARCH = x86\nCC = $(CROSS_COMPILE)gcc-12\nX = 1\n",
            f"{own}/include/config/auto.conf": "CONFIG_X=y\n",
            f"{own}/include/config/X": "",
            "usr/share/doc/linux-headers/copyright": "text",
        },
    )
    headers(
        tmp_path,
        "linux-headers-6.1.0-9-common",
        {
            f"{shared}/Makefile": "all:\n\t@echo built with $(ARCH)\ninclude .kernelvariables\n",
            f"{shared}/arch/x86/Makefile": "",
            f"{shared}/arch/arm64/Makefile": "",
        },
    )
    pack_kbuild(tmp_path, tmp_path / "kbuild.tar", kernel="6.1.0-9-cloud-amd64", image="debian-12")
    away = tmp_path / "away"
    with tarfile.open(tmp_path / "kbuild.tar") as packed:
        names = packed.getnames()
        packed.extractall(away, **TRUSTED)
    assert f"{own}/include/config/auto.conf" in names
    assert not [name for name in names if "arm64" in name or "share" in name or name.endswith("config/X")]
    assert "gcc-12,gcc)" in (away / own / ".kernelvariables").read_text()
    done = subprocess.run(
        ["make", "-s", "-C", str(away / "build")], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "built with x86\n"


def test_the_image_for_hyperv_is_the_same_with_a_server_that_one_key_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[debian._Flavour] = []

    def build(flavour: debian._Flavour, folder: Path, task: Task) -> debian.Built:  # noqa: ARG001
        asked.append(flavour)
        return debian.Built(folder / "disk.raw", 1, "6.1.0-9")

    monkeypatch.setattr(debian, "_build", build)
    nobody = cast(Task, None)
    plain, built = debian.build(tmp_path, nobody), debian.build_for_hyperv(tmp_path, nobody)
    assert (plain.guest_road, plain.credentials) == ("agent", "")
    assert (built.guest_road, built.credentials) == ("ssh", "key:root")
    assert (asked[0].packages, asked[0].files, asked[0].hooks) == ((), {}, ())
    assert asked[1].packages == ("openssh-server",)
    assert asked[1].hooks == (ssh_server.NO_HOST_KEYS,)
    key = tmp_path / "ssh_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    told = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], check=True, capture_output=True, text=True, timeout=30)
    assert asked[1].files["root/.ssh/authorized_keys"].split()[:2] == told.stdout.split()[:2]
    assert [path.name for path in tmp_path.iterdir()] == ["ssh_key"]


def test_the_server_of_the_image_takes_a_key_and_no_password(tmp_path: Path) -> None:
    sshd = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin")
    if sshd is None:
        pytest.skip("there is no OpenSSH server here (Debian: openssh-server)")
    ssh_server.make_key(tmp_path / "host_key", image="test")
    settings = ssh_server.server_files("ssh-ed25519 AAAA")["etc/ssh/sshd_config.d/golden.conf"]
    config = tmp_path / "config"
    config.write_text(settings.replace(ssh_server.HOST_KEY, str(tmp_path / "host_key")))
    told = subprocess.run(
        [sshd, "-T", "-f", str(config)], check=True, capture_output=True, text=True, timeout=30
    ).stdout.splitlines()
    assert {
        "permitrootlogin without-password",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "pubkeyauthentication yes",
    } <= set(told)
