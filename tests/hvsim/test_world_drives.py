"""Paths of the simulated host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.host.drives import Drives
from tests.hvsim.host.failures import HostFailure


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    return Drives(tmp_path)


def test_a_path_is_found_in_any_case_and_with_either_separator(drives: Drives) -> None:
    real = drives.resolve(r"C:\Store\Disk.vhdx")
    real.parent.mkdir()
    real.write_bytes(b"x")
    assert drives.resolve("c:/STORE/disk.VHDX") == real
    assert drives.key("c:/STORE/disk.VHDX") == drives.key(r"C:\Store\Disk.vhdx")


def test_a_real_file_has_its_windows_path(drives: Drives) -> None:
    assert drives.windows(drives.resolve(r"C:\a\b.txt")) == r"C:\a\b.txt"


def test_dots_are_resolved_within_the_drive(drives: Drives) -> None:
    assert drives.normal(r"c:\a\.\b\..\c" + "\\") == r"C:\a\c"


@pytest.mark.parametrize(
    "path",
    [r"C:\..\secret", r"C:\a\..\..\b", "relative.txt", r"C:relative", r"\\server\share\x", "C:\\a\x00b", "C:\\a|b"],
)
def test_a_path_that_leaves_its_drive_or_cannot_be_is_refused(drives: Drives, path: str) -> None:
    with pytest.raises(HostFailure) as refused:
        drives.resolve(path)
    assert refused.value.category == "InvalidArgument"


def test_a_drive_that_the_host_does_not_have_is_refused(drives: Drives) -> None:
    with pytest.raises(HostFailure, match="Cannot find drive"):
        drives.resolve(r"Q:\x")


def test_files_below_a_folder_are_listed_at_every_depth(drives: Drives) -> None:
    for path in (r"C:\s\1", r"C:\s\deep\2", r"C:\other\3"):
        drives.resolve(path).parent.mkdir(parents=True, exist_ok=True)
        drives.resolve(path).write_bytes(b"")
    assert [drives.windows(file) for file in drives.files_below("c:\\S")] == [r"C:\s\1", r"C:\s\deep\2"]
