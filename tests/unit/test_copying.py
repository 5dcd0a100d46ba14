"""Where a copied file or folder ends up, by the rules of ``cp -r``."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.copying import copy_in, copy_out
from pytest_hyperv.errors import CopyError, SessionLost
from tests.local_guest import LocalSession

pytestmark = pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The host's side: a file and a folder."""
    host = tmp_path / "host"
    (host / "folder/inner").mkdir(parents=True)
    (host / "folder/inner/deep").write_bytes(b"deep")
    (host / "file").write_bytes(bytes(range(256)) * 9000)
    (host / "file").chmod(0o750)
    return host


@pytest.fixture
def guest(tmp_path: Path) -> LocalSession:
    """The guest's side: a folder that exists, a file, and links to both."""
    root = tmp_path / "guest"
    (root / "there/inner").mkdir(parents=True)
    (root / "there/inner/deep").write_bytes(b"of the guest")
    (root / "note").write_bytes(b"\0note\r\n")
    (root / "to-folder").symlink_to("there")
    (root / "to-file").symlink_to("note")
    return LocalSession(root)


@pytest.mark.parametrize(
    ("target", "becomes"),
    [("new", "new"), ("there", "there/file"), ("there/", "there/file"), ("a/b/", "a/b/file"), ("note", "note")],
)
def test_a_file_goes_into_a_folder_and_onto_anything_else(
    host: Path, guest: LocalSession, target: str, becomes: str
) -> None:
    copy_in(guest, host / "file", target, 30)
    arrived = guest.root / becomes
    assert arrived.read_bytes() == (host / "file").read_bytes()
    assert arrived.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("target", "becomes"), [("new", "new"), ("a/b", "a/b"), ("there", "there/folder"), ("there/", "there/folder")]
)
def test_a_folder_goes_into_a_folder_or_becomes_a_new_one(
    host: Path, guest: LocalSession, target: str, becomes: str
) -> None:
    copy_in(guest, host / "folder", target, 30)
    assert (guest.root / becomes / "inner/deep").read_bytes() == b"deep"


def test_a_folder_named_by_a_dot_keeps_its_real_name(
    host: Path, guest: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(host / "folder")
    copy_in(guest, Path(), "there", 30)
    assert (guest.root / "there/folder/inner/deep").read_bytes() == b"deep"


def test_what_a_link_of_the_host_points_to_goes_in(host: Path, guest: LocalSession) -> None:
    (host / "link").symlink_to("file")
    copy_in(guest, host / "link", "new", 30)
    assert not (guest.root / "new").is_symlink()
    assert (guest.root / "new").read_bytes() == (host / "file").read_bytes()


def test_a_link_goes_into_a_folder_under_its_own_name(host: Path, guest: LocalSession) -> None:
    (host / "link").symlink_to("file")
    copy_in(guest, host / "link", "there/", 30)
    assert (guest.root / "there/link").is_file()


def test_a_link_to_a_folder_of_the_guest_is_that_folder(host: Path, guest: LocalSession) -> None:
    copy_in(guest, host / "file", "to-folder", 30)
    assert (guest.root / "there/file").is_file()
    assert (guest.root / "to-folder").is_symlink()


def test_what_the_host_does_not_have_is_named(host: Path, guest: LocalSession) -> None:
    with pytest.raises(CopyError, match="nowhere does not exist on this host") as missing:
        copy_in(guest, host / "nowhere", "new", 30)
    assert missing.value.path == str(host / "nowhere")


def test_a_folder_on_a_file_of_the_guest_is_refused(host: Path, guest: LocalSession) -> None:
    with pytest.raises(Exception, match="note"):
        copy_in(guest, host / "folder", "note", 30)
    assert (guest.root / "note").read_bytes() == b"\0note\r\n"


@pytest.mark.parametrize(
    ("target", "becomes"), [("new", "new"), ("a/b", "a/b"), ("folder", "folder/note"), ("file", "file")]
)
def test_a_guests_file_goes_into_a_folder_and_onto_anything_else(
    host: Path, guest: LocalSession, target: str, becomes: str
) -> None:
    assert copy_out(guest, "note", host / target, 30) == host / becomes
    assert (host / becomes).read_bytes() == b"\0note\r\n"


@pytest.mark.parametrize("source", ["there", "there/", "to-folder"])
def test_a_guests_folder_or_a_link_to_one_becomes_a_new_folder(host: Path, guest: LocalSession, source: str) -> None:
    assert copy_out(guest, source, host / "new", 30) == host / "new"
    assert (host / "new/inner/deep").read_bytes() == b"of the guest"
    name = source.rstrip("/")
    assert copy_out(guest, source, host / "folder", 30) == host / "folder" / name
    assert (host / "folder" / name / "inner/deep").read_bytes() == b"of the guest"


def test_a_guests_link_to_a_file_is_that_file(host: Path, guest: LocalSession) -> None:
    path = copy_out(guest, "to-file", host / "folder", 30)
    assert path == host / "folder/to-file"
    assert not path.is_symlink()
    assert path.read_bytes() == b"\0note\r\n"


def test_a_folder_onto_an_existing_one_of_its_name_is_refused(host: Path, guest: LocalSession) -> None:
    copy_out(guest, "there", host, 30)
    with pytest.raises(CopyError, match="exists already"):
        copy_out(guest, "there", host, 30)


@pytest.mark.parametrize("source", ["nowhere", "note/below"])
def test_what_the_guest_does_not_have_is_named(host: Path, guest: LocalSession, source: str) -> None:
    with pytest.raises(CopyError, match=f"{source} does not exist in the guest") as missing:
        copy_out(guest, source, host, 30)
    assert missing.value.path == source


@pytest.mark.parametrize("source", ["/", "there/.."])
def test_a_path_without_a_name_cannot_go_into_a_folder(host: Path, guest: LocalSession, source: str) -> None:
    with pytest.raises(CopyError, match="has no name to be copied under"):
        copy_out(guest, source, host, 30)


class BreaksOff(LocalSession):
    """A guest whose session is lost in the middle of a file."""

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:  # noqa: ARG002
        """Half a file."""
        yield b"half"
        raise SessionLost("the session ended")


def test_a_file_that_breaks_off_leaves_the_old_one(host: Path, guest: LocalSession) -> None:
    before = (host / "file").read_bytes()
    with pytest.raises(SessionLost):
        copy_out(BreaksOff(guest.root), "note", host / "file", 30)
    assert (host / "file").read_bytes() == before
    assert sorted(path.name for path in host.iterdir()) == ["file", "folder"]


def test_a_host_that_cannot_take_the_file_is_told_with_its_path(host: Path, guest: LocalSession) -> None:
    with pytest.raises(CopyError, match=r"file/new cannot be written: File exists"):
        copy_out(guest, "note", host / "file" / "new", 30)


def test_a_host_that_cannot_take_the_folder_is_told_with_its_path(host: Path, guest: LocalSession) -> None:
    with pytest.raises(CopyError, match=r"file/new cannot be made: File exists"):
        copy_out(guest, "there", host / "file" / "new", 30)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_with_its_path(host: Path, guest: LocalSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(**_: object) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(host / "fresh")

    monkeypatch.setattr("tempfile.mkstemp", on_a_full_disk)
    with pytest.raises(CopyError, match=f"cannot be written: {os.strerror(errno.ENOSPC)}"):
        copy_out(guest, "note", host / "new", 30)
    assert not (host / "new").exists()
