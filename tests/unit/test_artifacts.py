"""Whatever a test or a guest calls its things, they stay in the folder of artifacts, under names that do nothing."""

from __future__ import annotations

import fnmatch
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.artifacts import KEPT_ENDINGS, Artifacts, guest_name, safe_name

HOSTILE = st.text() | st.lists(
    st.sampled_from(["..", "/", "\\", "C:", "~", "con", "\x1b[2J", "\n", " ", ".", "-", "test_", ".py", "a", "é"])
).map("".join)


@given(HOSTILE)
def test_a_name_is_one_visible_name_of_harmless_characters(text: str) -> None:
    for name in (safe_name(text), guest_name(text)):
        assert name.isascii()
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert name[0] not in ".-"
        assert len(name) <= 70


@given(HOSTILE)
def test_a_guests_file_is_nothing_that_a_run_of_tests_or_a_browser_takes_for_its_own(text: str) -> None:
    name = f"01-01-{guest_name(text)}"
    assert PurePosixPath(name).suffix.lower() in {*KEPT_ENDINGS, ".data"}
    for pattern in ("test_*.py", "*_test.py", "conftest.py", "test*.txt", "*.txt", "*.html", "*.svg", "*.sh", "*.exe"):
        assert not fnmatch.fnmatch(name, pattern)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/var/log/app.log", "app.log"),
        (r"C:\Windows\MEMORY.DMP", "MEMORY.DMP"),
        ("/srv/../../etc/passwd", "passwd.data"),
        ("/srv/conftest.py", "conftest.py.data"),
        ("/x/test_evil.txt", "test_evil.txt.data"),
        ("/x/page.html", "page.html.data"),
        ("/", "unnamed.data"),
    ],
)
def test_a_guests_file_keeps_its_own_name_as_far_as_that_is_harmless(path: str, name: str) -> None:
    assert guest_name(path) == name


@given(st.lists(HOSTILE, unique=True, max_size=6), HOSTILE, HOSTILE)
def test_nothing_leaves_the_folder(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], vm: str, name: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    artifacts = Artifacts(outside / "root")
    written = [artifacts.of_test(nodeid).write(vm, name, b"x") for nodeid in ids]
    assert len(set(written)) == len(ids)
    found = [path for path in outside.rglob("*") if path.is_file() and path.name != ".gitignore"]
    assert sorted(path.relative_to(outside / "root").as_posix() for path in found) == sorted(written)


def test_a_repetition_within_a_run_keeps_both_and_the_next_run_replaces_them(tmp_path: Path) -> None:
    for content in (b"first run", b"second run"):
        artifacts = Artifacts(tmp_path)
        one, two = (artifacts.of_test("t").write("vm", "a.log", content) for _ in range(2))
        assert one != two
        assert (tmp_path / one).read_bytes() == (tmp_path / two).read_bytes() == content
    assert len(list(tmp_path.glob("*/*/*"))) == 2


def test_a_link_in_the_place_of_a_tests_folder_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    folder = Artifacts(root).of_test("t").folder
    root.mkdir()
    folder.symlink_to(elsewhere, target_is_directory=True)
    Artifacts(root).of_test("t").write("vm", "a.log", b"x")
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    test = Artifacts(tmp_path).of_test("t")
    test.write("vm", "a.log", b"x")
    with pytest.raises(FileExistsError):
        test.write("vm", "a.log", b"y")


def test_the_folder_keeps_itself_out_of_version_control(tmp_path: Path) -> None:
    Artifacts(tmp_path / "new").of_test("t").write("vm", "a.log", b"x")
    assert (tmp_path / "new" / ".gitignore").read_text() == "*\n"
