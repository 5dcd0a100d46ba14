"""Trees out of a guest that lies, and trees into and out of one that does not."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_hyperv.errors import CommandFailed, CommandTimeout, CopyError
from pytest_hyperv.guest import GuestProcess
from pytest_hyperv.trees import copy_tree_in, copy_tree_out
from tests.local_guest import LocalSession

pytestmark = pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")


class ToldProcess:
    """A guest's tar whose output is written down beforehand."""

    def __init__(self, stream: bytes, errors: bytes, code: int) -> None:
        pieces = [stream[at : at + 700] for at in range(0, len(stream), 700)]
        self._pieces = [(1, piece) for piece in pieces] + ([(2, errors)] if errors else [])
        self._code = code
        self.killed = False

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:  # noqa: ARG002
        """The next piece."""
        return self._pieces.pop(0) if self._pieces else None

    def write(self, data: bytes) -> None:
        """Nothing is sent to it."""
        raise AssertionError(data)

    def close_stdin(self) -> None:
        """Nothing is sent to it."""

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002
        """Its exit code."""
        return self._code

    def kill(self) -> None:
        """End it."""
        self.killed = True


class LyingSession(LocalSession):
    """A guest that answers every program with the same output."""

    def __init__(self, stream: bytes, errors: bytes = b"", code: int = 0) -> None:
        super().__init__(Path("/nonexistent"))
        self.process = ToldProcess(stream, errors, code)

    def spawn(  # type: ignore[override]
        self,
        argv: Sequence[str],  # noqa: ARG002
        *,
        cwd: str | None = None,  # noqa: ARG002
        env: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> GuestProcess:
        """The one process there is."""
        return self.process


def entry(
    name: str, type: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    """One member of a tar archive."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = type, link, len(content)
    member.mode = 0o7777 if type == tarfile.REGTYPE else 0o755
    return member, content


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A whole archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in entries:
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


SYM, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
HOSTILE = {
    "a name that climbs": [entry("../stolen", content=b"x")],
    "a name that climbs in the middle": [entry("a/../../stolen", content=b"x")],
    "a name that climbs and comes back": [entry("a/../b", content=b"x")],
    "a name with backslashes": [entry("..\\stolen", content=b"x")],
    "a folder that climbs": [entry("../stolen", DIR)],
    "a link out": [entry("link", SYM, "../../etc")],
    "a link to an absolute path": [entry("link", SYM, "/etc/passwd")],
    "a link out from a folder": [entry("a", DIR), entry("a/link", SYM, "../../stolen")],
    "a link that climbs late": [entry("a", DIR), entry("link", SYM, "a/../../stolen")],
    "a link that climbs through a link": [
        entry("a", DIR),
        entry("a/b", DIR),
        entry("shallow", SYM, "a/b"),
        entry("shallow/up", SYM, "../../stolen"),
    ],
    "a link to a folder, then a file through it": [entry("link", SYM, "."), entry("link/stolen", content=b"x")],
    "a link with backslashes": [entry("link", SYM, "..\\stolen")],
    "a link on a file": [entry("a", content=b"x"), entry("a", SYM, "b")],
    "a hard link out": [entry("hard", HARD, "../original")],
    "a hard link to an absolute path": [entry("hard", HARD, "/etc/passwd")],
    "a hard link to nothing": [entry("hard", HARD, "nothing")],
    "a hard link to a folder": [entry("a", DIR), entry("hard", HARD, "a")],
    "a hard link on a file": [entry("a", content=b"x"), entry("a", HARD, "a")],
    "a character device": [entry("null", tarfile.CHRTYPE)],
    "a block device": [entry("sda", tarfile.BLKTYPE)],
    "a pipe": [entry("pipe", tarfile.FIFOTYPE)],
    "the same file twice": [entry("a", content=b"x"), entry("a", content=b"y")],
    "a file, then a folder of its name": [entry("a", content=b"x"), entry("a", DIR)],
    "a folder, then a file of its name": [entry("a", DIR), entry("a", content=b"x")],
    "a file below a file": [entry("a", content=b"x"), entry("a/b", content=b"y")],
    "a file in place of the target": [entry(".", content=b"x")],
    "a name that no disk takes": [entry("n" * 300, content=b"x")],
    "a path that no disk takes": [entry("/".join(["d" * 200] * 25), content=b"x")],
}


def listing(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Everything below a folder: its mode, and a file's content or a link's destination."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file that a hostile stream may be after; the target goes below it."""
    (tmp_path / "original").write_bytes(b"mine")
    (tmp_path / "deep").mkdir()
    return tmp_path


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_stream_is_refused_whole_and_nothing_is_written_anywhere(place: Path, what: str) -> None:
    before = listing(place)
    session = LyingSession(tar_of(entry("innocent", content=b"x"), *HOSTILE[what]))
    with pytest.raises(CopyError) as refused:
        copy_tree_out(session, "/srv", place / "deep" / "target", 5)
    assert listing(place) == before
    assert session.process.killed
    assert refused.value.path


def test_an_absolute_name_is_refused(place: Path) -> None:
    before = listing(place)
    with pytest.raises(CopyError, match="leads out of the target"):
        copy_tree_out(LyingSession(tar_of(entry(str(place / "stolen"), content=b"x"))), "/srv", place / "target", 5)
    assert listing(place) == before


def test_a_name_with_a_zero_byte_is_refused(place: Path) -> None:
    member, _ = entry("a")
    member.pax_headers = {"path": "a\0b"}
    stream = member.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    before = listing(place)
    with pytest.raises(CopyError, match=r"/srv could not be copied|leads out"):
        copy_tree_out(LyingSession(stream), "/srv", place / "target", 5)
    assert listing(place) == before


WHOLE = tar_of(entry("a", content=b"x" * 5000), entry("b", content=b"y" * 5000))


@pytest.mark.parametrize("length", [1, 100, 511, 600, 3000, 5700, 6500, 9000])
def test_a_stream_that_ends_early_is_refused(place: Path, length: int) -> None:
    before = listing(place)
    with pytest.raises(CopyError):
        copy_tree_out(LyingSession(WHOLE[:length], b"tar: killed", 137), "/srv", place / "target", 5)
    assert listing(place) == before


@pytest.mark.parametrize("junk", [b"\xff" * 4096, b"tar: no such folder\n" * 100, b"\x1f\x8b" + bytes(600)])
def test_what_is_no_archive_is_refused(place: Path, junk: bytes) -> None:
    before = listing(place)
    with pytest.raises(CopyError, match=r"/srv could not be copied to .*target"):
        copy_tree_out(LyingSession(junk), "/srv", place / "target", 5)
    assert listing(place) == before


def test_a_tar_that_fails_after_a_whole_stream_is_a_failure_with_its_words(place: Path) -> None:
    before = listing(place)
    session = LyingSession(WHOLE, b"tar: ./secret: Permission denied", 2)
    with pytest.raises(CopyError, match=r"tar in the guest returned 2 for /srv: tar: ./secret: Permission denied"):
        copy_tree_out(session, "/srv", place / "target", 5)
    assert listing(place) == before


def test_nothing_is_copied_onto_what_exists(place: Path) -> None:
    with pytest.raises(CopyError, match="exists already"):
        copy_tree_out(LyingSession(WHOLE), "/srv", place / "deep", 5)


def test_what_is_allowed_arrives_without_foreign_bits(place: Path) -> None:
    session = LyingSession(
        tar_of(
            entry(".", DIR),
            entry("a", DIR),
            entry("a/file", content=b"x"),
            entry("late/made/file", content=b"y"),
            entry("a/up", SYM, "../late"),
            entry("self", SYM, "self"),
            entry("hard", HARD, "a/file"),
        )
    )
    copy_tree_out(session, "/srv", place / "target", 5)
    target = place / "target"
    assert (target / "a/up/made/file").read_bytes() == b"y"
    assert (target / "hard").samefile(target / "a/file")
    assert (target / "a/file").stat().st_mode & 0o7777 == 0o755
    assert target.stat().st_mode & 0o7777 == 0o755


names = st.text(
    st.characters(blacklist_characters="/\0\\", blacklist_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
trees: st.SearchStrategy[dict[str, object]] = st.recursive(
    st.binary(max_size=3000) | st.tuples(st.just("link"), names),
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))  # type: ignore[assignment]


def plant(folder: Path, tree: Mapping[str, object]) -> None:
    """Make a tree of files, folders and links."""
    folder.mkdir()
    for name, what in tree.items():
        if isinstance(what, dict):
            plant(folder / name, what)
        elif isinstance(what, bytes):
            (folder / name).write_bytes(what)
            (folder / name).chmod(0o755 if len(what) % 2 else 0o644)
        elif isinstance(what, tuple):
            (folder / name).symlink_to(what[1])


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """A maker of empty folders, for tests that run many times."""
    counter = iter(range(10**6))

    def make() -> Path:
        folder = tmp_path / str(next(counter))
        folder.mkdir()
        return folder

    return make  # type: ignore[return-value]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tree=trees)
def test_any_tree_comes_back_as_it_went_in(fresh: Callable[[], Path], tree: dict[str, object]) -> None:
    folder = fresh()
    plant(folder / "source", tree)
    session = LocalSession(folder)
    copy_tree_in(session, folder / "source", "guest/inner", 30)
    assert listing(folder / "guest/inner") == listing(folder / "source")
    copy_tree_out(session, "guest/inner", folder / "back", 30)
    assert listing(folder / "back") == listing(folder / "source")
    assert sorted(path.name for path in folder.iterdir()) == ["back", "guest", "source"]


def test_a_large_file_and_a_hard_link_survive_both_ways(place: Path) -> None:
    source = place / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(5 << 20))
    os.link(source / "large", source / "again")
    session = LocalSession(place)
    copy_tree_in(session, source, "guest", 30)
    copy_tree_out(session, "guest", place / "back", 30)
    assert listing(place / "back") == listing(source)
    assert (place / "back/again").samefile(place / "back/large")


def test_a_folder_that_the_guest_does_not_take_is_an_error_with_its_words(place: Path) -> None:
    (place / "source").mkdir()
    with pytest.raises(CommandFailed, match="original"):
        copy_tree_in(LocalSession(place), place / "source", "original/inner", 30)


def test_a_source_that_the_guest_does_not_have_is_an_error_with_its_words(place: Path) -> None:
    before = listing(place)
    with pytest.raises(CopyError, match=r"(?s)nowhere could not be copied.*nowhere"):
        copy_tree_out(LocalSession(place), "nowhere", place / "back", 30)
    assert listing(place) == before


def test_a_guest_that_sends_nothing_in_time_is_given_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "bin").mkdir()
    (place / "bin/tar").write_text("#!/bin/sh\nexec cat\n")
    (place / "bin/tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}")
    before = listing(place)
    with pytest.raises(CommandTimeout):
        copy_tree_out(LocalSession(place), "deep", place / "back", 0.2)
    assert listing(place) == before
