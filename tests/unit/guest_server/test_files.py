"""Files: exact, whole or not at all, and errors in the guest's words."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.guest_wire import SYNC
from pytest_hyperv.errors import CopyError, GuestError
from pytest_hyperv.guest import FileFacts
from tests.unit.guest_server.conftest import ANSWER, StartServer


def write(session: GuestServer, path: Path, data: bytes, mode: int = 0o644) -> None:
    session.write_file(str(path), [data], mode=mode, timeout=ANSWER)


def read(session: GuestServer, path: Path) -> bytes:
    return b"".join(session.read_file(str(path), timeout=ANSWER))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", bytes(range(256)) * 5000, SYNC + b"t" * 16 + SYNC[:7]],
    ids=["nothing", "a NUL", "every byte", "a synchronisation"],
)
def test_what_was_written_is_read(session: GuestServer, tmp_path: Path, data: bytes) -> None:
    write(session, tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data
    assert read(session, tmp_path / "file") == data


def test_fifty_megabytes_keep_their_digest_both_ways(session: GuestServer, tmp_path: Path) -> None:
    piece = os.urandom(1_000_003)
    session.write_file(str(tmp_path / "file"), (piece for _ in range(50)), mode=0o600, timeout=60)
    digest = hashlib.sha256()
    for part in session.read_file(str(tmp_path / "file"), timeout=60):
        digest.update(part)
    assert digest.digest() == hashlib.sha256(piece * 50).digest()


def test_mode_is_set_and_missing_folders_are_made(session: GuestServer, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b c" / "file"
    write(session, target, b"x", 0o4750)
    assert session.stat(str(target)) == FileFacts("file", 1, 0o4750)
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_names_may_be_any_bytes(session: GuestServer, tmp_path: Path) -> None:
    target = tmp_path / os.fsdecode(b"\xff\xfe name\n")
    write(session, target, b"odd")
    assert target.read_bytes() == b"odd"
    assert read(session, target) == b"odd"


def test_stat_tells_kinds_and_follows_no_link(session: GuestServer, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    kinds = {}
    for name in ("", "link", "pipe"):
        facts = session.stat(str(tmp_path / name))
        kinds[name] = facts and facts.kind
    assert kinds == {"": "directory", "link": "symlink", "pipe": "other"}
    assert session.stat(str(tmp_path / "nothing")) is None
    assert session.stat("/etc/passwd/nothing") is None


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/no/such/file", "No such file or directory"),
        ("/etc", "Is a directory"),
        ("/dev/tty", "Invalid argument|No such device"),
        ("/a\0b", "NUL"),
    ],
)
def test_what_cannot_be_read_is_named(session: GuestServer, path: str, says: str) -> None:
    with pytest.raises(CopyError, match=says) as caught:
        list(session.read_file(path, timeout=ANSWER))
    assert caught.value.path == path


def test_a_pipe_is_refused_and_not_waited_for(session: GuestServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CopyError, match="Invalid argument"):
        read(session, tmp_path / "pipe")


def test_a_folder_is_not_replaced_by_a_file(session: GuestServer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CopyError, match="Is a directory"):
        write(session, tmp_path / "folder", b"x")
    with pytest.raises(CopyError, match="Not a directory"):
        write(session, Path("/etc/passwd/file"), b"x")


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(session: GuestServer, tmp_path: Path) -> None:
    write(session, tmp_path / "file", b"old")

    def pieces() -> Iterator[bytes]:
        yield b"new" * 100_000
        raise ZeroDivisionError

    for path in (tmp_path / "file", tmp_path / "made" / "for" / "this"):
        with pytest.raises(ZeroDivisionError):
            session.write_file(str(path), pieces(), mode=0o644, timeout=ANSWER)
    session.ping(ANSWER)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("port")] == ["file"]
    assert read(session, tmp_path / "file") == b"old"


def test_a_full_disk_is_told_and_leaves_no_residue(start_server: StartServer, tmp_path: Path) -> None:
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("no prlimit to stand in for a full disk")
    session = start_server([prlimit, "--fsize=1000000"]).session()
    with pytest.raises(CopyError, match="File too large"):
        session.write_file(
            str(tmp_path / "new" / "file"), (b"x" * 65536 for _ in range(1000)), mode=0o644, timeout=ANSWER
        )
    assert not (tmp_path / "new").exists()
    write(session, tmp_path / "small", b"fits")
    session.close()


def test_a_read_that_is_left_early_stops_and_the_session_goes_on(session: GuestServer, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 20_000_000)
    pieces = session.read_file(str(tmp_path / "large"), timeout=ANSWER)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert session.run(["true"], timeout=ANSWER)


def test_files_and_commands_go_on_side_by_side(session: GuestServer, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 5_000_000)
    total = 0
    for piece in session.read_file(str(tmp_path / "large"), timeout=60):
        assert session.run(["true"], timeout=ANSWER)
        total += len(piece)
    assert total == 5_000_000


def test_a_clock_that_may_not_be_set_is_an_error(start_server: StartServer) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("no setpriv to take the right to set the clock away, and this machine's clock is not ours to set")
    wrapper = [setpriv, "--bounding-set=-sys_time", "--inh-caps=-sys_time"] if os.geteuid() == 0 else []
    session = start_server(wrapper).session()
    if "sys_time" in session.run([setpriv, "--dump"]).stdout.partition("bounding set:")[2] and os.geteuid() == 0:
        pytest.skip("the right to set the clock cannot be taken away here")
    with pytest.raises(GuestError, match="clock cannot be set: Operation not permitted"):
        session.set_clock(0.0)
    session.close()
