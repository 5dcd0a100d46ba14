"""What a user sees when something is wrong: one paragraph that names the fix, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LeftOver = Callable[[], list[Path]]
A_TEST = "def test_it(hyperv_vm): hyperv_vm.run(['true']).check()"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def run(pytester: pytest.Pytester, cache: Path, *arguments: str) -> pytest.RunResult:
    """A run of its own on ``cache``."""
    return pytester.runpytest_subprocess(f"--hyperv-cache={cache}", "-p", "no:cacheprovider", *arguments)


@pytest.fixture
def copied_image(own_cache: Path) -> Path:
    """The cache with a copy of the image that a test may damage; returns the disk of the copy."""
    shared = (own_cache / "images").resolve()
    (own_cache / "images").unlink()
    shutil.copytree(shared, own_cache / "images", symlinks=True)
    return next((own_cache / "images" / "debian-12").glob("**/disk.qcow2"))


def test_an_unknown_image_is_named_with_those_there_are(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.hyperv(image='debian-21')\n" + A_TEST)
    result = run(pytester, own_cache)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ImageError: *'debian-21'*", "Hint: *debian-12*"])
    assert left_over() == []


def test_a_truncated_image_is_refused_before_any_machine_starts(
    pytester: pytest.Pytester, own_cache: Path, copied_image: Path, left_over: LeftOver
) -> None:
    copied_image.chmod(0o600)
    with copied_image.open("r+b") as disk:
        disk.truncate(copied_image.stat().st_size // 2)
    pytester.makepyfile(A_TEST)
    result = run(pytester, own_cache)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ImageError: *debian-12*", "Hint: *"])
    assert left_over() == []


def test_without_qemu_the_way_to_install_it_is_named(
    pytester: pytest.Pytester, own_cache: Path, monkeypatch: pytest.MonkeyPatch, left_over: LeftOver
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    pytester.makepyfile(A_TEST)
    result = run(pytester, own_cache)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["HostError: the program qemu-system-x86_64 is not installed*", "Hint: run `pytest-hyperv setup`*"]
    )
    assert left_over() == []


@needs_root
def test_without_firmware_the_way_to_install_it_is_named(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile(A_TEST)
    hide = 'mount -t tmpfs none /usr/share/qemu/firmware && exec "$@"'
    argv = [sys.executable, "-m", "pytest", f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider"]
    result = pytester.run("unshare", "--mount", "sh", "-c", hide, "sh", *argv)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["HostError: no UEFI firmware*", "Hint: run `pytest-hyperv setup`*"])
    assert left_over() == []


@needs_root
def test_a_full_disk_while_cloning_is_told_and_leaves_nothing(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile(A_TEST)
    machines = own_cache / "machines"
    machines.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(machines)], check=True)
    try:
        result = run(pytester, own_cache)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["HostError: *No space left on device", "Hint: free space*"])
        assert left_over() == []
    finally:
        subprocess.run(["umount", "--lazy", str(machines)], check=True)


@needs_root
def test_a_disk_that_fills_while_the_guest_writes_stops_it_with_the_reason(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile("def test_it(hyperv_vm): hyperv_vm.sh('head -c 60M /dev/urandom > /root/x; sync', timeout=120)")
    machines = own_cache / "machines"
    machines.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(machines)], check=True)
    try:
        result = run(pytester, own_cache)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*HostError: hyperv-* was stopped: no space is left on the host's disk"])
        assert left_over() == []
    finally:
        subprocess.run(["umount", "--lazy", str(machines)], check=True)


@needs_root
def test_a_cache_that_cannot_be_written_is_one_error_with_the_way_out(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    (own_cache / "machines").mkdir()
    pytester.makepyfile(A_TEST)
    seal = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    argv = [sys.executable, "-m", "pytest", f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider"]
    result = pytester.run("unshare", "--mount", "sh", "-c", seal, str(own_cache), *argv)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"SettingsError: The cache folder {own_cache} cannot be used: nothing can be written below it.", "Hint: Name*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert left_over() == []


def test_a_cache_with_a_path_longer_than_a_sockets_may_be_is_no_trouble(
    pytester: pytest.Pytester, own_cache: Path
) -> None:
    cache = own_cache.with_name("x" * 120)
    own_cache.rename(cache)
    pytester.makepyfile(A_TEST)
    run(pytester, cache).assert_outcomes(passed=1)
    assert [path for path in (cache / "machines").iterdir() if path.suffix != ".lock"] == []


def test_two_runs_at_once_on_one_cache_do_not_meet(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(3))\n"
        "def test_it(hyperv_vm, n):\n"
        "    assert not hyperv_vm.run(['ls', '/root/mark'])\n"
        "    hyperv_vm.write_text('/root/mark', 'x')\n"
    )
    argv = [sys.executable, "-m", "pytest", f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider"]
    runs = [
        subprocess.Popen([*argv, f"--basetemp={pytester.path / str(n)}"], cwd=pytester.path, stdout=subprocess.PIPE)
        for n in range(2)
    ]
    for process in runs:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
        assert b"3 passed" in said
    assert left_over() == []
